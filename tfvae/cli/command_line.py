"""The command line: a parser made from the verbs of `tfvae.cli.parsers`, and what exit codes mean.

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
from tfvae.cli.flags import Parser
from tfvae.cli.parsers import OBJECTIVES, VERBS
from tfvae.config import Config
from tfvae.errors import TfvaeError, UsageError

EPILOG = """\
  tfvae train geco --dataset fashion_mnist --kappa 4
  tfvae evaluate runs/latest
  tfvae sample runs/latest -n 64 -o samples.png
"""


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
    name, options = specs.parse_spec(argv[1])
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
    if specs.parse_spec(objective) != (args.objective, own):
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
