"""The verbs that make one picture of a run: sample, reconstruct, traverse, interpolate."""

import pathlib

import numpy as np

from tfvae.errors import DataError, UsageError
from tfvae.runtime.environment import import_tensorflow
from tfvae.training import run_folder
from tfvae.training.run_folder import open_run
from tfvae.zoo import load, resolve


def open_run_and_model(path):
    """(run, model) of a run folder."""
    open_run(path)
    import_tensorflow()
    from tfvae.training import trainer

    return run_folder.open_run(path), trainer.load_run(path)


def images_of(run, split, least, most):
    """Between `least` and `most` images of a split, [N, H, W, C], as its data set gives them."""
    from tfvae.training import trainer

    images = trainer.load_split(run.config, split)[0][:most]
    if len(images) < least:
        raise UsageError(f"Expected at least {least} images in split {split!r}. Received: {len(images)}.")
    return images


def own_pictures(places, shape):
    """Picture files, and all those in folders, cut to squares and resized: uint8 [N, *shape]."""
    from tfvae.datasets.image_decoding import convert_to_array, crop_centre_square, open_picture
    from tfvae.datasets.picture_folders import list_pictures

    height, width, channels = shape
    if height != width or channels not in (1, 3):
        raise UsageError(f"Expected a model of square grey or RGB images. Received: {list(shape)}.")
    images = []
    for place in map(pathlib.Path, places):
        for path in list_pictures(place)[0] if place.is_dir() else [place]:
            try:
                images.append(convert_to_array(crop_centre_square(open_picture(path, channels), height)))
            except Exception as error:  # Pillow raises almost anything on damaged bytes
                raise DataError(f"Expected {path} to be a picture. Received: {error}.") from None
    return np.stack(images)


def images_asked(args, run, model, most):
    """The files of --images, or the first `most` images of the split."""
    if args.images:
        return own_pictures(args.images, model.image_shape)
    return images_of(run, args.split, 1, most)


def done(path):
    print(path)
    return 0


def sample(args):
    """``tfvae sample RUN|SAVEDMODEL``: a grid of g(z), z from the prior."""
    resolve.resolve_model_folder(args.run)
    import_tensorflow()
    model = load.load(args.run, args.trust)
    from tfvae.plots import grids, scatter

    told, columns = condition_of(args, model)
    images = model.sample(args.count, (args.seed, 0), temperature=float(args.temperature), **told).numpy()
    if grids.is_points(model.image_shape):
        return done(scatter.draw_scatter(args.output, {"samples": (images, None)}))
    return done(grids.draw_image_grid(images, args.output, columns))


def condition_of(args, model):
    """({"condition": ...} for `sample`, or {}; columns of the grid) from --label, --beta or --kappa."""
    asked = {"labels": args.label or None, "beta": args.beta, "kappa": args.kappa}
    name, value = next(((name, value) for name, value in asked.items() if value is not None), (None, None))
    if name is None:
        return {}, None
    told = getattr(model, "condition", None)
    if told is None or told.name != name:
        seen = f"--condition {told.name}" if told else "no --condition"
        raise UsageError(f"Expected a model with --condition {name} for this flag. Received: one with {seen}.")
    if name != "labels":
        if not told.low <= value <= told.high:
            raise UsageError(f"Expected {name} in [{told.low:g}, {told.high:g}]. Received: {value:g}.")
        return {"condition": float(value)}, None
    if value == "all":
        per_class = max(1, args.count // told.width)
        args.count = per_class * told.width
        return {"condition": np.repeat(np.arange(told.width), per_class)}, per_class
    if not value.isdigit() or int(value) >= told.width:
        raise UsageError(f"Expected --label in 0 to {told.width - 1}, or all. Received: {value!r}.")
    return {"condition": int(value)}, None


def reconstruct(args):
    """``tfvae reconstruct RUN``: images above g(z), z from q(z|x)."""
    run, model = open_run_and_model(args.run)
    import tensorflow as tf

    from tfvae.plots import grids, scatter

    images = images_asked(args, run, model, args.count)
    x = model.prepare_pixels(tf.constant(images), (args.seed, 0)).numpy()
    again = model.reconstruct(tf.constant(x), (args.seed, 1)).numpy()
    if grids.is_points(model.image_shape):
        panels = {"original": (x, None), "reconstruction": (again, None)}
        return done(scatter.draw_scatter(args.output, panels))
    return done(grids.draw_pair_grid(x, again, args.output))


def strip(args):
    """``tfvae strip RUN``: the picture after each step of drawing it."""
    _, model = open_run_and_model(args.run)
    from tfvae.models import latent_views
    from tfvae.reports import run_figures

    told, _ = condition_of(args, model)
    found = latent_views.draw_steps(model, args.count, args.seed, args.steps, float(args.temperature), **told)
    return done(run_figures.draw_step_strip(found, args.output))


def complete(args):
    """``tfvae complete RUN``: images of which the model sees a part, and what it makes of them."""
    run, model = open_run_and_model(args.run)
    from tfvae.models import latent_views
    from tfvae.reports import run_figures

    images = images_asked(args, run, model, args.rows)
    x = model.prepare_pixels(images, (args.seed, 0)).numpy()
    return done(
        run_figures.draw_completions(x, latent_views.complete_images(model, x, args.count, args.seed), args.output)
    )


def traverse(args):
    """``tfvae traverse RUN``: one row for each of the most active latent dimensions."""
    run, model = open_run_and_model(args.run)
    from tfvae.models import latent_views
    from tfvae.plots import grids, latent_figures, scatter

    images = images_of(run, args.split, args.index + 1, max(args.index + 1, 500))
    dims = latent_views.find_active_dimensions(model, images, args.dims)
    found = latent_views.traverse(model, images[args.index], dims, args.span, args.steps)
    if grids.is_points(model.image_shape):
        panels = {f"z[{dim}]": (row, None) for dim, row in zip(dims, found)}
        return done(scatter.draw_scatter(args.output, panels))
    values = latent_views.span_values(args.span, args.steps)
    return done(latent_figures.draw_traversals(found, args.output, names=dims, values=values))


def interpolate(args):
    """``tfvae interpolate RUN``: one row for each pair of neighbours in the split."""
    run, model = open_run_and_model(args.run)
    from tfvae.models import latent_views
    from tfvae.plots import grids, latent_figures, scatter

    images = images_of(run, args.split, 2, 2 * args.rows)
    rows = len(images) // 2
    found = latent_views.interpolate(model, images[:rows], images[rows : 2 * rows], args.steps)
    if grids.is_points(model.image_shape):
        points = found.reshape(-1, 2), np.repeat(np.arange(rows), args.steps)
        return done(scatter.draw_scatter(args.output, {"interpolations": points}))
    return done(latent_figures.draw_interpolations(found, args.output))
