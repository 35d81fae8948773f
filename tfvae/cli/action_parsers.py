"""The parsers of the verbs with actions, zoo, experiment, data and runs: one for each action, with its flags alone."""

from __future__ import annotations

import argparse

from tfvae.cli.flags import LATEST, add_count, add_json, add_output_folder, add_root, add_trust

ACTIONS = {
    "zoo": {
        "list": "list the models",
        "info": "show a model: its numbers, its recipe, where it is",
        "verify": "check the files of models, and measure the numbers of their cards again",
        "get": "copy a SavedModel to a folder that TensorFlow Serving can read",
        "train": "train a model anew, as its recipe says",
        "add": "make an entry of a finished run",
    },
    "experiment": {"list": "list the experiments, and which of them have run", "run": "run experiments"},
    "data": {
        "list": "list the data sets",
        "prepare": "copy a data set to this disk in the form that training reads",
        "info": "describe a data set",
    },
    "runs": {"list": "list the runs (default)", "show": "show one run"},
}
DEFAULT_ACTIONS = {"runs": "list"}


def put_action_first(argv: list[str]) -> list[str]:
    """Return the words of a command line with the action of its verb before the flags, and with the default action.

    Example:
        >>> put_action_first(["runs", "--root", "old"])
        ['runs', 'list', '--root', 'old']
    """
    verb, *rest = argv or [""]
    if verb not in ACTIONS or rest and (rest[0] in ("-h", "--help") or not rest[0].startswith("-")):
        return argv
    action = next((word for word in rest if word in ACTIONS[verb]), None)
    if action is not None:
        rest.remove(action)
    words = [action or DEFAULT_ACTIONS.get(verb, "")]
    return [verb, *filter(None, words), *rest]


def add_actions(parser: argparse.ArgumentParser, verb: str) -> dict[str, argparse.ArgumentParser]:
    """Add a parser for each action of a verb to the verb's, and return them by name."""
    commands = parser.add_subparsers(dest="action", metavar="ACTION", required=True, title="actions")
    return {
        name: commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        for name, text in ACTIONS[verb].items()
    }


def build_zoo(parser: argparse.ArgumentParser) -> None:
    """Add the actions of ``tfvae zoo``."""
    actions = add_actions(parser, "zoo")
    text = "only names that match, such as '*mnist*'"
    actions["list"].add_argument("name", nargs="?", default="", metavar="PATTERN", help=text)
    actions["verify"].add_argument("name", nargs="?", default="", metavar="NAME", help="name of a model (default: all)")
    for action in ("info", "get", "train", "add"):
        text = "name of the new entry" if action == "add" else "name of a model"
        actions[action].add_argument("name", metavar="NAME", help=text)
    text = "the folder to write (default: the model's name)"
    actions["get"].add_argument("path", nargs="?", default="", metavar="PATH", help=text)
    actions["add"].add_argument("path", metavar="RUN", help="the run folder")
    actions["verify"].add_argument("--quick", action="store_true", help="check the hashes only")
    for action in ("verify", "get", "train", "add"):
        add_trust(actions[action])
    for action in ("list", "info"):
        add_json(actions[action])


def build_experiment(parser: argparse.ArgumentParser) -> None:
    """Add the actions of ``tfvae experiment``."""
    actions = add_actions(parser, "experiment")
    actions["run"].add_argument("names", nargs="+", metavar="NAME", help="names of experiments, or all")
    text = "train on 2,000 images for 2 epochs, to see that it works"
    actions["run"].add_argument("--quick", action="store_true", help=text)
    text = "folder of the pages and of their index (default: experiments)"
    for action in actions.values():
        add_output_folder(action, "experiments", text)
    add_root(actions["run"])
    add_count(actions["run"], "--jobs", 1, "train N runs side by side")


def build_data(parser: argparse.ArgumentParser) -> None:
    """Add the actions of ``tfvae data``."""
    actions = add_actions(parser, "data")
    for action in ("prepare", "info"):
        actions[action].add_argument("name", metavar="NAME", help="name of a data set")
        actions[action].add_argument("--raw-dir", default="", metavar="DIR", help="folder with original files")


def build_runs(parser: argparse.ArgumentParser) -> None:
    """Add the actions of ``tfvae runs``."""
    actions = add_actions(parser, "runs")
    add_root(actions["list"])
    text = f"the run folder (default: {LATEST})"
    actions["show"].add_argument("run", nargs="?", default=LATEST, metavar="RUN", help=text)
