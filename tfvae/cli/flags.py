"""Flags: what every parser of the command line is made of."""

import argparse
import math
import re

from tfvae.errors import UsageError, describe_unknown

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
            raise UsageError(describe_unknown(what, value, action.choices))


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


def add_setting(parser, name, default, text, choices=None, many=False):
    """The flag of one setting: --name VALUE, or --name and --no-name for a switch; `many`: of a list of values."""
    flag, text = name.replace("_", "-"), text.replace("%", "%%")
    if isinstance(default, bool):
        text += f" (--no-{flag}: off; {'both: both; ' if many else ''}default: {'on' if default else 'off'})"
        for word, const, shown in ((flag, True, text), (f"no-{flag}", False, argparse.SUPPRESS)):
            how = {"action": "append_const"} if many else {"action": "store_const", "default": default}
            parser.add_argument(f"--{word}", dest=name, const=const, help=shown, **how)
        return
    kind, metavar = {int: (whole(None), "N"), float: (number, "X"), str: (str, "TEXT")}[type(default)]
    shown = default if default != "" else "none"
    if many:
        how = {"action": Several, "kind": kind, "among": choices}
        metavar = f"{metavar},..." if kind is not str else metavar
    else:
        how = {"type": kind, "default": default, "choices": choices}
    metavar = f"{{{','.join(choices)}}}" if choices else metavar
    parser.add_argument(f"--{flag}", dest=name, metavar=metavar, help=f"{text} (default: {shown})", **how)


class Several(argparse.Action):
    """A flag with a list of values, see `split_values`; repeated, its lists are joined.

    Args:
        kind: parses one value. among: the words that are allowed, or None.
    """

    def __init__(self, *args, kind, among, **rest):
        super().__init__(*args, **rest)
        self.kind, self.among = kind, among

    def __call__(self, parser, namespace, text, option_string=None):
        found = getattr(namespace, self.dest) or []
        try:
            values = [self.kind(one) for one in split_values(text, self.kind is str and not self.among)]
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from None
        for value in values:
            if self.among and value not in self.among:
                raise UsageError(describe_unknown(option_string, value, self.among))
        setattr(namespace, self.dest, found + values)


def split_values(text, specs=False):
    """'3,4,5' -> ['3', '4', '5']. Where `specs` are allowed, 'mlp,conv' are two, 'mlp:widths=8,latent=2' is one.

    A list of specs with options would be ambiguous: the flag is repeated for those.
    """
    first, *rest = text.split(",")
    if not specs or all(re.fullmatch(r"[\w.+-]+", word) for word in (first, *rest)):
        return [first, *rest]
    if all(re.match(r"[\w-]+=", option) for option in rest):
        return [text]
    raise argparse.ArgumentTypeError(
        f"expected words between commas, or one name:option=value,...; repeat the flag for more; received {text!r}"
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


def add_place(parser, port, what):
    """What any server of one model needs to know."""
    add_run(parser, what="run folder, SavedModel or zoo:NAME")
    add_trust(parser)
    add_count(parser, "--port", port, f"of {what}; 0: any free one", least=0)
    text = "address to listen on (default: 127.0.0.1, this machine alone)"
    parser.add_argument("--host", default="127.0.0.1", metavar="ADDRESS", help=text)
    text = "of the model in URLs (default: the SavedModel's folder; model for a run)"
    parser.add_argument("--name", default="", metavar="NAME", help=text)


def add_serving(parser):
    add_place(parser, 8501, "the REST API")
    text = "auto (default): TensorFlow Serving's tensorflow_model_server where it is installed, else python"
    backends = ("auto", "tensorflow_model_server", "python")
    parser.add_argument("--backend", choices=backends, default="auto", metavar="BACKEND", help=text)
