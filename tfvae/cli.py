"""The command line: a parser made from `Config` and from the parts' own signatures, and what exit codes mean.

Nothing here imports TensorFlow, NumPy or the parts, so ``--help`` and mistakes answer at once.
"""

import dataclasses
import difflib
import functools
import importlib
import os
import sys
import traceback

import tfvae
from tfvae import specs
from tfvae.config import Config
from tfvae.errors import TfvaeError, UsageError
from tfvae.flags import (
    Parser,
    add_condition,
    add_count,
    add_json,
    add_own_images,
    add_picture,
    add_root,
    add_run,
    add_setting,
    add_split,
    add_temperature,
    add_trust,
    not_negative,
)

OBJECTIVES = specs.TABLES["objective"]
EPILOG = """\
  tfvae train geco --dataset fashion_mnist --kappa 4
  tfvae evaluate runs/latest
  tfvae sample runs/latest -n 64 -o samples.png
"""


def parts_help():
    """The names that --likelihood, --arch and --prior take, with their options."""
    lines = ["parts, written name or name:option=value,...  with these options and defaults:"]
    for kind in ("likelihood", "arch", "prior"):
        for name, (_, options) in specs.read_signatures(*specs.TABLES[kind]).items():
            shown = ", ".join(f"{key}={value}" for key, value in options.items())
            lines.append(f"  --{kind:<12}{name:<22}{shown}".rstrip())
    return "\n".join(lines)


def add_objective(commands, name, summary, options, epilog):
    """``train NAME``: the objective's own options, then the settings of every run, then where it goes."""
    parser = commands.add_parser(name, help=summary.replace("%", "%%"), description=summary, epilog=epilog)
    texts = specs.read_texts(*OBJECTIVES, name)
    own = parser.add_argument_group(f"options of {name}")
    for option, default in options.items():
        add_setting(own, option, default, texts.get(option, ""))
    group = parser.add_argument_group("settings")
    for field in dataclasses.fields(Config):
        if field.name != "objective":
            add_setting(group, field.name, field.default, field.metadata["help"], field.metadata["choices"])
    place = parser.add_argument_group("place")
    place.add_argument("--run-dir", default="", metavar="DIR", help="the folder to create; default: below --root")
    add_root(place)
    place.add_argument("--new", action="store_true", help="begin anew where an unfinished run of these settings exists")
    place.add_argument("--dry-run", action="store_true", help="print the settings as JSON and stop")
    parser.set_defaults(own=options)


def build_train(parser):
    commands = parser.add_subparsers(dest="objective", metavar="OBJECTIVE", required=True, title="objectives")
    epilog = parts_help()
    for name, (summary, options) in specs.read_signatures(*OBJECTIVES).items():
        add_objective(commands, name, summary, options, epilog)


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
    add_count(parser, "--samples", 100, "K, draws of z per image for the bound on log p(x)")
    add_count(parser, "--limit", 0, "use only the first N images; 0: all", least=0)
    add_count(parser, "--seed", 0, "of the draws", least=0)
    add_json(parser)


def build_sample(parser):
    add_picture(parser, "samples.png", what="run folder or SavedModel")
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
    text = "from -X to X prior stddevs (default: 3)"
    parser.add_argument("--span", type=not_negative, default=3, metavar="X", help=text)


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


def build_inspect(parser):
    parser.add_argument("path", metavar="PATH", help="SavedModel or run folder")
    add_json(parser)


def build_data(parser):
    parser.add_argument("action", choices=("list", "prepare", "info"), metavar="ACTION", help="list, prepare, info")
    parser.add_argument("name", nargs="?", default="", metavar="NAME", help="of a data set, but for list")
    parser.add_argument("--raw-dir", default="", metavar="DIR", help="folder with original files")


def build_runs(parser):
    actions, text = ("list", "show"), "list (default) or show"
    parser.add_argument("action", nargs="?", choices=actions, default="list", metavar="ACTION", help=text)
    add_run(parser)
    add_root(parser)


SECOND_STAGE = "tfvae.commands:second_stage"
# verb: (what it does, its parser, the function that does it)
VERBS = {
    "train": ("train a model", build_train, "tfvae.commands:train"),
    "resume": ("go on with a stopped run, or train one longer", build_resume, "tfvae.commands:resume"),
    "second-stage": ("a better sampler: fit the prior to the codes of a run", build_second_stage, SECOND_STAGE),
    "evaluate": ("ELBO, bound on log p(x), bits/dim, rate, ...", build_evaluate, "tfvae.commands:evaluate"),
    "rd-curve": ("the whole trade-off of a run with --condition", build_rd_curve, "tfvae.commands:rd_curve"),
    "sample": ("draw images", build_sample, "tfvae.drawing:sample"),
    "reconstruct": ("images beside their reconstructions", build_reconstruct, "tfvae.drawing:reconstruct"),
    "strip": ("how ConvDraw draws, step by step", build_strip, "tfvae.drawing:strip"),
    "complete": ("go on with a part of an image", build_complete, "tfvae.drawing:complete"),
    "traverse": ("move along one latent dimension at a time", build_traverse, "tfvae.drawing:traverse"),
    "interpolate": ("move from one image to another", build_interpolate, "tfvae.drawing:interpolate"),
    "export": ("write a SavedModel for TensorFlow Serving, or another format", build_export, "tfvae.commands:export"),
    "inspect": ("what a SavedModel offers and may do, without loading it", build_inspect, "tfvae.inspection:inspect"),
    "data": ("data sets: list, prepare, info", build_data, "tfvae.inspection:data"),
    "runs": ("runs: list, show", build_runs, "tfvae.inspection:runs"),
    "doctor": ("what this machine has, for reports of problems", add_json, "tfvae.inspection:doctor"),
}


