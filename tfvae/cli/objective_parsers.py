"""The parsers of train and sweep: one for each objective, with its options and the settings of every run."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator

from tfvae import part_sources
from tfvae.cli.flags import (
    add_count,
    add_old_flags,
    add_output_folder,
    add_root,
    add_run_dir,
    add_setting,
    get_help_width,
)
from tfvae.config import SETTING_ALIASES, list_settings
from tfvae.specs import OFF_WORD, PartSignature

OWN_OBJECTIVE = "MODULE.CLASS"  # stands in the help for the objectives of users' own
OWN_OBJECTIVE_HELP = (
    "An objective of your own by its import path, with its options behind it: my_losses.FreeBits:floor=4."
)


def format_parts_help() -> str:
    """Return the names that --likelihood, --arch and --prior take, with their options."""
    lines = ["parts, written NAME or NAME:option=value,... with these options and defaults; or a class of your own by "
             "its import path, my_package.my_module.MyClass:option=value"]  # fmt: skip
    for kind in ("likelihood", "arch", "prior"):
        lines += ["", f"--{kind}:"]
        for name, part in part_sources.read_parts(kind).items():
            defaults = {key: OFF_WORD if value is None else value for key, value in part.defaults.items()}
            options = ", ".join(f"{key}={value}" for key, value in defaults.items())
            head = f"  {name:<22}"
            lines += textwrap.wrap(
                head + options, get_help_width(), subsequent_indent=" " * len(head), break_on_hyphens=False
            )
    return "\n".join(line.rstrip() for line in lines)


def add_objectives(
    parser: argparse.ArgumentParser, epilog: str, many: bool = False
) -> Iterator[argparse._ArgumentGroup]:
    """Add a parser for each objective, and yield the group of its flags for folders.

    Each has the objective's own options and the settings of every run.

    Args:
        epilog: stands below each.
        many: each flag takes a list of values.
    """
    commands = parser.add_subparsers(dest="objective", metavar="OBJECTIVE", required=True, title="objectives")
    own = PartSignature(OWN_OBJECTIVE, OWN_OBJECTIVE_HELP)
    for name, part in (part_sources.read_parts("objective") | {OWN_OBJECTIVE: own}).items():
        summary = part.summary.replace("%", "%%")
        usage = "%(prog)s [FLAG ...]"  # all flags follow below, a line each
        child = commands.add_parser(name, help=summary, description=part.summary, epilog=epilog, usage=usage)
        options = child.add_argument_group(f"options of {name}")
        for option in part.options.values():
            add_setting(options, option, many)
        add_old_flags(options, part.aliases, part.options, many)
        settings = child.add_argument_group("settings of the run")
        for setting in list_settings().values():
            if setting.name != "objective":
                add_setting(settings, setting, many)
        add_old_flags(settings, SETTING_ALIASES, list_settings(), many)
        child.set_defaults(part=part)
        yield child.add_argument_group("folders")


def build_train(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae train``."""
    for group in add_objectives(parser, format_parts_help()):
        add_run_dir(group)
        add_root(group)
        text = "begin a new run, even where an unfinished run of these settings exists"
        group.add_argument("--new", action="store_true", help=text)
        group.add_argument("--dry-run", action="store_true", help="print the settings as JSON and stop")


def build_sweep(parser: argparse.ArgumentParser) -> None:
    """Add the flags of ``tfvae sweep``."""
    epilog = (
        "Each flag takes a list of values: --kappa 3,4,5 or --arch mlp,conv. Repeat the flag for specs with options: "
        "--arch mlp:widths=64,latent=8 --arch conv"
    )
    for group in add_objectives(parser, f"{epilog}\n\n{format_parts_help()}", many=True):
        add_root(group)
        add_count(group, "--jobs", 1, "train N runs side by side")
        text = "also write what  tfvae compare  writes into this folder"
        add_output_folder(group, "", text)
        group.add_argument("--dry-run", action="store_true", help="print the runs and stop")
