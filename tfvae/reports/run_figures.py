"""The pictures of a finished run: curves, GECO's trace, grids, latent space; and the report that shows them all."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.models import latent_views
from tfvae.models.latent_statistics import encode_means, measure_kl_per_dimension
from tfvae.objectives.geco.constraint_status import describe_constraints
from tfvae.plots import curves, grids, latent_figures, scatter
from tfvae.reports.run_report import write_report
from tfvae.training import trainer
from tfvae.training.run_data import load_run_split
from tfvae.training.run_folder import Run

SAMPLE_COUNT, RECONSTRUCTION_COUNT, TRAVERSED_DIMENSIONS = 64, 40, 10
MOST_IMAGES = 2000  # of the split, for statistics of the latent space


def write_epoch_samples(run: Run, model: Any, epoch: int) -> None:
    """Draw samples of the same z after epochs 1, 2, 5, 10, 20, 50, ... as ``samples/epoch-0001.png``.

    Args:
        run: the run that is trained.
        model: its model, as it is after this epoch.
        epoch: the epoch that has ended, from 1.
    """
    if str(epoch).rstrip("0") in ("1", "2", "5") and not grids.is_points(model.image_shape):
        images = model.sample(SAMPLE_COUNT, (run.config.seed, 2)).numpy()
        grids.draw_image_grid(images, run.path / "samples" / f"epoch-{epoch:04d}.png")


def draw_run_figures(run: Run) -> list[pathlib.Path]:
    """Draw all figures that suit the model into ``plots/`` and ``samples/``, and ``report.html``; return the paths.

    Args:
        run: a trained run; one that was made of an exported model has no metrics, and so no curves.

    Example:
        draw_run_figures(open_run("runs/latest"))
    """
    config, rows, model = run.config, run.rows, trainer.load_run(run.path)
    split = "validation" if config.validation else "test"
    images, labels = load_run_split(run, split)
    images, labels = images[:MOST_IMAGES], labels[:MOST_IMAGES]
    kl = measure_kl_per_dimension(model, images)
    plots = [
        *(draw_curves(run, model, rows) if rows else ()),
        latent_figures.draw_kl_per_dimension(kl, run.path / "plots" / "kl_per_dimension.png"),
    ]
    is_points = grids.is_points(model.image_shape)
    samples = draw_points(run, model, images, labels) if is_points else draw_images(run, model, images)
    facts = [(f"constraint {i}", line) for i, line in enumerate(describe_constraints(model, rows), 1)]
    facts += [(name, f"{rows[-1][name]:.5g}") for name in ("elbo", "rate", "distortion", "sq_err") if rows]
    report = write_report(run.path, config.to_dict(), run.environment, rows, facts, plots, samples)
    return [*plots, *samples, report]


def draw_curves(run: Run, model: Any, rows: list[dict[str, Any]]) -> list[pathlib.Path]:
    """Draw the training curves and, of a model with constraints, GECO's trace into ``plots/``; return the paths."""
    folder, title = run.path / "plots", f"{run.config.objective} on {run.config.dataset}"
    paths = [curves.draw_training_curves(rows, folder / "curves.png", title)]
    constraints = [{"text": one.text, "target": one.scale} for one in getattr(model, "constraints", ())]
    if constraints:
        paths.append(curves.draw_geco_trace(rows, folder / "geco.png", constraints, title))
    return paths


