"""The search for a beta-VAE with the error that GECO reached; GECO saves its user this search."""

import math

SQUARED_ERROR = f"gaussian:sigma={0.5**0.5}"  # -log p(x|z) is |x - g(z)|^2 and a constant
WARM_UP_EPOCHS = 10
COLLAPSED_KL = 0.1  # nats of KL


def interpolate_kl(error, a, b):
    """Return the KL at `error` on the line through two training rows, both axes logarithmic."""
    share = math.log(error / a["sq_err"]) / math.log(b["sq_err"] / a["sq_err"])
    return math.exp(math.log(a["rate"]) + share * math.log(b["rate"] / a["rate"]))


def tune_beta(lab, settings, error, start, count=2):
    """Train `count` beta-VAEs ever nearer to a training error; return [(beta, run)] and whether they took a KL warm-up.

    The search starts at beta = `start`: GECO's own 1 / lambda for RE + beta KL. A model that collapses gets a warm-up.
    """
    beta, runs, has_warm_up = start, [], False
    while len(runs) < count:
        objective = f"beta:beta={beta:.6g}" + f",warmup={compute_warm_up_steps(settings)}" * has_warm_up
        one = lab.train_run(**(settings | {"objective": objective}))
        row = one.rows[-1]
        if row["rate"] < COLLAPSED_KL and not has_warm_up:
            has_warm_up = True
            continue
        runs.append((beta, one))
        # error ~ beta^(1/2) nearby: land close, if possible on the other side, but not so close that noise decides
        move = 2.5 * math.log(error / row["sq_err"])
        beta *= math.exp(math.copysign(min(max(abs(move), 0.05), 0.5), move))
    return runs, has_warm_up


def compute_warm_up_steps(settings):
    """Return the steps of the first epochs of 60,000 images."""
    return WARM_UP_EPOCHS * (60_000 // settings.get("batch_size", 128))
