"""The verbs encode and decode: images into files of codes, and codes into pictures."""

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
