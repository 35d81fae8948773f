"""The flags of ``tfvae score``."""

from __future__ import annotations

import argparse

from tfvae.cli.flags import (
    MODEL,
    add_count,
    add_json,
    add_limit,
    add_range,
    add_split,
    add_trust,
    make_integer_parser,
    parse_number,
    split_values,
)
from tfvae.cli.output_paths import parse_code_path, parse_picture_path

KINDS = ("excess", "error", "elbo", "bound", "rate", "typicality")


def build_score(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae score``."""
    parser.add_argument("run", metavar="MODEL", help=MODEL)
    text = "picture files, folders, .npz files or data sets (default: the model's own data)"
    parser.add_argument("images", nargs="*", metavar="IMAGES", help=text)
    text = "the file to write, .csv, .npz or .parquet (default: scores.csv; with --json: none)"
    parser.add_argument("-o", "--output", type=parse_code_path, default=None, metavar="FILE", help=text)
    text = f"the score: excess (default), the error beside that of images with as much detail; {', '.join(KINDS[1:])}"
    parser.add_argument("--by", choices=KINDS, default=KINDS[0], metavar="KIND", help=text)
    text = "flag at most this share of normal images (default: 0.05)"
    parser.add_argument("--false-alarms", type=parse_share, default=0.05, metavar="X", help=text)
    text = "normal images that the model was not trained on (default: its validation split, or else its test split)"
    parser.add_argument("--calibrate", nargs="+", default=[], metavar="IMAGES", help=text)
    truth = parser.add_mutually_exclusive_group()
    text = "a CSV file with columns file and label (normal or anomalous, 0 or 1): measure how well they are told apart"
    truth.add_argument("--labels", default=None, metavar="CSV", help=text)
    text = "the same, where images of these classes are normal and all others anomalous"
    truth.add_argument("--normal", type=parse_classes, default=None, metavar="N,...", help=text)
    text = "also draw the most and the least typical images with maps of their errors"
    parser.add_argument("--sheet", type=parse_picture_path, default=None, metavar="PNG", help=text)
    add_count(parser, "--samples", 16, "draws of z per image for ELBO and bound")
    add_count(parser, "--seed", 0, "seed of the draws", least=0)
    add_split(parser)
    add_limit(parser)
    add_range(parser.add_mutually_exclusive_group())
    add_json(parser)
    add_trust(parser)


def parse_share(text: str) -> float:
    """Return a number between 0 and 1, both excluded.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    value = parse_number(text)
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"expected a number between 0 and 1, received {text!r}")
    return value


def parse_classes(text: str) -> list[int]:
    """Return the numbers of classes in '0,3,4'.

    Raises:
        argparse.ArgumentTypeError: a number that is none.
    """
    return [make_integer_parser(0)(word) for word in split_values(text)]
