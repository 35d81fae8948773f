"""The verbs of the command line: what each is, its flags, and the function that does it.

Nothing here imports TensorFlow, NumPy or the parts: flags come from `Config` and from the parts' signatures.
"""

import dataclasses

from tfvae import specs
from tfvae.cli.flags import (
    add_condition,
    add_count,
    add_json,
    add_own_images,
    add_picture,
    add_place,
    add_root,
    add_run,
    add_serving,
    add_setting,
    add_split,
    add_temperature,
    add_trust,
    not_negative,
)
from tfvae.config import Config

OBJECTIVES = specs.TABLES["objective"]


def parts_help():
    """The names that --likelihood, --arch and --prior take, with their options."""
    lines = ["parts, written name or name:option=value,...  with these options and defaults:"]
    for kind in ("likelihood", "arch", "prior"):
        for name, (_, options) in specs.read_signatures(*specs.TABLES[kind]).items():
            shown = ", ".join(f"{key}={value}" for key, value in options.items())
            lines.append(f"  --{kind:<12}{name:<22}{shown}".rstrip())
    return "\n".join(lines)


def add_objectives(parser, epilog, many=False):
    """A parser for each objective: its own options, then the settings of every run: -> its group for the place.

    Args:
        many: each flag takes a list of values.
    """
    commands = parser.add_subparsers(dest="objective", metavar="OBJECTIVE", required=True, title="objectives")
    for name, (summary, options) in specs.read_signatures(*OBJECTIVES).items():
        child = commands.add_parser(name, help=summary.replace("%", "%%"), description=summary, epilog=epilog)
        texts = specs.read_part_texts(*OBJECTIVES, name)
        own = child.add_argument_group(f"options of {name}")
        for option, default in options.items():
            add_setting(own, option, default, texts.get(option, ""), many=many)
        group = child.add_argument_group("settings")
        for field in dataclasses.fields(Config):
            if field.name != "objective":
                add_setting(group, field.name, field.default, field.metadata["help"], field.metadata["choices"], many)
        child.set_defaults(own=options)
        yield child.add_argument_group("place")


def build_train(parser):
    for place in add_objectives(parser, parts_help()):
        place.add_argument("--run-dir", default="", metavar="DIR", help="the folder to create; default: below --root")
        add_root(place)
        text = "begin anew where an unfinished run of these settings exists"
        place.add_argument("--new", action="store_true", help=text)
        place.add_argument("--dry-run", action="store_true", help="print the settings as JSON and stop")


def build_sweep(parser):
    epilog = "values: --kappa 3,4,5, --arch mlp,conv; specs with options: --arch mlp:widths=64,latent=8 --arch conv"
    for place in add_objectives(parser, f"{epilog}\n\n{parts_help()}", many=True):
        add_root(place)
        add_count(place, "--jobs", 1, "runs side by side")
        text = "also write what  tfvae compare  writes into this folder"
        place.add_argument("-o", "--output", default="", metavar="DIR", help=text)
        place.add_argument("--dry-run", action="store_true", help="print the runs and stop")


def build_compare(parser):
    parser.add_argument("runs", nargs="+", metavar="RUN", help="run folders")
    text = "the folder to write (default: comparison)"
    parser.add_argument("-o", "--output", default="comparison", metavar="DIR", help=text)
    add_split(parser)
    add_count(parser, "--samples", 100, "K, draws of z per image for the bound on log p(x)")
    add_count(parser, "--limit", 0, "use only the first N images; 0: all", least=0)
    add_json(parser)


def build_resume(parser):
    add_run(parser)
    add_count(parser, "--epochs", None, "train up to this epoch instead of the one asked for at the start")


def build_second_stage(parser):
    add_run(parser)
    prior = "mixture:components=100"
    parser.add_argument("--prior", default=prior, metavar="SPEC", help=f"what to fit (default: {prior})")
    parser.add_argument("--run-dir", default="", metavar="DIR", help="the folder to create; default: below --root")
    add_root(parser)


