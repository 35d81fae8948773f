"""The verbs that make one picture of a run: sample, reconstruct, strip, complete, traverse, interpolate."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tfvae.cli.output_paths import ANIMATION_SUFFIX, PICTURE_SUFFIX
from tfvae.cli.run_loading import check_model_path, open_trusted_run
from tfvae.errors import UsageError
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.memory import check_count_fits
from tfvae.training.run_folder import Run

if TYPE_CHECKING:
    from tfvae.models.vae import VAE


def load_run_and_model(args: argparse.Namespace) -> tuple[Run, VAE]:
    """Return the run that the arguments name, and its trained model."""
    run = open_trusted_run(args.run, args.trust)
    import_tensorflow()
    from tfvae.training import trainer

    return run, trainer.load_run(run, trust_code=args.trust)


def load_split_images(run: Run, split: str, least: int, most: int) -> np.ndarray:
    """Return between `least` and `most` images of a split, [N, H, W, C], as its data set gives them.

    Raises:
        UsageError: there are fewer than `least`.
    """
    from tfvae.training.run_data import load_run_split

    images = load_run_split(run, split)[0][:most]
    if len(images) < least:
        raise UsageError(f"Expected at least {least} images in split {split!r}. Received: {len(images)}.")
    return images


def load_own_images(names: Sequence[str], run: Run, shape: Sequence[int]) -> np.ndarray:
    """Return the images of picture files, folders, .npz files and data sets, [N, *shape]; see `open_image_input`."""
    from tfvae.datasets.image_inputs import open_image_input, read_all

    return read_all([open_image_input(name, shape, raw_dir=run.config.raw_dir or "") for name in names])


def load_images(
    args: argparse.Namespace, run: Run, model: VAE, most: int | None, default: int, least: int = 1
) -> np.ndarray:
    """Return the first `most` pictures of --images, or images of the split; None: all pictures, `default` images.

    Raises:
        UsageError: there are fewer than `least`.
    """
    if not args.images:
        return load_split_images(run, args.split, least, most or default)
    images = load_own_images(args.images, run, model.image_shape)[:most]
    if len(images) < least:
        raise UsageError(f"Expected at least {least} images. Received: {len(images)}.")
    return images


def print_path(path: str | pathlib.Path) -> int:
    """Print the path of the picture that was written, and return the exit code 0."""
    print(path)
    return 0


def draws_animation(args: argparse.Namespace) -> bool:
    """Return whether -o names an animation."""
    return pathlib.Path(args.output).suffix.lower() == ANIMATION_SUFFIX


def sample(args: argparse.Namespace) -> int:
    """Run ``tfvae sample RUN|SAVEDMODEL|zoo:NAME``: a grid of images g(z), z from the prior, or a picture of each."""
    if args.separate and args.output != args.parser.get_default("output"):
        raise UsageError("Expected --output for a grid, or --separate for a picture of each image. Received: both.")
    check_model_path(args.run, args.trust)
    import_tensorflow()
    from tfvae.inference import picture_files
    from tfvae.plots import grids, scatter
    from tfvae.zoo import load

    model = load.load(args.run, args.trust)
    if args.separate:
        picture_files.check_pictures(pathlib.Path(args.separate), model.image_shape)
    check_count_fits(args.count, model.image_shape)
    condition, columns = read_condition(args, model)
    images = np.asarray(model.sample(args.count, (args.seed, 0), temperature=float(args.temperature), **condition))
    if args.separate:
        picture_files.write_images([images], pathlib.Path(args.separate))
        return print_path(args.separate)
    if grids.is_points(images.shape[1:]):
        return print_path(scatter.draw_scatter(args.output, {"samples": (images, None)}))
    return print_path(grids.draw_image_grid(images, args.output, columns))


def read_condition(args: argparse.Namespace, model: Any) -> tuple[dict[str, Any], int | None]:
    """Return what --label, --beta or --kappa asks for: ({"condition": ...} or {}, columns of the grid).

    ``--label all`` changes the count to as many images of each class.

    Raises:
        UsageError: the model has another condition, or the value is out of its range or means no class.
    """
    flags = {"labels": getattr(args, "label", None), "beta": args.beta, "kappa": args.kappa}
    given = {name: value for name, value in flags.items() if value is not None}
    if not given:
        return {}, None
    name, value = next(iter(given.items()))
    condition = getattr(model, "condition", None)
    if condition is None or condition.name != name:
        received = f"--condition {condition.name}" if condition else "no --condition"
        raise UsageError(f"Expected a model with --condition {name} for this flag. Received: one with {received}.")
    if condition.is_range:
        if not condition.low <= value <= condition.high:
            raise UsageError(f"Expected {name} in [{condition.low:g}, {condition.high:g}]. Received: {value:g}.")
        return {"condition": float(value)}, None
    if value == "all":
        per_class = max(1, args.count // condition.width)
        args.count = per_class * condition.width
        return {"condition": np.repeat(np.arange(condition.width), per_class)}, per_class
    return {"condition": condition.find_label(value)}, None


def reconstruct(args: argparse.Namespace) -> int:
    """Run ``tfvae reconstruct RUN``: images above g(z), z from q(z|x), or a picture g(z) of each image."""
    run, model = load_run_and_model(args)
    if pathlib.Path(args.output).suffix.lower() != PICTURE_SUFFIX:
        return reconstruct_each(args, run, model)
    from tfvae.plots import grids, scatter

    images = load_images(args, run, model, args.count, 32)
    check_count_fits(len(images), model.image_shape)
    x, reconstructions = map(np.concatenate, zip(*iterate_reconstructions(model, images, args.seed), strict=True))
    if grids.is_points(model.image_shape):
        panels = {"original": (x, None), "reconstruction": (reconstructions, None)}
        return print_path(scatter.draw_scatter(args.output, panels))
    return print_path(grids.draw_pair_grid(x, reconstructions, args.output))


def reconstruct_each(args: argparse.Namespace, run: Run, model: VAE) -> int:
    """Write the reconstruction of each image on its own, in a folder under the name of its source, or in an .npz."""
    from tfvae.datasets.image_inputs import read_all
    from tfvae.inference import picture_files
    from tfvae.inference.codes import open_inputs

    path = pathlib.Path(args.output)
    picture_files.check_pictures(path, model.image_shape)
    count = args.count or (0 if args.images else 32)  # 0: all
    inputs = open_inputs(run, args.images, args.split, count)
    names = picture_files.name_pictures([name for part in inputs for name in part.names][: count or None])
    images = read_all(inputs)[: count or None]
    check_count_fits(len(images), model.image_shape)
    batches = (reconstructions for _, reconstructions in iterate_reconstructions(model, images, args.seed))
    picture_files.write_images(batches, path, names)
    return print_path(path)


def iterate_reconstructions(model: VAE, images: np.ndarray, seed: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (pixels, reconstructions), [n, H, W, C] each, of a batch of images at a time."""
    from tfvae.inference.codes import IMAGES_AT_ONCE

    for index, start in enumerate(range(0, len(images), IMAGES_AT_ONCE)):
        x = model.prepare_pixels(images[start : start + IMAGES_AT_ONCE], (seed, 2 * index))
        yield np.asarray(x), np.asarray(model.reconstruct(x, (seed, 2 * index + 1)))


