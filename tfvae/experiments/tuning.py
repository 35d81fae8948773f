"""A beta-VAE with the error that GECO reached: what GECO saves its user is this search."""

import math

SQUARED_ERROR = f"gaussian:sigma={0.5**0.5}"  # -log p(x|z) is |x - g(z)|^2 and a constant
WARM_UP_EPOCHS = 10
COLLAPSED = 0.1  # nats of KL


def between(error, a, b):
    """KL at `error` on the line through two training rows, both logarithmic: near enough for runs close to it."""
    share = math.log(error / a["sq_err"]) / math.log(b["sq_err"] / a["sq_err"])
    return math.exp(math.log(a["rate"]) + share * math.log(b["rate"] / a["rate"]))


def tuned_beta(lab, settings, error, start, count=2):
    """`count` beta-VAEs ever nearer to a training error: -> [(beta, run)], and whether they needed a KL warm-up.

    Starts at beta = `start`, GECO's own 1 / lambda for RE + beta KL. One that collapses with it gets a KL warm-up.
    """
    beta, found, warm = start, [], False
    while len(found) < count:
        objective = f"beta:beta={beta:.6g}" + f",warmup={warm_up(settings)}" * warm
        one = lab.run(**(settings | {"objective": objective}))
        row = one.rows[-1]
        if row["rate"] < COLLAPSED and not warm:
            warm = True
            continue
        found.append((beta, one))
        # error ~ beta^(1/2) nearby: land close, if possible on the other side, but not so close that noise decides
        move = 2.5 * math.log(error / row["sq_err"])
        beta *= math.exp(math.copysign(min(max(abs(move), 0.05), 0.5), move))
    return found, warm


def warm_up(settings):
    """Steps of the first epochs, of 60,000 images."""
    return WARM_UP_EPOCHS * (60_000 // settings.get("batch_size", 128))
