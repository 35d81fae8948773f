"""How samples compare with real pictures, by the features of a named extractor."""

import numpy as np

from tfvae.errors import UsageError
from tfvae.evaluate import quality
from tfvae.evaluate.extractor import extractor_for

AT_ONCE = 500
NEIGHBOURHOOD = 5000  # images at most for what compares all pairs
SEED = 17  # of the samples, apart from those that a user draws


def sampled(model, count, seed=0, condition=None):
    """`count` samples, [N, H, W, C]; condition: [N], or None."""
    found = []
    for start in range(0, count, AT_ONCE):
        size = min(AT_ONCE, count - start)
        told = {} if condition is None else {"condition": condition[start : start + size]}
        found.append(model.sample(AT_ONCE if condition is None else size, (seed, SEED + start), **told).numpy()[:size])
    return np.concatenate(found)


def picture_metrics(model, config, images, count, seed=0, say=lambda line: None):
    """{metric[extractor]: value} of `count` samples beside `images`; _low and _high are a 95% interval.

    ``frechet`` and ``kid`` are distances, ``precision recall density coverage`` shares (all of at most 5,000 of
    each); for a model with condition=labels, from which every label is drawn equally often, ``label_agreement`` is how
    often the classifier sees the label that was asked for.

    Raises:
        UsageError: fewer than 10 samples or images.
    """
    if min(count, len(images)) < 10:
        raise UsageError(f"Expected at least 10 samples and images. Received: {count} and {len(images)}.")
    extractor = extractor_for(config.dataset, config.raw_dir, say)
    labels = None
    if model.told is not None and model.told.name == "labels":
        labels = np.arange(count) % model.told.width
    fake, logits = extractor(sampled(model, count, seed, labels))
    real, _ = extractor(images)
    some = real[:NEIGHBOURHOOD], fake[:NEIGHBOURHOOD]
    intervals = {"frechet": quality.bootstrap(quality.frechet, real, fake)}
    if labels is not None:
        intervals["label_agreement"] = quality.agreement(int((logits.argmax(1) == labels).sum()), count)
    found = {}
    for name, values in intervals.items():
        name = f"{name}[{extractor.name}]"
        found |= dict(zip((name, f"{name}_low", f"{name}_high"), values))
    plain = {"kid": quality.kid(*some), **quality.prdc(*some)}
    return found | {f"{name}[{extractor.name}]": value for name, value in plain.items()} | {"pictures": count}
