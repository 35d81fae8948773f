"""Entries of the zoo, made from finished runs: the files of an entry, its pictures, and the index of all entries."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.errors import IntegrityError, TfvaeError, UsageError
from tfvae.evaluation.metrics import find_metric
from tfvae.exporting import exporter
from tfvae.models import latent_views
from tfvae.models.vae import VAE
from tfvae.plots import curves, grids
from tfvae.reports.run_figures import draw_completions, draw_points
from tfvae.runtime import files, random_streams
from tfvae.training import trainer
from tfvae.training.published_model import PublishedModel
from tfvae.training.run_data import load_run_split
from tfvae.training.run_folder import Run, open_run
from tfvae.zoo import index
from tfvae.zoo.entry_cards import format_entry_card
from tfvae.zoo.entry_metadata import ENTRY_NAME, METRICS_FILE, SAVEDMODEL_FOLDER, summarize_entry
from tfvae.zoo.measurements import IMAGES, SEED, fingerprint_test_data, load_test_images, measure_entry
from tfvae.zoo.resolve import STATE_FILE, ZooEntry

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
    check_new_name(zoo_folder, name)
    if run.status != "finished":
        raise UsageError(f"Expected a finished run. Received: {run.path} ({run.status}).")
    if isinstance(run, PublishedModel) or not run.rows:
        raise UsageError(f"Expected a run folder with metrics.csv. Received: {run.path}, which shows no training.")
    files.write_folder(zoo_folder / name, lambda folder: write_entry_files(folder, run))
    write_index(zoo_folder)
    return zoo_folder / name


def check_new_name(zoo_folder: pathlib.Path, name: str) -> None:
    """Refuse a name that no entry can have, or that an entry has.

    Raises:
        UsageError: it is such a one.
    """
    try:
        ENTRY_NAME.check(name, "the name of an entry")
    except IntegrityError as error:
        raise UsageError(str(error)) from None
    if os.path.lexists(zoo_folder / name):
        raise UsageError(f"Expected a new name. Received: {name!r}, which the zoo has. Delete its folder first.")


def write_entry_files(folder: pathlib.Path, run: Run) -> None:
    """Write all files of an entry but its manifest into a folder."""
    model, config = trainer.load_run(run), run.config
    files.write_json(folder / "config.json", config.to_public_dict())
    shutil.copy(run.path / "metrics.csv", folder)
    exporter.export_run(run, folder / SAVEDMODEL_FOLDER)
    exported = ZooEntry(folder).open_savedmodel().read_weights(model.variables)
    pairs = enumerate(zip(model.variables, exported))
    np.savez(folder / STATE_FILE, **{f"{i:04d}": variable.numpy() for i, (variable, array) in pairs if array is None})
    load_run_split(run, "test")  # whose images are those that the run began with
    test_data = load_test_images(config)
    metrics = {
        "image_shape": list(run.image_shape),
        "classes": run.classes,
        "class_names": list(run.class_names),
        "test_data_sha256": fingerprint_test_data(test_data),
        "second_stage": "second_stage_of" in run.environment,
        "minutes": run.rows[-1]["seconds"] / 60,
        "images": IMAGES,
        "epochs": config.epochs,
    }
    files.write_json(folder / METRICS_FILE, metrics)  # which the measurement reads
    numbers = {
        name: {"value": value, "tolerance": find_metric(name).tolerance}
        for name, value in measure_entry(folder, test_data).items()
    }
    files.write_json(folder / METRICS_FILE, metrics | {"numbers": numbers})
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
    """Write index.json, a summary of each entry that is not damaged, those that others add meanwhile included."""
    written: dict[str, Any] | None = None
    while (summaries := summarize_entries(zoo_folder)) != written:
        files.write_json(zoo_folder / index.INDEX_FILE, summaries)
        written = summaries


def summarize_entries(zoo_folder: pathlib.Path) -> dict[str, Any]:
    """Return {name: summary} of the entries that are not damaged."""
    summaries = {}
    for folder in index.list_entry_folders(zoo_folder):
        with contextlib.suppress(TfvaeError):  # `tfvae zoo list` names what is damaged
            summaries[folder.name] = summarize_entry(folder)
    return summaries
