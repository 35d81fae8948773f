"""Flags: what every parser of the command line is made of."""

from __future__ import annotations

import argparse
import re
import shutil
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from tfvae import option_values
from tfvae.cli.output_paths import parse_output_folder, parse_picture_path
from tfvae.errors import UsageError, describe_unknown
from tfvae.option_values import OFF_WORD, Option

LATEST = "runs/latest"
MODEL = "run folder, SavedModel or zoo:NAME"  # what verbs take that do not train


class HelpFormatter(argparse.HelpFormatter):
    """Help as wide as the terminal: paragraphs are wrapped, lines that begin with two spaces are kept as they are."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=26)

    def add_usage(self, usage: Any, actions: Any, groups: Any, prefix: str | None = None) -> None:
        """Add the usage, without brackets around flags that exclude each other: argparse breaks no line within them."""
        super().add_usage(usage, actions, [], prefix)

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines: list[str] = []
        for line in text.splitlines():
            keep = line.startswith("  ") or not line
            lines += [line] if keep else textwrap.wrap(line, width, break_on_hyphens=False)
        return "\n".join(indent + line for line in lines)

    def _split_lines(self, text: str, width: int) -> list[str]:
        return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False)


def get_help_width() -> int:
    """Return how many columns the lines of a help page may have."""
    return shutil.get_terminal_size().columns - 2


class Parser(argparse.ArgumentParser):
    """argparse with errors of one sentence instead of usage dumps, and without abbreviated flags."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(allow_abbrev=False, formatter_class=HelpFormatter, **kwargs)
        self.set_defaults(parser=self)

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError` instead of printing the usage and leaving."""
        missing = message.removeprefix("the following arguments are required: ")
        sentence = message if missing == message else f"Expected {missing}. Received: none"
        raise UsageError(f"{sentence}; see  {self.prog} --help")

    def _check_value(self, action: argparse.Action, value: Any) -> None:  # where argparse compares with the choices
        if action.choices is not None and value not in action.choices:
            what = action.option_strings[0] if action.option_strings else str(action.metavar)
            raise UsageError(describe_unknown(what, value, action.choices))


# --- values ------------------------------------------------------------------------------------------------------


def make_integer_parser(least: int | None) -> Callable[[str], int]:
    """Return a parser of whole numbers >= `least`; None: of all."""

    def parse_integer(text: str) -> int:
        value = option_values.parse_number(text)
        if not isinstance(value, int) or least is not None and value < least:
            limit = "" if least is None else f" >= {least}"
            raise argparse.ArgumentTypeError(f"expected a whole number{limit}, received {text!r}")
        return value

    return parse_integer


def parse_number(text: str) -> float:
    """Return a finite number; 4.0 is the integer 4, so that specs stay short."""
    value = option_values.parse_number(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"expected a finite number, received {text!r}")
    return int(value) if value == int(value) else value


def parse_positive_number(text: str) -> float:
    """Return a finite number >= 0."""
    value = parse_number(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"expected a number >= 0, received {text!r}")
    return value


def make_value_parser(option: Option) -> Callable[[str], Any]:
    """Return a parser of the values of an option; ``none`` is None where the option can be off."""
    parse: Callable[[str], Any] = {int: make_integer_parser(None), float: parse_number}.get(option.kind, str)

    def parse_value(text: str) -> Any:
        if option.is_text(text):
            return text
        return None if option.optional and text.lower() == OFF_WORD else parse(text)

    return parse_value


# --- flags of settings -------------------------------------------------------------------------------------------


def add_setting(parser: argparse._ActionsContainer, option: Option, many: bool = False, hidden_name: str = "") -> None:
    """Add the flag of a setting: --name VALUE, or --name and --no-name for a switch.

    Args:
        option: its name, kind, default and help.
        many: the flag takes a list of values.
        hidden_name: an old word for the setting: a flag of that name, not in the help, whose default is None.
    """
    name, hidden = hidden_name or option.name, bool(hidden_name)
    flag, text = name.replace("_", "-"), describe_option(option)
    if option.kind is bool:
        text += f" (--no-{flag}: off; {'both: both; ' if many else ''}default: {'on' if option.default else 'off'})"
        default = None if hidden else option.default
        for word, const, is_shown in ((flag, True, not hidden), (f"no-{flag}", False, False)):
            how = {"action": "append_const"} if many else {"action": "store_const", "default": default}
            parser.add_argument(
                f"--{word}", dest=name, const=const, help=text if is_shown else argparse.SUPPRESS, **how
            )
        return
    metavar = {int: "N", float: "X"}.get(option.kind, "TEXT")
    parse = make_value_parser(option)
    settings: dict[str, Any] = {"type": parse, "default": None if hidden else option.default}
    if option.choices:
        settings["choices"] = option.choices
    if many:
        settings = {"action": ListAction, "parse": parse, "option": option}
        metavar = f"{metavar},..." if option.kind is not str else metavar
    metavar = f"{{{','.join(option.choices)}}}" if option.choices else metavar
    parser.add_argument(f"--{flag}", dest=name, metavar=metavar, help=argparse.SUPPRESS if hidden else text, **settings)


def describe_option(option: Option) -> str:
    """Return the help of an option with its default, as argparse wants it."""
    if (
        option.kind is bool or option.default is None and "None:" in option.help
    ):  # the help says itself what None is: the default
        default_text = ""
    else:
        default_text = f" (default: {'off' if option.default is None else option.default})"
    none = "Default:" if option.default is None else f"{OFF_WORD}:"
    return option.help.replace("None:", none).replace("%", "%%") + default_text


def add_old_flags(
    parser: argparse._ActionsContainer, aliases: Mapping[str, str], options: Mapping[str, Option], many: bool = False
) -> None:
    """Add a hidden flag for each old word of a setting.

    Args:
        aliases: {old word: name}.
        options: {name: `Option`}.
    """
    for word, name in aliases.items():
        if name in options:
            add_setting(parser, options[name], many, hidden_name=word)


class ListAction(argparse.Action):
    """A flag with a list of values, see `split_values`; repeated, its lists are joined.

    Args:
        parse: parses one value.
        option: the setting, whose `choices` are allowed.
    """

    def __init__(self, *args: Any, parse: Callable[[str], Any], option: Option, **rest: Any) -> None:
        super().__init__(*args, **rest)
        self.parse, self.option = parse, option

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        text: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        earlier = getattr(namespace, self.dest) or []
        choices = self.option.choices
        try:
            values = [self.parse(one) for one in split_values(str(text), self.option.kind is str and not choices)]
        except argparse.ArgumentTypeError as error:
            raise argparse.ArgumentError(self, str(error)) from None
        for value in values:
            if choices and value not in choices:
                raise UsageError(describe_unknown(str(option_string), value, choices))
        setattr(namespace, self.dest, earlier + values)


def split_values(text: str, specs: bool = False) -> list[str]:
    """Split '3,4,5' into ['3', '4', '5'].

    Where `specs` are allowed, 'mlp,conv' are two and 'mlp:widths=8,latent=2' is one. A list of specs with options would
    be ambiguous: the flag is repeated for those.
    """
    first, *rest = text.split(",")
    if not specs or all(re.fullmatch(r"[\w.+-]+", word) for word in (first, *rest)):
        return [first, *rest]
    if all(re.match(r"[\w-]+=", option) for option in rest):
        return [text]
    raise argparse.ArgumentTypeError(
        f"expected words between commas, or one name:option=value,...; repeat the flag for more; received {text!r}"
    )


# --- flags that several verbs share ------------------------------------------------------------------------------


def add_root(parser: argparse._ActionsContainer) -> None:
    """Add --root."""
    parser.add_argument("--root", default="runs", metavar="DIR", help="folder of all runs (default: runs)")


def add_run_dir(parser: argparse._ActionsContainer) -> None:
    """Add --run-dir."""
    text = "the folder to create (default: a new one below --root)"
    parser.add_argument("--run-dir", default="", metavar="DIR", help=text)


def add_run(parser: argparse.ArgumentParser, what: str = MODEL) -> None:
    """Add the argument RUN and --trust."""
    parser.add_argument("run", nargs="?", default=LATEST, metavar="RUN", help=f"{what} (default: {LATEST})")
    add_trust(parser)


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Add --trust."""
    text = "load models from elsewhere that may run code: own classes named in a run, SavedModels not made by tfvae"
    parser.add_argument("--trust", action="store_true", help=text)


def add_output_folder(parser: argparse._ActionsContainer, default: str, text: str) -> None:
    """Add -o of a folder."""
    parser.add_argument("-o", "--output", type=parse_output_folder, default=default, metavar="DIR", help=text)


def add_picture(
    parser: argparse.ArgumentParser,
    name: str,
    seed: bool = True,
    *,
    parse: Callable[[str], str] = parse_picture_path,
    metavar: str = "PNG",
    text: str = "the file to write",
) -> None:
    """Add what all verbs share that make a picture of a model; `parse` refuses what cannot be written with -o."""
    add_run(parser)
    help_text = f"{text} (default: {name})"
    parser.add_argument("-o", "--output", type=parse, default=name, metavar=metavar, help=help_text)
    if seed:
        add_count(parser, "--seed", 0, "seed of the draws", least=0)


def add_temperature(parser: argparse.ArgumentParser) -> None:
    """Add --temperature."""
    text = "multiply the prior's standard deviation by X (default: 1)"
    parser.add_argument("--temperature", type=parse_positive_number, default=1, metavar="X", help=text)


def add_split_or_images(parser: argparse.ArgumentParser) -> None:
    """Add --split and --images, of which one says what images to use."""
    group = parser.add_mutually_exclusive_group()
    add_split(group)
    text = "use other images: picture files, folders, .npz files, data sets"
    group.add_argument("--images", nargs="+", default=[], metavar="FILE", help=text)


def add_split(parser: argparse._ActionsContainer) -> None:
    """Add --split."""
    splits = ("test", "validation", "train")
    parser.add_argument("--split", choices=splits, default="test", help="use these images (default: test)")


def add_limit(parser: argparse.ArgumentParser) -> None:
    """Add --limit of the images that are measured."""
    add_count(parser, "--limit", 0, "use only the first N images; 0: all", least=0)


def add_count(
    parser: argparse._ActionsContainer, flag: str, default: int | None, text: str, least: int | None = 1
) -> None:
    """Add a flag of whole numbers >= `least`; `flag` may hold several words for it."""
    help_text = f"{text} (default: {default})" if default is not None else text
    parser.add_argument(*flag.split(), type=make_integer_parser(least), default=default, metavar="N", help=help_text)


def add_condition(parser: argparse.ArgumentParser) -> None:
    """Add --label, --beta and --kappa, of which one sets the condition of the model."""
    group = parser.add_mutually_exclusive_group()
    text = "the class to draw, by number or name, if the model has --condition labels; all: one row for each class"
    group.add_argument("--label", default=None, metavar="CLASS", help=text)
    add_range(group)


def add_range(group: argparse._ActionsContainer) -> None:
    """Add --beta and --kappa, for models with such a range."""
    for name in ("beta", "kappa"):
        text = f"the {name} to use, if the model has --condition {name}:LOW-HIGH (default: the middle)"
        group.add_argument(f"--{name}", type=parse_positive_number, default=None, metavar="X", help=text)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add --json."""
    parser.add_argument("--json", action="store_true", help="print one JSON object on standard output")
