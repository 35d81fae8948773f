"""The verbs of the command line: what each does, its flags, and the function that runs it.

Nothing here imports TensorFlow, NumPy or the parts: flags come from `Config` and from the parts' source.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import NamedTuple

from tfvae.cli.action_parsers import build_data, build_experiment, build_runs, build_zoo
from tfvae.cli.flags import (
    MODEL,
    add_condition,
    add_count,
    add_json,
    add_limit,
    add_output_folder,
    add_picture,
    add_range,
    add_root,
    add_run,
    add_run_dir,
    add_split,
    add_split_or_images,
    add_temperature,
    add_trust,
    parse_positive_number,
)
from tfvae.cli.objective_parsers import build_sweep, build_train
from tfvae.cli.output_paths import (
    parse_code_path,
    parse_csv_path,
    parse_images_path,
    parse_picture_or_animation_path,
    parse_picture_path,
    parse_sheet_or_images_path,
)
from tfvae.cli.score_parsers import build_score
from tfvae.cli.server_flags import add_server


def build_compare(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae compare``."""
    parser.add_argument("runs", nargs="+", metavar="RUN", help=f"each a {MODEL}")
    text = "the folder to write (default: comparison)"
    add_output_folder(parser, "comparison", text)
    add_split(parser)
    add_draws(parser)
    add_limit(parser)
    add_trust(parser)
    add_json(parser)


def add_draws(parser: argparse.ArgumentParser) -> None:
    """Add --samples of the bound on log p(x)."""
    add_count(parser, "--samples", 100, "draws of z per image for the bound on log p(x)")


