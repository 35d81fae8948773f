"""The verbs encode, decode and neighbours: images into codes, codes into pictures, and what is near them."""

from __future__ import annotations

import argparse
import pathlib
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from tfvae.cli.run_loading import open_trusted_run
from tfvae.cli.sampling_verbs import read_condition
from tfvae.errors import UsageError
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.progress_reporters import make_reporter

PROGRESS_SECONDS = 10.0
DEFAULT_SAMPLES = 16
Part = TypeVar("Part")


def show_progress(parts: Iterable[Part], count: int, size: int) -> Iterator[Part]:
    """Yield the parts of a long work, and say every ten seconds how many of `count` images are done."""
    reporter, last = make_reporter(), time.monotonic()
    for number, part in enumerate(parts, start=1):
        yield part
        if time.monotonic() - last > PROGRESS_SECONDS:
            last = time.monotonic()
            reporter.line(f"{min(number * size, count):,} of {count:,} images")
    reporter.close()


def encode(args: argparse.Namespace) -> int:
    """Run ``tfvae encode MODEL [IMAGES...]``: write mean and stddev of q(z|x), or draws, of each image."""
    run = open_trusted_run(args.run, args.trust)
    import_tensorflow()
    from tfvae.datasets.image_inputs import count_images
    from tfvae.inference import code_files, codes
    from tfvae.training import trainer

    path = pathlib.Path(args.output)
    inputs = codes.open_inputs(run, args.images, args.split, args.limit)
    model = trainer.load_run(run, trust_code=args.trust)
    condition, _ = read_condition(args, model)
    parts = codes.iterate_codes(model, inputs, args.draws, args.seed, **condition)
    count = count_images(inputs)
    code_files.write_codes(show_progress(parts, count, codes.IMAGES_AT_ONCE), path)
    what = f"{args.draws} draws each" if args.draws else "mean and stddev"
    print(f"{path}  {count:,} images, {model.arch.latent} latents: {what}")
    return 0


def decode(args: argparse.Namespace) -> int:
    """Run ``tfvae decode MODEL CODES``: write the picture g(z) of each code."""
    run = open_trusted_run(args.run, args.trust)
    import_tensorflow()
    from tfvae.inference import code_files, codes, picture_files
    from tfvae.training import trainer

    path = pathlib.Path(args.output)
    picture_files.check_pictures(path, run.image_shape)
    if args.label == "all":
        raise UsageError("Expected one class for --label: each code is one picture. Received: all.")
    z = code_files.read_codes(pathlib.Path(args.codes))
    model = trainer.load_run(run, trust_code=args.trust)
    condition, _ = read_condition(args, model)
    images = show_progress(codes.iterate_images(model, z, **condition), len(z), codes.IMAGES_AT_ONCE)
    picture_files.write_images(images, path)
    print(f"{path}  {len(z):,} images")
    return 0


def neighbours(args: argparse.Namespace) -> int:
    """Run ``tfvae neighbours MODEL [IMAGES...]``: the nearest training pictures, by codes and by pixels."""
    if args.images and args.samples is not None:
        raise UsageError("Expected --samples without IMAGES, which it stands for. Received: both.")
    run = open_trusted_run(args.run, args.trust)
    import_tensorflow()
    from tfvae.inference import nearest_pictures, neighbour_files
    from tfvae.plots.grids import is_points
    from tfvae.training.run_data import load_run_split

    if args.sheet and is_points(run.image_shape):
        raise UsageError("Expected a model of pictures for --sheet. Received: one of points.")
    names = ("count", "split", "limit", "seed", "trust")
    settings = {name: getattr(args, name) for name in names} | {"samples": args.samples or DEFAULT_SAMPLES}
    found = nearest_pictures.find_neighbours(run, args.images, **settings)
    path = pathlib.Path(args.output)
    neighbour_files.write_neighbours(found, path)
    print(f"{path}  {len(found.names):,} images, {args.count} training pictures each by codes and by pixels")
    if args.sheet:
        print(neighbour_files.draw_neighbours(found, load_run_split(run, "train")[0], args.sheet))
    return 0
