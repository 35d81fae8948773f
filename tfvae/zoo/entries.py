"""Entries of the zoo, made from finished runs: the files of an entry, its pictures, and the index of all entries."""

from __future__ import annotations

import pathlib
import re
import shutil

import numpy as np
import tensorflow as tf

from tfvae.errors import UsageError
from tfvae.evaluation.metrics import find_metric
from tfvae.exporting import exporter
from tfvae.models import latent_views
from tfvae.models.vae import VAE
from tfvae.plots import curves, grids
from tfvae.reports.run_figures import draw_completions, draw_points
from tfvae.runtime import files, random_streams
from tfvae.training import trainer
from tfvae.training.run_folder import Run, open_run
from tfvae.zoo.entry_cards import format_entry_card
from tfvae.zoo.measurements import IMAGES, SEED, load_test_images, measure_entry

INDEXED_SETTINGS = ("dataset", "objective", "arch", "likelihood", "condition")
INDEXED_NUMBERS = ("elbo", "error")
MAX_LABEL_ROWS = 10  # of samples.png


def add_entry(zoo_folder: files.PathLike, name: str, run: Run | files.PathLike) -> pathlib.Path:
    """Make the entry ``zoo_folder/name`` of a finished run, whole or not at all, and put it into the index.

        add_entry("zoo", "digits-geco-mlp", "runs/latest")

    Args:
        zoo_folder: an existing folder.
        name: of a-z, 0-9, - and _.
        run: an open run, or the path of its folder.

    Returns:
        The folder of the entry.

    Raises:
        UsageError: a bad name, a name that the zoo has, or a run that is not finished.
    """
    zoo_folder, run = pathlib.Path(zoo_folder), open_run(run)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise UsageError(f"Expected a name of a-z, 0-9, - and _. Received: {name!r}.")
    if (zoo_folder / name).exists():
        raise UsageError(f"Expected a new name. Received: {name!r}, which the zoo has. Delete its folder first.")
    if run.status != "finished":
        raise UsageError(f"Expected a finished run. Received: {run.path} ({run.status}).")
    files.write_folder(zoo_folder / name, lambda folder: write_entry_files(folder, run))
    write_index(zoo_folder)
    return zoo_folder / name


def write_entry_files(folder: pathlib.Path, run: Run) -> None:
    """Write all files of an entry but its manifest into a folder."""
    model, config = trainer.load_run(run), run.config
    files.write_json(folder / "config.json", config.to_public_dict())
    shutil.copy(run.path / "metrics.csv", folder)
    weights = {f"{i:04d}": variable.numpy() for i, variable in enumerate(model.variables)}
    np.savez(folder / "weights.npz", **weights)
    exporter.export_run(run, folder / "saved_model")
    metrics = {
        "image_shape": list(run.image_shape),
        "classes": run.classes,
        "second_stage": "second_stage_of" in run.environment,
        "minutes": run.rows[-1]["seconds"] / 60,
        "images": IMAGES,
        "epochs": config.epochs,
    }
    files.write_json(folder / "metrics.json", metrics)  # which the measurement reads
    numbers = {
        name: {"value": value, "tolerance": find_metric(name).tolerance}
        for name, value in measure_entry(folder).items()
    }
    files.write_json(folder / "metrics.json", metrics | {"numbers": numbers})
    draw_pictures(folder, model, run)
    files.write_bytes(folder / "card.md", format_entry_card(folder).encode())


def draw_pictures(folder: pathlib.Path, model: VAE, run: Run) -> None:
    """Draw curves.png, samples.png or completions.png, and reconstructions.png; points.png for points of the plane."""
    config = run.config
    curves.draw_training_curves(run.rows, folder / "curves.png", f"{config.objective} on {config.dataset}")
    x, labels, _ = load_test_images(config)
    if grids.is_points(model.image_shape):
        shutil.copy(draw_points(run, model, x, labels)[0], folder / "points.png")
        return
    if model.condition is not None and model.condition.map_shape:
        draw_completions(x[:8], latent_views.complete_images(model, x[:8], 8), folder / "completions.png")
    else:
        draw_samples(folder, model)
    x, labels = x[:40], labels[:40]
    condition = {} if model.condition is None else {"condition": model.condition.values_for(labels, x)}
    reconstructions = model.reconstruct(tf.constant(x), SEED, **condition)
    grids.draw_pair_grid(x, reconstructions.numpy(), folder / "reconstructions.png")


def draw_samples(folder: pathlib.Path, model: VAE) -> None:
    """Draw samples.png: 64 samples, or a row of 8 for each label of a model that is conditioned on labels."""
    count, columns, condition = 64, None, {}
    if model.condition is not None and model.condition.uses_labels and model.condition.width <= MAX_LABEL_ROWS:
        count, columns = 8 * model.condition.width, 8
        condition = {"condition": np.repeat(np.arange(model.condition.width), columns)}
    images = model.sample(count, random_streams.as_seed(SEED), **condition)
    grids.draw_image_grid(images.numpy(), folder / "samples.png", columns)


def write_index(zoo_folder: pathlib.Path) -> None:
    """Write index.json, a summary of each entry."""
    entries = {}
    for path in sorted(zoo_folder.glob("*/manifest.json")):
        folder = path.parent
        config, metrics = files.read_json(folder / "config.json"), files.read_json(folder / "metrics.json")
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        settings = {key: config[key] for key in INDEXED_SETTINGS}
        numbers = {name: round(metrics["numbers"][name]["value"], 2) for name in INDEXED_NUMBERS}
        entries[folder.name] = settings | numbers | {"MB": round(size / 1e6, 1)}
    files.write_json(zoo_folder / "index.json", entries)
