"""The card of a zoo entry: card.md from config.json and metrics.json. Its text is part of what the hashes cover."""

from __future__ import annotations

import pathlib

from tfvae.config import Config
from tfvae.evaluation.metrics import find_metric
from tfvae.runtime import files
from tfvae.zoo import index

BOUND_IMAGES = 200  # test images for the bound on log p(x)
BOUND_SAMPLES = 50  # draws of z for the bound


def format_entry_card(folder: pathlib.Path) -> str:
    """Write the card of an entry in Markdown and return it.

    Args:
        folder: of the entry, with config.json, metrics.json and the pictures; one that is still being written may
            have the temporary name ``.NAME.tmp-PID``.
    """
    config = Config.from_dict(files.read_json(folder / "config.json"))
    metrics = files.read_json(folder / "metrics.json")
    rows = "\n".join(
        f"| `{name}` | {entry['value']:.6g} | {entry['tolerance']:g} | {find_metric(name).unit} |"
        for name, entry in metrics["numbers"].items()
    )
    name = folder.name if not folder.name.startswith(".") else folder.name[1:].rpartition(".tmp-")[0]
    pictures = [path.name for path in sorted(folder.glob("*.png")) if path.name != "curves.png"]
    links = "\n".join(f"![{file.removesuffix('.png')}]({file})" for file in [*pictures, "curves.png"])
    commands = "\n    ".join(index.format_commands(config, metrics["second_stage"]))
    return f"""\
# {name}

`{config.objective}` on `{config.dataset}`, {config.arch}, likelihood {config.likelihood}, images \
{" x ".join(map(str, metrics["image_shape"]))}.

    {commands}

{metrics["epochs"]} epochs, {metrics["minutes"]:.1f} minutes on two CPU cores.

## Measured from the shipped files

On the first {metrics["images"]} test images (`nll`: minus the bound from {BOUND_SAMPLES} draws, first {BOUND_IMAGES} \
images). `tfvae zoo verify {name}` measures them again.

| number | value | tolerance, relative | unit |
|---|---|---|---|
{rows}

## Use

    tfvae sample zoo:{name} -n 64 --seed 1 -o grid.png
    tfvae zoo get {name} models/{name}      # a folder for tensorflow_model_server --model_base_path

or `tf.saved_model.load("zoo/{name}/saved_model/1").signatures["sample"]`; `saved_model/1/model_card.md` lists all
signatures and limits.

## Pictures

{links}
"""