def build_evaluate(parser):
    add_run(parser)
    add_split(parser)
    add_count(parser, "--pictures", 0, "also compare N samples with the split's images", least=0)
    text = "whose features compare them: lenet (of the data set's labels), inception, or a SavedModel (default: lenet)"
    parser.add_argument("--extractor", default="lenet", metavar="NAME", help=text)
    add_trust(parser)
    add_count(parser, "--samples", 100, "K, draws of z per image for the bound on log p(x)")
    add_count(parser, "--limit", 0, "use only the first N images; 0: all", least=0)
    add_count(parser, "--seed", 0, "of the draws", least=0)
    add_json(parser)


def build_sample(parser):
    add_picture(parser, "samples.png", what="run folder, SavedModel or zoo:NAME")
    add_trust(parser)
    add_count(parser, "-n --count", 64, "images")
    add_condition(parser)
    add_temperature(parser)


def build_strip(parser):
    add_picture(parser, "strip.png")
    add_count(parser, "-n --count", 8, "samples, one a row")
    add_count(parser, "--steps", 0, "how often it draws; 0: as in training", least=0)
    add_condition(parser)
    add_temperature(parser)


def build_complete(parser):
    add_picture(parser, "completions.png")
    add_split(parser)
    add_count(parser, "--rows", 8, "images")
    add_count(parser, "-n --count", 8, "ways to complete each")
    add_own_images(parser)


def build_rd_curve(parser):
    add_run(parser)
    add_split(parser)
    add_count(parser, "--points", 9, "values of beta or kappa", least=2)
    add_count(parser, "--limit", 0, "use only the first N images; 0: all", least=0)


def build_reconstruct(parser):
    add_picture(parser, "reconstructions.png")
    add_split(parser)
    add_count(parser, "-n --count", 32, "images")
    add_own_images(parser)


def build_traverse(parser):
    add_picture(parser, "traversals.png", seed=False)
    add_split(parser)
    add_count(parser, "--dims", 10, "latent dimensions, the most active ones")
    add_count(parser, "--steps", 9, "values of each", least=2)
    add_count(parser, "--index", 0, "which image of the split", least=0)
    parser.add_argument("--span", type=not_negative, default=3, metavar="X", help="-X to X prior stddevs (default: 3)")


def build_interpolate(parser):
    add_picture(parser, "interpolations.png", seed=False)
    add_split(parser)
    add_count(parser, "--rows", 8, "pairs of images")
    add_count(parser, "--steps", 9, "images in a row", least=2)


def build_export(parser):
    parser.add_argument("run", metavar="RUN", help="run folder")
    parser.add_argument("directory", metavar="DIR", help="gets DIR/1, DIR/2, ... as TensorFlow Serving wants them")
    add_count(parser, "--version", None, "number of the version; default: the next free one")
    formats = ("savedmodel", "litert", "onnx", "openvino")
    text = f"savedmodel (default), or the decoder alone as {', '.join(formats[1:])}"
    parser.add_argument("--format", choices=formats, default="savedmodel", metavar="FORMAT", help=text)


def build_explore(parser):
    add_place(parser, 8510, "the page")
    text = "a model of a TensorFlow Serving that runs already: http://HOST:8501/v1/models/NAME"
    parser.add_argument("--server", default="", metavar="URL", help=text)
    parser.add_argument("--no-browser", action="store_true", help="print the address, open nothing")


def build_inspect(parser):
    parser.add_argument("path", metavar="PATH", help="SavedModel or run folder")
    add_json(parser)


def build_zoo(parser):
    actions = ("list", "info", "verify", "get", "train", "add")
    parser.add_argument("action", choices=actions, metavar="ACTION", help=", ".join(actions))
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="of a model; of list: a pattern, *mnist*")
    text = "of get: the folder to write; of add: the run to make an entry of"
    parser.add_argument("place", nargs="?", default="", metavar="PLACE", help=text)
    parser.add_argument("--quick", action="store_true", help="of verify: hashes only")
    add_json(parser)


