"""How samples compare with real pictures, by the features of a named extractor."""

import numpy as np

from tfvae.errors import UsageError
from tfvae.evaluation import confidence_intervals, feature_distances

AT_ONCE = 500
NEIGHBOURHOOD = 5000  # images at most for what compares all pairs
SMALL = 256  # features, whose Frechet distance is quick enough to be bootstrapped
LEAST = 12  # so that half of them have 5 neighbours
SEED = 17  # of the samples, apart from those that a user draws


def sampled(model, count, seed=0, condition=None):
    """`count` samples, [N, H, W, C]; condition: [N], or None."""
    found = []
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        told = {} if condition is None else {"condition": condition[start : start + size]}
        found.append(model.sample(AT_ONCE if condition is None else size, (seed, SEED + start), **told).numpy()[:size])
    return np.concatenate(found)


def compared(real, fake, seed=0):
    """{metric: (value, low, high)} of two sets of features [N, D]; what compares all pairs takes 5,000 of each."""
    some = real[:NEIGHBOURHOOD], fake[:NEIGHBOURHOOD]

    def scores(u, v):
        return [feature_distances.kid(u, v), *feature_distances.prdc(u, v).values()]

    found = dict(zip(("kid", *feature_distances.PRDC), zip(*confidence_intervals.half_splits(scores, some, seed=seed))))
    found |= {name: np.clip(found[name], 0.0, highest) for name, highest in feature_distances.PRDC.items()}
    if real.shape[1] <= SMALL:
        return {"frechet": confidence_intervals.bootstrap(feature_distances.frechet, real, fake, seed=seed)} | found
    # 200 roots of large matrices would take hours
    halves = confidence_intervals.half_splits(
        lambda u, v: [feature_distances.frechet(u, v)], (real, fake), splits=3, seed=seed
    )
    return {"frechet": [part[0] for part in halves]} | found


def check_enough(count, images):
    """Refuse fewer than 12 samples or images."""
    if min(count, images) < LEAST:
        raise UsageError(f"Expected at least {LEAST} samples and images. Received: {count} and {images}.")


def picture_metrics(model, extractor, images, count, seed=0):
    """{metric[extractor]: value} of `count` samples beside `images`; _low and _high are a 95% interval.

    ``frechet`` and ``kid`` are distances, ``precision recall density coverage`` shares (all of at most 5,000 of
    each); for a model with condition=labels, from which every label is drawn equally often, ``label_agreement`` is how
    often the classifier of an extractor that has one sees the label that was asked for.

    Args:
        extractor: see `foreign.extractor_of`.
    """
    check_enough(count, len(images))
    labels = None
    if model.condition is not None and model.condition.name == "labels":
        labels = np.arange(count) % model.condition.width
    fake, logits = extractor(sampled(model, count, seed, labels))
    found = compared(extractor(images)[0], fake, seed)
    if labels is not None and logits is not None:
        found["label_agreement"] = confidence_intervals.agreement(int((logits.argmax(1) == labels).sum()), count)
    rows = {f"{name}[{extractor.name}]": values for name, values in found.items()}
    return confidence_intervals.named(rows) | {"pictures": count}
