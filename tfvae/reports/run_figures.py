"""The pictures of a finished run: curves, GECO's trace, grids, latent space; and the report that shows them all."""

import numpy as np
import tensorflow as tf

from tfvae.models import latent_views
from tfvae.models.latent_statistics import encode_means, kl_per_dimension
from tfvae.objectives.geco.constraint_status import describe_constraints
from tfvae.plots import curves, grids, latent_figures
from tfvae.reports.run_report import write_report
from tfvae.runtime import files
from tfvae.training import trainer

SHOWN, TRAVERSED = 64, 10


def watch(run, model, epoch):
    """Samples of the same z after epochs 1, 2, 5, 10, 20, 50, ...: ``samples/epoch-0001.png``, to see it learn."""
    if str(epoch).rstrip("0") in ("1", "2", "5") and not grids.is_points(model.image_shape):
        images = model.sample(SHOWN, (run.config.seed, 2)).numpy()
        grids.image_grid(images, run.path / "samples" / f"epoch-{epoch:04d}.png")


def draw_run(run):
    """Draw everything that suits the model into ``plots/`` and ``samples/``, and ``report.html``: -> paths."""
    config, rows, model = run.config, run.rows, trainer.load_run(run.path)
    split = "validation" if config.validation else "test"
    images, labels = trainer.load_split(config, split)
    images, labels = images[:2000], labels[:2000]
    plots = draw_curves(run, model, rows) + [
        latent_figures.kl_per_dimension(kl_per_dimension(model, images), run.path / "plots" / "kl_per_dimension.png")
    ]
    points = grids.is_points(model.image_shape)
    samples = draw_points(run, model, images, labels) if points else draw_images(run, model, images)
    facts = [(f"constraint {i}", line) for i, line in enumerate(describe_constraints(model, rows), 1)]
    facts += [(name, f"{rows[-1][name]:.5g}") for name in ("elbo", "rate", "distortion", "sq_err")]
    environment = files.read_json(run.path / "env.json")
    report = write_report(run.path, config.to_dict(), environment, rows, facts, plots, samples)
    return [*plots, *samples, report]


def draw_curves(run, model, rows):
    folder, title = run.path / "plots", f"{run.config.objective} on {run.config.dataset}"
    drawn = [curves.training_curves(rows, folder / "curves.png", title)]
    bounds = getattr(model, "constraints", ())
    if bounds:
        named = [{"text": bound.text, "target": bound.scale} for bound in bounds]
        drawn.append(curves.geco_trace(rows, folder / "geco.png", named, title))
    return drawn


def draw_images(run, model, images):
    folder, seed = run.path / "samples", run.config.seed
    shown = tf.constant(images[:SHOWN])
    x = model.prepare_pixels(shown, (seed, 0)).numpy()
    drawn = [
        grids.pair_grid(x[:40], model.reconstruct(x[:40], (seed, 1)).numpy(), folder / "reconstructions.png"),
        grids.image_grid(model.sample(SHOWN, (seed, 2)).numpy(), folder / "samples.png"),
    ]
    if model.arch.draws_in_steps:
        drawn.append(step_strip(latent_views.draw_steps(model, 8, seed), folder / "strip.png"))
    if (
        model.condition is not None and model.condition.map_shape
    ):  # what follows decodes codes alone, which such a model cannot read
        return [
            *drawn,
            completion_grid(x[:8], latent_views.complete_images(model, x[:8], 8, seed), folder / "completions.png"),
        ]
    rows = min(8, len(x) // 2)
    if rows:
        between = latent_views.interpolate(model, x[:rows], x[rows : 2 * rows])
        drawn.append(latent_figures.interpolation_grid(between, folder / "interpolations.png"))
    if model.arch.latent == 2:
        drawn.append(latent_figures.manifold_2d(latent_views.decode_manifold(model), folder / "manifold.png"))
    dims = latent_views.find_active_dimensions(model, shown, TRAVERSED)
    kl = kl_per_dimension(model, images)[dims]
    values = latent_views.span_values()
    across = latent_views.traverse(model, x[0], dims)
    drawn.append(latent_figures.traversal_grid(across, folder / "traversals.png", names=dims, values=values, kl=kl))
    return drawn


def step_strip(found, path):
    """[N, S, H, W, C] -> a row for each sample, a column for each step."""
    names = [str(step + 1) for step in range(found.shape[1])]
    return grids.image_grid(found.reshape(-1, *found.shape[2:]), path, found.shape[1], column_labels=names)


def completion_grid(images, found, path):
    """A row for each image: itself, what the model is shown, the ways it goes on."""
    board = np.concatenate([np.asarray(images)[:, None], found], axis=1)
    names = ["image", "shown", *[""] * (found.shape[1] - 1)]
    return grids.image_grid(board.reshape(-1, *board.shape[2:]), path, board.shape[1], column_labels=names)


def draw_points(run, model, points, labels):
    seed, flat = run.config.seed, len(points)
    z = encode_means(model, points)
    if z.shape[1] == 1:  # a line of codes is unreadable: spread it sideways, as seed 002 does
        z = np.stack([z[:, 0], np.random.default_rng(seed).normal(0, 0.1, len(z))], axis=1)
    panels = {
        "original": (points, labels),
        "reconstruction": (model.reconstruct(tf.constant(points), (seed, 1)).numpy(), labels),
        "samples": (model.sample(flat, (seed, 2)).numpy(), None),
        "latent means": (z[:, :2], labels),
    }
    return [grids.points_scatter(run.path / "samples" / "points.png", panels)]