def build_resume(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae resume``."""
    add_run(parser, "run folder")
    add_count(parser, "--epochs", None, "train up to this epoch instead of the one set at the start")


def build_second_stage(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae second-stage``."""
    add_run(parser)
    prior = "mixture:components=100"
    parser.add_argument("--prior", default=prior, metavar="SPEC", help=f"the prior to fit (default: {prior})")
    add_run_dir(parser)
    add_root(parser)


def build_evaluate(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae evaluate``."""
    add_run(parser)
    text = "measure other images: a data set, a folder, a picture or .npz file (default: the model's own data)"
    parser.add_argument("--dataset", default="", metavar="NAME", help=text)
    add_split(parser)
    add_count(parser, "--pictures", 0, "also compare N samples with the split's images", least=0)
    text = (
        "compare them by the features of lenet (trained on the data set's labels), inception, or a SavedModel "
        "(default: lenet)"
    )
    parser.add_argument("--extractor", default="lenet", metavar="NAME", help=text)
    add_draws(parser)
    add_limit(parser)
    add_count(parser, "--seed", 0, "seed of the draws", least=0)
    add_json(parser)


def build_sample(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae sample``."""
    add_picture(parser, "samples.png")
    text = "write one picture for each image instead: a folder of PNG files to create, or an .npz file"
    parser.add_argument("--separate", type=parse_images_path, default=None, metavar="DIR", help=text)
    add_count(parser, "-n --count", 64, "draw N images")
    add_condition(parser)
    add_temperature(parser)


def add_picture_or_animation(parser: argparse.ArgumentParser, name: str, seed: bool = True) -> None:
    """Add what all verbs share that make a picture of steps, or of each step a frame."""
    text = "the file to write, .gif: as an animation"
    add_picture(parser, name, seed, parse=parse_picture_or_animation_path, text=text)


def build_strip(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae strip``."""
    add_picture_or_animation(parser, "strip.png")
    add_count(parser, "-n --count", 8, "draw N samples, one a row")
    add_count(parser, "--steps", 0, "draw each in N steps; 0: as in training", least=0)
    add_condition(parser)
    add_temperature(parser)


def build_complete(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae complete``."""
    add_picture(parser, "completions.png")
    add_split_or_images(parser)
    add_count(parser, "--rows", None, "complete N images (default: 8 of the split, or all of --images)")
    add_count(parser, "-n --count", 8, "complete each in N ways")


def build_rd_curve(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae rd-curve``."""
    add_run(parser)
    add_output_folder(parser, "", "the folder to write (default: plots/ of the run; of other models the current one)")
    add_split(parser)
    add_count(parser, "--points", 9, "measure at N values of beta or kappa", least=2)
    add_limit(parser)


def build_reconstruct(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae reconstruct``."""
    text = (
        "a PNG file of images above reconstructions, or a folder to create, or an .npz file, for each reconstruction "
        "alone"
    )
    add_picture(parser, "reconstructions.png", parse=parse_sheet_or_images_path, metavar="PATH", text=text)
    add_split_or_images(parser)
    add_count(parser, "-n --count", None, "reconstruct N images (default: 32 of the split, or all of --images)")


def build_encode(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae encode``."""
    parser.add_argument("run", metavar="MODEL", help=MODEL)
    text = "picture files, folders, .npz files or data sets (default: the model's own data)"
    parser.add_argument("images", nargs="*", metavar="IMAGES", help=text)
    text = "the file to write, .csv, .npz or .parquet (default: codes.csv)"
    parser.add_argument("-o", "--output", type=parse_code_path, default="codes.csv", metavar="FILE", help=text)
    add_split(parser)
    add_limit(parser)
    add_count(parser, "--draws", 0, "write N draws of each image instead of mean and stddev", least=0)
    add_count(parser, "--seed", 0, "seed of the draws", least=0)
    add_range(parser.add_mutually_exclusive_group())
    add_trust(parser)


def build_neighbours(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae neighbours``."""
    parser.add_argument("run", metavar="MODEL", help=MODEL)
    text = "picture files, folders, .npz files or data sets (default: samples of the model)"
    parser.add_argument("images", nargs="*", metavar="IMAGES", help=text)
    text = "the file to write (default: neighbours.csv)"
    parser.add_argument("-o", "--output", type=parse_csv_path, default="neighbours.csv", metavar="CSV", help=text)
    text = "also draw the first 16 images beside their neighbours"
    parser.add_argument("--sheet", type=parse_picture_path, default=None, metavar="PNG", help=text)
    add_count(parser, "-n --count", 5, "find N training pictures for each image")
    add_count(parser, "--samples", None, "look at N samples of the model (default: 16, where no IMAGES are named)")
    add_count(parser, "--seed", 0, "seed of the samples", least=0)
    add_split(parser)
    add_limit(parser)
    add_trust(parser)


def build_decode(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae decode``."""
    parser.add_argument("run", metavar="MODEL", help=MODEL)
    text = "a file that  tfvae encode  wrote, or any .csv with columns z_0, z_1, ..., or .npz with an array z"
    parser.add_argument("codes", metavar="CODES", help=text)
    text = "the folder of PNG files to create, numbered as the codes, or an .npz file (default: decoded)"
    parser.add_argument("-o", "--output", type=parse_images_path, default="decoded", metavar="DIR", help=text)
    add_condition(parser)
    add_trust(parser)


def build_traverse(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae traverse``."""
    add_picture_or_animation(parser, "traversals.png", seed=False)
    add_split(parser)
    add_count(parser, "--dims", 10, "change the N most active latent dimensions")
    add_count(parser, "--steps", 9, "draw N values of each", least=2)
    add_count(parser, "--index", 0, "begin at image number N of the split", least=0)
    text = "go from -X to X standard deviations of the prior (default: 3)"
    parser.add_argument("--span", type=parse_positive_number, default=3, metavar="X", help=text)


def build_interpolate(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae interpolate``."""
    add_picture_or_animation(parser, "interpolations.png", seed=False)
    add_split_or_images(parser)
    add_count(parser, "--rows", None, "connect N pairs of images (default: 8 of the split, or all of --images)")
    add_count(parser, "--steps", 9, "draw N images in each row", least=2)


def build_export(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae export``."""
    parser.add_argument("run", metavar="RUN", help=MODEL)
    text = "folder that gets DIR/1, DIR/2, ... as TensorFlow Serving expects them"
    parser.add_argument("directory", metavar="DIR", help=text)
    add_count(parser, "--version", None, "number of the version (default: the next free one)")
    formats = ("savedmodel", "litert", "onnx", "openvino")
    text = f"savedmodel (default), or the decoder alone as {', '.join(formats[1:-1])} or {formats[-1]}"
    parser.add_argument("--format", choices=formats, default="savedmodel", metavar="FORMAT", help=text)
    add_trust(parser)


def build_serve(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae serve``."""
    add_server(parser, 8501, "the REST API")
    text = "auto (default): TensorFlow Serving's tensorflow_model_server where it is installed, else python"
    backends = ("auto", "tensorflow_model_server", "python")
    parser.add_argument("--backend", choices=backends, default="auto", metavar="BACKEND", help=text)


def build_explore(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae explore``."""
    add_server(parser, 8510, "the page")
    text = "show a model of a TensorFlow Serving that runs already: http://HOST:8501/v1/models/NAME"
    parser.add_argument("--server", default="", metavar="URL", help=text)
    parser.add_argument("--no-browser", action="store_true", help="print the address, but open no browser")


def build_inspect(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae inspect``."""
    parser.add_argument("path", metavar="PATH", help="SavedModel, run folder or zoo:NAME")
    add_json(parser)


class Verb(NamedTuple):
    """A verb of the command line.

    Attributes:
        text: what it does, for the help.
        build: adds its flags to a parser.
        home: ``module:function`` that runs it with the arguments and returns the exit code.
    """

    text: str
    build: Callable[[argparse.ArgumentParser], None]
    home: str


TRAINING, SAMPLING = "tfvae.cli.training_verbs", "tfvae.cli.sampling_verbs"
CODES = "tfvae.cli.code_verbs"
MEASURING, INSPECTION = "tfvae.cli.measuring_verbs", "tfvae.cli.inspection_verbs"

VERBS = {
    "train": Verb("train a model", build_train, f"{TRAINING}:train"),
    "resume": Verb("continue a stopped run, or train one for more epochs", build_resume, f"{TRAINING}:resume"),
    "sweep": Verb("train every combination of lists of settings", build_sweep, "tfvae.cli.sweep_verb:sweep"),
    "compare": Verb(
        "compare runs: tables, rate and distortion, samples", build_compare, "tfvae.cli.comparison_verb:compare"
    ),
    "experiment": Verb(
        "repeat published tables and plots: list, run", build_experiment, "tfvae.cli.experiment_verbs:experiment"
    ),
    "second-stage": Verb("fit a better prior to a run's codes", build_second_stage, f"{TRAINING}:second_stage"),
    "evaluate": Verb(
        "measure ELBO, bound on log p(x), bits/dim, rate and more", build_evaluate, f"{MEASURING}:evaluate"
    ),
    "rd-curve": Verb(
        "measure rate and distortion along a run's beta or kappa", build_rd_curve, f"{MEASURING}:rd_curve"
    ),
    "sample": Verb("draw images", build_sample, f"{SAMPLING}:sample"),
    "reconstruct": Verb("show images beside their reconstructions", build_reconstruct, f"{SAMPLING}:reconstruct"),
    "strip": Verb("show how ConvDraw draws, step by step", build_strip, f"{SAMPLING}:strip"),
    "complete": Verb("complete images of which a part is given", build_complete, f"{SAMPLING}:complete"),
    "traverse": Verb("move along one latent dimension at a time", build_traverse, f"{SAMPLING}:traverse"),
    "interpolate": Verb("move from one image to another", build_interpolate, f"{SAMPLING}:interpolate"),
    "encode": Verb("write the codes of images into a file", build_encode, f"{CODES}:encode"),
    "decode": Verb("make pictures of a file of codes", build_decode, f"{CODES}:decode"),
    "score": Verb("tell how anomalous images are, with p-values and flags", build_score, "tfvae.cli.score_verb:score"),
    "neighbours": Verb(
        "find the training pictures nearest to images or samples", build_neighbours, f"{CODES}:neighbours"
    ),
    "export": Verb(
        "write a SavedModel for TensorFlow Serving, or another format", build_export, "tfvae.cli.export_verb:export"
    ),
    "serve": Verb("answer requests over HTTP as TensorFlow Serving does", build_serve, "tfvae.cli.serving_verbs:serve"),
    "explore": Verb(
        "open a page in the browser: sliders, samples, your images", build_explore, "tfvae.cli.explore_verb:explore"
    ),
    "zoo": Verb("use trained models: list, info, verify, get, train, add", build_zoo, "tfvae.cli.zoo_verbs:zoo"),
    "inspect": Verb("show what a SavedModel offers and may do, unloaded", build_inspect, f"{INSPECTION}:inspect"),
    "data": Verb("list, prepare or describe data sets", build_data, f"{INSPECTION}:data"),
    "runs": Verb("list runs, or show one", build_runs, f"{INSPECTION}:runs"),
    "doctor": Verb("describe this machine, for reports of problems", add_json, f"{INSPECTION}:doctor"),
}