@functools.cache
def build_parser():
    """The whole command line."""
    parser = Parser(prog="tfvae", description="Tame variational autoencoders.", epilog="examples:\n" + EPILOG)
    parser.add_argument("--version", action="version", version=f"tfvae {tfvae.__version__}")
    commands = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for verb, (text, build, home) in VERBS.items():
        child = commands.add_parser(verb, help=text, description=text[0].upper() + text[1:] + ".")
        child.set_defaults(home=home)
        build(child)
    return parser


def spread(argv):
    """``train geco:kappa=4`` is ``train geco --kappa=4``: specs are welcome as config.json has them."""
    if argv[:1] != ["train"] or len(argv) < 2:
        return argv
    if argv[1].startswith("-") and argv[1] not in ("-h", "--help"):
        raise UsageError(f"Expected an objective first, as in  tfvae train geco --kappa 4. Received: {argv[1]!r}.")
    name, options = specs.parse(argv[1])
    flags = []
    for key, value in options.items():
        flag = key.replace("_", "-")
        flags.append(f"--{'' if value else 'no-'}{flag}" if isinstance(value, bool) else f"--{flag}={value}")
    return ["train", name, *flags, *argv[2:]]


def parse(argv):
    """The arguments as a namespace; UsageError for any that the verb does not know."""
    parser = build_parser()
    args, extra = parser.parse_known_args(spread(list(argv)))
    if not extra:
        return args
    word, owner = extra[0].partition("=")[0], args.parser
    if not word.startswith("-"):
        raise UsageError(f"Expected no further argument. Received: {word!r}; see  {owner.prog} --help")
    flags = [flag for action in owner._actions for flag in action.option_strings]
    near = difflib.get_close_matches(word, flags, n=1, cutoff=0.5)
    others = objectives_with(word) if args.verb == "train" else []
    if others:
        hint = f"It belongs to {', '.join(others)}"
    else:
        hint = f"Did you mean {near[0]!r}?" if near else f"See  {owner.prog} --help"
    raise UsageError(f"Expected a flag of  {owner.prog}. Received: {word!r}. {hint}")


def objectives_with(flag):
    """The objectives that have an option of this name."""
    option = flag.lstrip("-").replace("-", "_")
    return [name for name, (_, own) in specs.read_signatures(*OBJECTIVES).items() if option in own]


def settings_of(args):
    """The `Config` that the flags of ``train`` ask for; the spec names only what differs from the default."""
    own = {name: getattr(args, name) for name, default in args.own.items() if getattr(args, name) != default}
    objective = specs.format_spec(args.objective, own)
    if specs.parse(objective) != (args.objective, own):
        raise UsageError(f"Expected options of {args.objective} without ','. Received: {objective!r}.")
    values = {field.name: getattr(args, field.name) for field in dataclasses.fields(Config)}
    return Config.from_dict(values | {"objective": objective})


def run(argv):
    args = parse(argv)
    if args.verb is None:
        args.parser.print_help()
        return 0
    module, _, name = args.home.partition(":")
    return getattr(importlib.import_module(module), name)(args)


def explain(error):
    """(exit code, sentence) of an error that is not a bug; otherwise None."""
    of_tf = getattr(sys.modules.get("tensorflow"), "errors", None)
    first = (str(error).splitlines() or [""])[0]
    if isinstance(error, TfvaeError):
        return error.exit_code, str(error)
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted."
    if isinstance(error, MemoryError):
        return 7, "Out of memory. Use a smaller --batch-size, fewer images (--limit), or a smaller model."
    if isinstance(error, OSError):
        what, why = error.filename or "a file", error.strerror or first
        return 7, f"Could not use {what}: {why}. Free or choose another place."
    if of_tf and isinstance(error, of_tf.ResourceExhaustedError):
        return 8, f"The device is out of memory ({first}). Use a smaller --batch-size or model."
    if of_tf and isinstance(error, of_tf.UnavailableError | of_tf.AbortedError):
        return 9, f"Another worker is gone ({first[:120]}). Start all again: they go on from the last checkpoint."
    if of_tf and isinstance(error, of_tf.OpError):
        return 1, f"TensorFlow: {error.message.splitlines()[0] if error.message else first}"
    return None


def main(argv=None):
    """Run ``tfvae ARGV`` (default: the process's arguments): -> exit code.

    0 done, 1 a bug, 2 wrong usage, 3 data, 4 a damaged file, 5 an untrusted one, 6 diverged, 7 disk or memory,
    8 device memory, 130 and 143 stopped by Ctrl-C and SIGTERM.
    """
    try:
        try:
            code = run(sys.argv[1:] if argv is None else argv)
        except SystemExit as leave:  # --help and --version
            code = leave.code or 0
        sys.stdout.flush()  # here, so that a closed pipe is noticed below
        return code
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except BaseException as error:
        found = explain(error)
        if found is None:
            traceback.print_exc()
            found = 1, "this is a bug. Please report the lines above with the output of  tfvae doctor"
        print("tfvae:", " ".join(found[1].splitlines()), file=sys.stderr)
        return found[0]