def draw_images(run: Run, model: Any, images: np.ndarray) -> list[pathlib.Path]:
    """Draw reconstructions, samples and views of the latent space into ``samples/``; return the paths.

    Args:
        run: the run.
        model: its model.
        images: of the split, as the data set gives them, [N,H,W,C].
    """
    folder, seed = run.path / "samples", run.config.seed
    x = model.prepare_pixels(tf.constant(images[:SAMPLE_COUNT]), (seed, 0)).numpy()
    originals = x[:RECONSTRUCTION_COUNT]
    reconstructions = model.reconstruct(originals, (seed, 1)).numpy()
    samples = model.sample(SAMPLE_COUNT, (seed, 2)).numpy()
    paths = [
        grids.draw_pair_grid(originals, reconstructions, folder / "reconstructions.png"),
        grids.draw_image_grid(samples, folder / "samples.png"),
    ]
    if model.arch.draws_in_steps:
        paths.append(draw_step_strip(latent_views.draw_steps(model, 8, seed), folder / "strip.png"))
    if model.condition is not None and model.condition.map_shape:  # such a model cannot decode codes alone
        completions = latent_views.complete_images(model, x[:8], 8, seed)
        return [*paths, draw_completions(x[:8], completions, folder / "completions.png")]
    return paths + _draw_latent_views(model, images, x, folder)


def _draw_latent_views(model: Any, images: np.ndarray, x: np.ndarray, folder: pathlib.Path) -> list[pathlib.Path]:
    """Draw interpolations, the manifold (of two latents) and traversals; return the paths."""
    paths = []
    rows = min(8, len(x) // 2)
    if rows:
        steps = latent_views.interpolate(model, x[:rows], x[rows : 2 * rows])
        paths.append(latent_figures.draw_interpolations(steps, folder / "interpolations.png"))
    if model.arch.latent == 2:
        paths.append(latent_figures.draw_manifold(latent_views.decode_manifold(model), folder / "manifold.png"))
    dims = latent_views.find_active_dimensions(model, tf.constant(images[:SAMPLE_COUNT]), TRAVERSED_DIMENSIONS)
    kl = measure_kl_per_dimension(model, images)[dims]
    values = latent_views.span_values()
    traversals = latent_views.traverse(model, x[0], dims)
    path = folder / "traversals.png"
    paths.append(latent_figures.draw_traversals(traversals, path, names=dims, values=values, kl=kl))
    return paths


def draw_step_strip(steps: np.ndarray, path: str | pathlib.Path) -> pathlib.Path:
    """Draw a row for each sample and a column for each step, and return the path.

    Args:
        steps: the images after each step, [N,S,H,W,C].
        path: the PNG to write.
    """
    names = [str(step + 1) for step in range(steps.shape[1])]
    return grids.draw_image_grid(steps.reshape(-1, *steps.shape[2:]), path, steps.shape[1], column_labels=names)


def draw_completions(images: np.ndarray, completions: np.ndarray, path: str | pathlib.Path) -> pathlib.Path:
    """Draw a row for each image: the image, the part that the model sees, and completions of it; return the path.

    Args:
        images: [N,H,W,C].
        completions: what `latent_views.complete_images` returns, [N,1+S,H,W,C]: the visible part, then S completions.
        path: the PNG to write.
    """
    board = np.concatenate([np.asarray(images)[:, None], completions], axis=1)
    names = ["image", "shown", *[""] * (completions.shape[1] - 1)]
    return grids.draw_image_grid(board.reshape(-1, *board.shape[2:]), path, board.shape[1], column_labels=names)


def draw_points(run: Run, model: Any, points: np.ndarray, labels: np.ndarray) -> list[pathlib.Path]:
    """Draw two-dimensional toy data, reconstructions, samples and codes as ``samples/points.png``; return its path.

    Args:
        run: the run.
        model: its model.
        points: data, [N,1,2,1].
        labels: [N], which colour the points.
    """
    seed = run.config.seed
    z = encode_means(model, points)
    if z.shape[1] == 1:  # a line of codes is unreadable: spread it sideways, as Idler (2022) does
        z = np.stack([z[:, 0], np.random.default_rng(seed).normal(0, 0.1, len(z))], axis=1)
    panels = {
        "original": (points, labels),
        "reconstruction": (model.reconstruct(tf.constant(points), (seed, 1)).numpy(), labels),
        "samples": (model.sample(len(points), (seed, 2)).numpy(), None),
        "latent means": (z[:, :2], labels),
    }
    return [scatter.draw_scatter(run.path / "samples" / "points.png", panels)]