def build_experiment(parser):
    parser.add_argument("action", choices=("list", "run"), metavar="ACTION", help="list, run")
    parser.add_argument("names", nargs="*", metavar="NAME", help="of experiments; all: every one")
    parser.add_argument("--quick", action="store_true", help="2 epochs of 2,000 images: to see that it works")
    text = "the folder of pages and of their index (default: experiments)"
    parser.add_argument("-o", "--output", default="experiments", metavar="DIR", help=text)
    add_root(parser)
    add_count(parser, "--jobs", 1, "runs side by side")


def build_data(parser):
    parser.add_argument("action", choices=("list", "prepare", "info"), metavar="ACTION", help="list, prepare, info")
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="of a data set, but for list")
    parser.add_argument("--raw-dir", default="", metavar="DIR", help="folder with original files")


def build_runs(parser):
    actions, text = ("list", "show"), "list (default) or show"
    parser.add_argument("action", nargs="?", choices=actions, default="list", metavar="ACTION", help=text)
    add_run(parser)
    add_root(parser)


# verb: (what it does, its parser, the function that does it)
VERBS = {
    "train": ("train a model", build_train, "tfvae.cli.training_verbs:train"),
    "resume": ("go on with a stopped run, or train one longer", build_resume, "tfvae.cli.training_verbs:resume"),
    "sweep": ("train every combination of lists of settings", build_sweep, "tfvae.cli.sweep_verb:sweep"),
    "compare": ("runs beside each other: table, planes, samples", build_compare, "tfvae.cli.comparison_verb:compare"),
    "experiment": ("published tables and plots: list, run", build_experiment, "tfvae.cli.experiment_verbs:experiment"),
    "second-stage": (
        "a better sampler: fit the prior to codes",
        build_second_stage,
        "tfvae.cli.training_verbs:second_stage",
    ),
    "evaluate": ("ELBO, bound on log p(x), bits/dim, rate, ...", build_evaluate, "tfvae.cli.training_verbs:evaluate"),
    "rd-curve": ("the whole trade-off of a run with --condition", build_rd_curve, "tfvae.cli.training_verbs:rd_curve"),
    "sample": ("draw images", build_sample, "tfvae.cli.sampling_verbs:sample"),
    "reconstruct": ("images beside their reconstructions", build_reconstruct, "tfvae.cli.sampling_verbs:reconstruct"),
    "strip": ("how ConvDraw draws, step by step", build_strip, "tfvae.cli.sampling_verbs:strip"),
    "complete": ("go on with a part of an image", build_complete, "tfvae.cli.sampling_verbs:complete"),
    "traverse": ("move along one latent dimension at a time", build_traverse, "tfvae.cli.sampling_verbs:traverse"),
    "interpolate": ("move from one image to another", build_interpolate, "tfvae.cli.sampling_verbs:interpolate"),
    "export": (
        "write a SavedModel for TensorFlow Serving, or another format",
        build_export,
        "tfvae.cli.training_verbs:export",
    ),
    "serve": ("answer requests over HTTP as TensorFlow Serving does", add_serving, "tfvae.cli.serving_verbs:serve"),
    "explore": (
        "a page in the browser: sliders, samples, your images",
        build_explore,
        "tfvae.cli.explore_verb:explore",
    ),
    "zoo": ("trained models by name: list, info, verify, get, train, add", build_zoo, "tfvae.cli.zoo_verbs:zoo"),
    "inspect": (
        "what a SavedModel offers and may do, without loading it",
        build_inspect,
        "tfvae.cli.inspection_verbs:inspect",
    ),
    "data": ("data sets: list, prepare, info", build_data, "tfvae.cli.inspection_verbs:data"),
    "runs": ("runs: list, show", build_runs, "tfvae.cli.inspection_verbs:runs"),
    "doctor": ("what this machine has, for reports of problems", add_json, "tfvae.cli.inspection_verbs:doctor"),
}
