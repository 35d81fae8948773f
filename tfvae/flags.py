"""Flags: what every parser of the command line is made of."""

import argparse
import math

from tfvae.errors import UsageError, unknown

LATEST = "runs/latest"


def layout(prog):
    """Help with texts as they are and room for the longest flag."""
    return argparse.RawDescriptionHelpFormatter(prog, max_help_position=30, width=110)


class Parser(argparse.ArgumentParser):
    """argparse with errors of one sentence instead of usage dumps, and without abbreviated flags."""

    def __init__(self, **kwargs):
        super().__init__(allow_abbrev=False, formatter_class=layout, **kwargs)
        self.set_defaults(parser=self)

    def error(self, message):
        raise UsageError(f"{message}; see  {self.prog} --help")

    def _check_value(self, action, value):  # where argparse itself compares a value with the choices
        if action.choices is not None and value not in action.choices:
            what = (action.option_strings or [action.metavar])[0]
            raise UsageError(unknown(what, value, action.choices))


def whole(least):
    """A parser of whole numbers >= least."""

    def parse(text):
        try:
            value = int(text)
        except ValueError:
            value = None
        if value is None or least is not None and value < least:
            bound = "" if least is None else f" >= {least}"
            raise argparse.ArgumentTypeError(f"expected a whole number{bound}, received {text!r}")
        return value

    return parse


def number(text):
    """A finite float; 4.0 is 4, so that specs stay short."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"expected a finite number, received {text!r}")
    return int(value) if value.is_integer() else value


def not_negative(text):
    value = number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a number >= 0, received {text!r}")
    return value


def add_setting(parser, name, default, text, choices=None):
    """The flag of one setting: --name VALUE, or --name and --no-name for a switch."""
    flag, text = name.replace("_", "-"), text.replace("%", "%%")
    if isinstance(default, bool):
        text += f" (--no-{flag}: off; default: {'on' if default else 'off'})"
        parser.add_argument(f"--{flag}", dest=name, action="store_true", default=default, help=text)
        parser.add_argument(f"--no-{flag}", dest=name, action="store_false", help=argparse.SUPPRESS)
        return
    kind, metavar = {int: (whole(None), "N"), float: (number, "X"), str: (str, "TEXT")}[type(default)]
    shown = default if default != "" else "none"
    parser.add_argument(
        f"--{flag}",
        dest=name,
        type=kind,
        default=default,
        choices=choices,
        metavar=None if choices else metavar,
        help=f"{text} (default: {shown})",
    )


def add_root(parser):
    parser.add_argument("--root", default="runs", metavar="DIR", help="folder of all runs (default: runs)")


def add_run(parser, what="run folder"):
    parser.add_argument("run", nargs="?", default=LATEST, metavar="RUN", help=f"{what} (default: {LATEST})")


def add_trust(parser):
    parser.add_argument("--trust", action="store_true", help="load a SavedModel that tfvae cannot vouch for")


def add_picture(parser, name, seed=True, what="run folder"):
    """What all verbs that make a picture of a run share."""
    add_run(parser, what)
    parser.add_argument("-o", "--output", default=name, metavar="PNG", help=f"the file to write (default: {name})")
    if seed:
        parser.add_argument("--seed", type=whole(0), default=0, metavar="N", help="of the draws (default: 0)")


def add_temperature(parser):
    text = "times the prior's stddev (default: 1)"
    parser.add_argument("--temperature", type=not_negative, default=1, metavar="X", help=text)


def add_own_images(parser):
    text = "your own pictures, or folders of them"
    parser.add_argument("--images", nargs="+", default=[], metavar="FILE", help=text)


def add_split(parser):
    splits = ("test", "validation", "train")
    parser.add_argument("--split", choices=splits, default="test", help="which images (default: test)")


def add_count(parser, flag, default, text, least=1):
    names = flag.split()
    shown = f"{text} (default: {default})" if default is not None else text
    parser.add_argument(*names, type=whole(least), default=default, metavar="N", help=shown)


def add_condition(parser):
    """What a model with --condition is told; one of them."""
    group = parser.add_mutually_exclusive_group()
    text = "of a model with --condition labels: its class, or all: one row a class"
    group.add_argument("--label", default="", metavar="N", help=text)
    group.add_argument("--beta", type=not_negative, default=None, metavar="X", help="of one with --condition beta:...")
    group.add_argument(
        "--kappa", type=not_negative, default=None, metavar="X", help="of one with --condition kappa:..."
    )


def add_json(parser):
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")


def add_serving(parser):
    """What a server of one model needs to know."""
    add_run(parser, what="run folder or SavedModel")
    add_trust(parser)
    add_count(parser, "--port", 8501, "of the REST API; 0: any free one", least=0)
    text = "address to listen on (default: 127.0.0.1, this machine alone)"
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help=text)
    text = "of the model in URLs (default: the SavedModel's folder; model for a run)"
    parser.add_argument("--name", default="", metavar="NAME", help=text)
    text = "auto (default): TensorFlow Serving's tensorflow_model_server where it is installed, else python"
    backends = ("auto", "tensorflow_model_server", "python")
    parser.add_argument("--backend", choices=backends, default="auto", metavar="BACKEND", help=text)
