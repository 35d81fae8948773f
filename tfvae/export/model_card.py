"""``model_card.md`` of an exported model: what it is, what it was trained on, how well, how to call it, its limits."""

from tfvae.config import Config

MEANINGS = {
    "z": "code of an image; N(0, I) under the prior `normal`",
    "x": "pixels in [0, 1]",
    "n": "images to draw, 1 to {most}",
    "seed": "of all draws, two whole numbers; the same ones give the same answer",
    "temperature": "times the prior's deviations from its centre, >= 0; 1 is the prior",
    "image": "mean of p(x given z), pixels in [0, 1]",
    "frames": "the image after each step of drawing; the last is that of `sample`",
    "mean": "of q(z given x)",
    "stddev": "of q(z given x)",
    "elbo": "-(rate + distortion), nats per image",
    "rate": "KL(q(z given x) to p(z)), nats per image",
    "distortion": "-E log p(x given z), nats per image",
    "png_bytes": "one PNG file an image",
    "condition": "{condition}",
}
UNITS = {"loss": "nats per image", "elbo": "nats per image", "rate": "nats per image", "distortion": "nats per image",
         "sq_err": "summed over pixels in [0, 1]", "seconds": "of training", "lambda": "multiplier of the constraint",
         "constraint": "violation, met at 0 and below", "constraint_ma": "its moving average"}  # fmt: skip
LOADING = """\
```python
import tensorflow as tf

model = tf.saved_model.load("DIR/1")
{line}images = model.signatures["sample"](
    n=tf.constant(16), seed=tf.constant([1, 0]), temperature=tf.constant(1.0){told}
)["image"]
codes = model.signatures["encode"](x=images{told})["mean"]
again = model.signatures["decode"](z=codes{told})["image"]
```

or `tfvae sample DIR -n 16 --seed 1 -o grid.png`, or `tensorflow_model_server --model_base_path=/absolute/DIR`."""


def table(head, rows):
    return "\n".join("| " + " | ".join(map(str, row)) + " |" for row in (head, ["---"] * len(head), *rows))


def shape_text(spec):
    sides = ", ".join("free" if side is None else str(side) for side in spec["shape"])
    return f"{spec['dtype']} [{sides}]"


def signature_rows(about):
    """One row for each tensor of each signature."""
    for name, signature in about["signatures"].items():
        frames = signature["outputs"].get("frames", {"shape": [None, 1]})
        most = max(1, about["max_n"] // frames["shape"][1])  # as `export.drawing` has it
        for side in ("inputs", "outputs"):
            for key, spec in signature[side].items():
                meaning = MEANINGS.get(key, "").format(most=most, condition=condition_text(about))
                yield f"`{name}`", side[:-1], f"`{key}`", shape_text(spec), meaning


def condition_text(about):
    """What `condition` may be; nothing for a model without one."""
    told = about.get("condition")
    if not told:
        return ""
    if told["name"] == "labels":
        return f"label of each image, 0 to {told['classes'] - 1}; -1: not known"
    if "shape" in told:
        return f"images {told['shape']} in [0, 1], of which the model sees {told['spec']}; -1 everywhere: not known"
    return f"{told['name']} of each image, {told['low']:g} to {told['high']:g}"


def loading_text(about):
    """`LOADING`, with a value of the condition where the model has one."""
    told = about.get("condition")
    if not told:
        return LOADING.format(line="", told="")
    value, dtype = (0, "int32") if told["name"] == "labels" else (told.get("low", -1.0), "float32")
    shape = [16, *told.get("shape", ())]
    return LOADING.format(line=f"told = tf.fill({shape}, tf.constant({value}, tf.{dtype}))\n", told=", condition=told")


def pixels_text(config):
    """What happens to the pixels that a caller sends."""
    if config["binarize"] == "dynamic":
        return (
            "It was trained on images binarised anew in each step, so x is too: each pixel, rounded to a byte, is set "
            "with a probability equal to its grey level, by `seed` in `elbo` and by a fixed seed elsewhere. Zeros and "
            "ones stay as they are; send those for answers that do not depend on the place in a batch."
        )
    if config["binarize"] == "static":
        return "It was trained on binary images: send zeros and ones."
    return "x is taken as it is: grey levels divided by 255."


def text(about, row):
    """The card, Markdown.

    Args:
        about: what the manifest says: signatures, versions, config, image_shape, ...
        row: the last row of metrics.csv up to the exported checkpoint; may be empty.
    """
    config, versions = about["config"], about["versions"]
    plain = Config().to_dict()
    settings = [(f"`{key}`", f"`{value}`") for key, value in config.items() if value != plain[key] or key == "dataset"]
    measured = [(f"`{k}`", f"{v:.5g}", UNITS.get(k.removeprefix("val_"), "")) for k, v in row.items()]
    shape = " x ".join(map(str, about["image_shape"]))
    numbers = about["variables"]["numbers"]
    writer = "tfvae {tfvae} (TensorFlow {tensorflow}, Keras {keras})".format(**versions)
    parts = ", ".join(f"{part} `{spec}`" for part, spec in about["parts"].items())
    told = condition_text(about)
    told = told and f"\nIt is told a condition: {told}. `sample` also takes one alone, for all images."
    return f"""\
# {config["objective"]} on {config["dataset"]}

A variational autoencoder of images {shape}: {parts}; {numbers:,} numbers in {about["variables"]["count"]} variables.
Exported after epoch {about["epoch"]}, step {about["step"]}, by {writer}.

## Data and settings

Data set `{config["dataset"]}`; settings that differ from tfvae's defaults:

{table(("setting", "value"), settings)}

## Measured while training

Means over the images of the last epoch, with the weights as they moved; `val_*` on held-out training images. They are
no test scores: `tfvae evaluate` measures those.

{table(("number", "value", "unit"), measured)}

## Signatures

{table(("signature", "side", "name", "type and shape", "what"), signature_rows(about))}

{pixels_text(config)}{told}
`reconstruct` decodes the mean of q(z given x), without noise. Inputs outside of their range, or not finite, are refused
with an error that says so.

## Load

{loading_text(about)}

## Limits

It knows images like those it was trained on and no others, and repeats their biases. Samples are means of p(x given z),
smoother than data. Numbers agree between machines up to rounding; on one machine (n, seed) gives the same bytes.
Nothing here was examined for use in decisions about people. `manifest.json` lists hashes, versions and ops:
`tfvae inspect DIR` checks them without running anything.
"""