def strip(args: argparse.Namespace) -> int:
    """Run ``tfvae strip RUN``: the picture after each step of drawing it."""
    _, model = load_run_and_model(args)
    from tfvae.inference import animations
    from tfvae.models import latent_views
    from tfvae.reports import run_figures

    check_count_fits(args.count * max(args.steps, getattr(model.arch, "steps", 1)), model.image_shape)
    condition, _ = read_condition(args, model)
    steps = latent_views.draw_steps(model, args.count, args.seed, args.steps, float(args.temperature), **condition)
    if draws_animation(args):
        return print_path(animations.write_animation(steps, args.output))
    return print_path(run_figures.draw_step_strip(steps, args.output))


def complete(args: argparse.Namespace) -> int:
    """Run ``tfvae complete RUN``: images of which the model sees a part, and how it completes them."""
    run, model = load_run_and_model(args)
    from tfvae.models import latent_views
    from tfvae.reports import run_figures

    images = load_images(args, run, model, args.rows, 8)
    check_count_fits(len(images) * args.count, model.image_shape)
    x = model.prepare_pixels(images, (args.seed, 0)).numpy()
    completions = latent_views.complete_images(model, x, args.count, args.seed)
    return print_path(run_figures.draw_completions(x, completions, args.output))


def traverse(args: argparse.Namespace) -> int:
    """Run ``tfvae traverse RUN``: one row for each of the most active latent dimensions."""
    run, model = load_run_and_model(args)
    from tfvae.inference import animations
    from tfvae.models import latent_views
    from tfvae.plots import grids, latent_figures, scatter

    images = load_split_images(run, args.split, args.index + 1, max(args.index + 1, 500))
    dims = latent_views.find_active_dimensions(model, images, args.dims)
    check_count_fits(len(dims) * args.steps, model.image_shape)
    rows = latent_views.traverse(model, images[args.index], dims, args.span, args.steps)
    if draws_animation(args):
        return print_path(animations.write_animation(rows, args.output))
    if grids.is_points(model.image_shape):
        panels = {f"z[{dim}]": (row, None) for dim, row in zip(dims, rows)}
        return print_path(scatter.draw_scatter(args.output, panels))
    values = latent_views.span_values(args.span, args.steps)
    return print_path(latent_figures.draw_traversals(rows, args.output, names=dims, values=values))


def interpolate(args: argparse.Namespace) -> int:
    """Run ``tfvae interpolate RUN``: one row for each pair of images that follow each other."""
    run, model = load_run_and_model(args)
    from tfvae.inference import animations
    from tfvae.models import latent_views
    from tfvae.plots import grids, latent_figures, scatter

    images = load_images(args, run, model, args.rows and 2 * args.rows, 16, least=2)
    if args.images and len(images) % 2:
        raise UsageError(f"Expected pairs of images. Received: {len(images)}; give one more, or one less.")
    rows = len(images) // 2
    check_count_fits(rows * args.steps, model.image_shape)
    paths = latent_views.interpolate(model, images[: 2 * rows : 2], images[1 : 2 * rows : 2], args.steps)
    if draws_animation(args):
        return print_path(animations.write_animation(paths, args.output))
    if grids.is_points(model.image_shape):
        points = paths.reshape(-1, 2), np.repeat(np.arange(rows), args.steps)
        return print_path(scatter.draw_scatter(args.output, {"interpolations": points}))
    return print_path(latent_figures.draw_interpolations(paths, args.output))
