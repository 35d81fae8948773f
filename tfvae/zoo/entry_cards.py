"""The card of a zoo entry: card.md from config.json and metrics.json. Its text is part of what the hashes cover."""

from __future__ import annotations

import pathlib
import re

from tfvae.config import SETTING_ALIASES, Config
from tfvae.evaluation.metrics import find_metric
from tfvae.part_sources import TABLES, restore_old_words
from tfvae.runtime import files
from tfvae.runtime.run_metadata import read_config
from tfvae.zoo import index
from tfvae.zoo.entry_metadata import BOUND_IMAGES, BOUND_SAMPLES, read_metrics


def matches_card(folder: pathlib.Path) -> bool:
    """Return whether card.md of an entry says what config.json and metrics.json do, in the words of any version."""
    expected = format_entry_card(folder)
    card = files.read_text(folder / "card.md")
    return card in (expected, restore_old_words_of_card(expected, read_config(folder)))


def restore_old_words_of_card(card: str, config: Config) -> str:
    """Return a card in the words of 0.1.0, and its names of settings and options: its entries keep their hashed text."""
    words = {f"--{new}": f"--{old}" for old, new in SETTING_ALIASES.items()}
    words = {new.replace("_", "-"): old.replace("_", "-") for new, old in words.items()}
    words["minutes."] = "minutes on two CPU cores."
    for kind in TABLES:
        spec = getattr(config, kind)
        old_spec = restore_old_words(kind, spec)
        words[spec] = old_spec
        if kind == "objective":
            words[index.format_objective_words(spec)] = index.format_objective_words(old_spec)
    for new, old in words.items():
        card = re.sub(rf"{re.escape(new)}(?![\w-])", lambda match: old, card)
    return card


def format_entry_card(folder: pathlib.Path) -> str:
    """Write the card of an entry in Markdown and return it.

    Args:
        folder: of the entry, with config.json, metrics.json and the pictures; one that is still being written may
            have the temporary name ``.NAME.tmp-PID``.
    """
    config, metrics = read_config(folder), read_metrics(folder)
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

{metrics["epochs"]} epochs, {metrics["minutes"]:.1f} minutes.

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
