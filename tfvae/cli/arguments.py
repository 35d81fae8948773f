"""From the words of a command line to its arguments, and from those to a `Config`.

Nothing here imports TensorFlow, NumPy or the parts, so ``--help`` and mistakes answer at once.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from typing import Any

import tfvae
from tfvae import part_sources, specs
from tfvae.cli.action_parsers import put_action_first
from tfvae.cli.flags import Parser
from tfvae.cli.objective_parsers import OWN_OBJECTIVE
from tfvae.cli.parsers import VERBS
from tfvae.config import SETTING_ALIASES, Config
from tfvae.errors import UsageError, suggest_name
from tfvae.option_values import parse_literal
from tfvae.specs import PartSignature

EPILOG = """\
examples:
  tfvae train geco --dataset fashion_mnist --kappa 4
  tfvae evaluate runs/latest
  tfvae sample runs/latest -n 64 -o samples.png
"""
OBJECTIVE_VERBS = ("train", "sweep")  # whose first argument is an objective


@functools.cache
def build_parser(verb: str = "") -> Parser:
    """Return the parser of the whole command line; only `verb` has its flags, which take time to gather."""
    parser = Parser(prog="tfvae", description="Tame variational autoencoders.", epilog=EPILOG)
    parser.add_argument("--version", action="version", version=f"tfvae {tfvae.__version__}")
    commands = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    for name, (text, build, home) in VERBS.items():
        child = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        child.set_defaults(home=home)
        if name == verb:
            build(child)
    return parser


def parse_arguments(argv: Sequence[str]) -> argparse.Namespace:
    """Return the arguments of a command line.

    Raises:
        UsageError: an argument that the verb does not know.
    """
    words, own_objective = expand_objective(put_action_first(list(argv)))
    parser = build_parser(next((word for word in words if not word.startswith("-")), ""))
    args, extra = parser.parse_known_args(words)
    if own_objective:
        args.objective = own_objective
    if extra:
        raise UsageError(describe_unknown_argument(args, extra[0].partition("=")[0]))
    return args


def expand_objective(argv: list[str]) -> tuple[list[str], str]:
    """Return the words with the spec of an objective as flags, and the spec if it is an objective of the user's own.

    ``train geco:kappa=4`` is ``train geco --kappa=4``: specs are welcome as config.json has them. The options of an
    own objective are not known before it is imported, so they stay in its spec.
    """
    if len(argv) < 2 or argv[0] not in OBJECTIVE_VERBS or argv[1] in ("-h", "--help"):
        return argv, ""
    verb, spec, *rest = argv
    if spec.startswith("-"):
        raise UsageError(f"Expected an objective first, as in  tfvae {verb} geco --kappa 4. Received: {spec!r}.")
    name, options = specs.parse_spec(spec)
    is_known = name in part_sources.read_parts("objective")
    if not is_known and (specs.is_import_path(name) or name in specs.list_registered_names("objective")):
        return [verb, OWN_OBJECTIVE, *rest], spec
    flags = []
    for key, value in options.items():
        flag = key.replace("_", "-")
        flags.append(f"--{'' if value else 'no-'}{flag}" if isinstance(value, bool) else f"--{flag}={value}")
    return [verb, name, *flags, *rest], ""


def describe_unknown_argument(args: argparse.Namespace, word: str) -> str:
    """Return the sentence for an argument that the verb does not know."""
    parser = args.parser
    if not word.startswith("-"):
        return f"Expected no further argument. Received: {word!r}; see  {parser.prog} --help"
    if specs.is_import_path(str(getattr(args, "objective", ""))):
        example = f"{args.objective.partition(':')[0]}:{word.lstrip('-').replace('-', '_')}=..."
        hint = f" Options of an objective of your own stand behind its name: {example}"
        return f"Expected a flag of  {parser.prog}. Received: {word!r}.{hint}"
    owners = find_objectives_with(word) if args.verb in OBJECTIVE_VERBS else []
    flags = [flag for action in parser._actions for flag in action.option_strings if action.help != argparse.SUPPRESS]
    hint = f" It belongs to {', '.join(owners)}." if owners else suggest_name(word, flags)
    return f"Expected a flag of  {parser.prog}. Received: {word!r}.{hint or f' See  {parser.prog} --help'}"


def find_objectives_with(flag: str) -> list[str]:
    """Return the objectives that have an option of this name."""
    option = flag.lstrip("-").replace("-", "_")
    parts = part_sources.read_parts("objective")
    return [name for name, part in parts.items() if option in part.options or option in part.aliases]


def read_config(args: argparse.Namespace) -> Config:
    """Return the `Config` that the flags of ``train`` describe.

    Raises:
        UsageError: settings that do not fit together.
    """
    given = vars(args)
    names = [field.name for field in dataclasses.fields(Config) if field.name != "objective"]
    old = {name: given[name] for name in (*args.part.aliases, *SETTING_ALIASES) if given.get(name) is not None}
    options = {name: given[name] for name, default in args.part.defaults.items() if given[name] != default}
    return make_config(args.objective, args.part, options | old, {name: given[name] for name in names} | old)


def make_config(objective: str, part: PartSignature, options: Mapping[str, Any], settings: Mapping[str, Any]) -> Config:
    """Return the `Config` of an objective, its options and settings, by their old or new names.

    The objective's spec names only what differs from the defaults.

    Args:
        objective: the name of a built-in objective, or the spec of an own one.
        part: the options that the objective has.
        options: {name: value} of these options; other names are passed over.
        settings: {name: value} of settings of the run; other names are passed over.

    Raises:
        UsageError: settings that do not fit together.
    """
    own = {name: value for name, value in options.items() if name in part.options or name in part.aliases}
    own = specs.translate_options(part, own)
    own = {name: parse_literal(value) for name, value in own.items() if value != part.defaults.get(name)}
    specs.check_options("objective", part, own)
    own = {name: value for name, value in own.items() if value != part.effective_defaults[name]}
    spec = specs.format_spec(objective, own) if own else objective
    if own and specs.parse_spec(spec) != (objective, own):
        raise UsageError(f"Expected options of {objective} without ','. Received: {spec!r}.")
    fields = {field.name for field in dataclasses.fields(Config)}
    values = {name: value for name, value in settings.items() if name in fields}
    for word, name in SETTING_ALIASES.items():
        if word in settings:
            values[name] = settings[word]
    return Config(**values | {"objective": spec})
