"""``model_card.md`` of an exported model: what it is, what it was trained on, how well, how to call it, its limits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tfvae.config import Config
from tfvae.errors import make_printable
from tfvae.runtime.tables import format_markdown

MAX_NAMES = 100  # of classes
MEANINGS = {
    "z": "code of an image; N(0, I) under the prior `normal`",
    "x": "pixels in [0, 1]",
    "n": "images to draw, 1 to {max_images}",
    "seed": "of all draws, two whole numbers; the same ones give the same answer",
    "temperature": "times the prior's deviations from its centre, >= 0; 1 is the prior",
    "image": "mean of p(x given z), pixels in [0, 1]",
    "frames": "the image after each step of drawing; the last is that of `sample`",
    "mean": "of q(z given x)",
    "stddev": "of q(z given x)",
    "elbo": "-(rate + distortion), nats per image",
    "rate": "KL(q(z given x) to p(z)), nats per image",
    "distortion": "-E log p(x given z), nats per image",
    "error": "|x - g(mean of q)|^2, summed over pixels in [0, 1]",
    "map": "the squared error of each pixel, summed over channels; its sum is the error",
    "png_bytes": "one PNG file an image",
    "condition": "{condition}",
}
UNITS = {
    "loss": "nats per image",
    "elbo": "nats per image",
    "rate": "nats per image",
    "distortion": "nats per image",
    "sq_err": "summed over pixels in [0, 1]",
    "seconds": "of training",
    "lambda": "multiplier of the constraint",
    "constraint": "violation, met at 0 and below",
    "constraint_ma": "its moving average",
}
LOADING_CODE = """\
```python
import tensorflow as tf

model = tf.saved_model.load("DIR/1")
{line}images = model.signatures["sample"](
    n=tf.constant(16), seed=tf.constant([1, 0]), temperature=tf.constant(1.0){argument}
)["image"]
codes = model.signatures["encode"](x=images{argument})["mean"]
again = model.signatures["decode"](z=codes{argument})["image"]
```

or `tfvae sample DIR -n 16 --seed 1 -o grid.png`, or `tensorflow_model_server --model_base_path=/absolute/DIR`."""


def format_tensor_type(spec: dict[str, Any]) -> str:
    """Return {dtype, shape} as 'float32 [free, 8, 8, 1]'."""
    sides = ", ".join("free" if side is None else str(side) for side in spec["shape"])
    return f"{spec['dtype']} [{sides}]"


def list_tensor_rows(manifest: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield one row (signature, side, name, type, meaning) for each tensor of each signature."""
    condition = describe_condition(manifest)
    for name, signature in manifest["signatures"].items():
        frames = signature["outputs"].get("frames", {"shape": [None, 1]})
        max_images = max(1, manifest["max_n"] // frames["shape"][1])  # as `signatures.make_draw_function` has it
        for side in ("inputs", "outputs"):
            for key, spec in signature[side].items():
                meaning = MEANINGS.get(key, "").format(max_images=max_images, condition=condition)
                yield f"`{name}`", side[:-1], f"`{key}`", format_tensor_type(spec), meaning


def describe_condition(manifest: dict[str, Any]) -> str:
    """Say which values the input `condition` takes; "" for a model without one."""
    condition = manifest.get("condition")
    if not condition:
        return ""
    if "classes" in condition:
        names = condition.get("class_names", [])
        shown = ", ".join(f"{i} {make_printable(name)}" for i, name in enumerate(names[:MAX_NAMES]))
        meanings = f" ({shown}{', ...' * (len(names) > MAX_NAMES)})" if names else ""
        return f"label of each image, 0 to {condition['classes'] - 1}{meanings}; -1: not known"
    if "shape" in condition:
        spec = condition["spec"]
        return f"images {condition['shape']} in [0, 1], of which the model sees {spec}; -1 everywhere: not known"
    return f"{condition['name']} of each image, {condition['low']:g} to {condition['high']:g}"


def format_loading_code(manifest: dict[str, Any]) -> str:
    """Return `LOADING_CODE`, with a value of the condition where the model has one."""
    condition = manifest.get("condition")
    if not condition:
        return LOADING_CODE.format(line="", argument="")
    value, dtype = (0, "int32") if "classes" in condition else (condition.get("low", -1.0), "float32")
    shape = [16, *condition.get("shape", ())]
    line = f"condition = tf.fill({shape}, tf.constant({value}, tf.{dtype}))\n"
    return LOADING_CODE.format(line=line, argument=", condition=condition")


def describe_pixels(config: dict[str, Any]) -> str:
    """Say what happens to the pixels that a caller sends, by the run's `binarize`."""
    if config["binarize"] == "dynamic":
        return (
            "It was trained on images binarised anew in each step, so x is too: each pixel, rounded to a byte, is set "
            "with a probability equal to its grey level, by `seed` in `elbo` and by a fixed seed elsewhere. Zeros and "
            "ones stay as they are; send those for answers that do not depend on the place in a batch."
        )
    if config["binarize"] == "static":
        return "It was trained on binary images: send zeros and ones."
    return "x is taken as it is: grey levels divided by 255."


def format_model_card(manifest: dict[str, Any], row: dict[str, float]) -> str:
    """Write the card of a model in Markdown and return it.

    Args:
        manifest: what the manifest says: signatures, versions, config, image_shape, ...
        row: the last row of metrics.csv up to the exported checkpoint; may be empty.
    """
    config, versions = manifest["config"], manifest["versions"]
    defaults = Config().to_dict()
    settings = [(f"`{k}`", f"`{v}`") for k, v in config.items() if v != defaults.get(k) or k == "dataset"]
    measurements = [(f"`{k}`", f"{v:.5g}", UNITS.get(k.removeprefix("val_"), "")) for k, v in row.items()]
    shape = " x ".join(map(str, manifest["image_shape"]))
    writer = "tfvae {tfvae} (TensorFlow {tensorflow}, Keras {keras})".format(**versions)
    parts = ", ".join(f"{part} `{spec}`" for part, spec in manifest["parts"].items())
    condition = describe_condition(manifest)
    condition = condition and f"\nIt takes a condition: {condition}. `sample` also takes one alone, for all images."
    return f"""\
# {config["objective"]} on {config["dataset"]}

A variational autoencoder of images {shape}: {parts}; {manifest["variables"]["numbers"]:,} numbers in \
{manifest["variables"]["count"]} variables.
Exported after epoch {manifest["epoch"]}, step {manifest["step"]}, by {writer}.

## Data and settings

Data set `{config["dataset"]}`; settings that differ from tfvae's defaults:

{format_markdown([("setting", "value"), *settings])}

## Measured while training

Means over the images of the last epoch, with the weights as they moved; `val_*` on held-out training images. They are
no test scores: `tfvae evaluate` measures those.

{format_markdown([("number", "value", "unit"), *measurements])}

## Signatures

{format_markdown([("signature", "side", "name", "type and shape", "what"), *list_tensor_rows(manifest)])}

{describe_pixels(config)}{condition}
`reconstruct` decodes the mean of q(z given x), without noise. Inputs outside of their range, or not finite, are refused
with an error that says so.

## Load

{format_loading_code(manifest)}

## Limits

It knows images like those it was trained on and no others, and repeats their biases. Samples are means of p(x given z),
smoother than data. Numbers agree between machines up to rounding; on one machine (n, seed) gives the same bytes.
Nothing here was examined for use in decisions about people. `manifest.json` lists hashes, versions and ops:
`tfvae inspect DIR` checks them without running anything.
"""
