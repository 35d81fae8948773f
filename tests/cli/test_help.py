"""Help pages: no line is longer than the terminal is wide, no sentence ends in the middle, nothing private is cited."""

from __future__ import annotations

import re
import sys

import pytest

from tfvae import part_sources
from tfvae.cli import flags, output
from tfvae.cli.action_parsers import ACTIONS
from tfvae.cli.arguments import build_parser
from tfvae.cli.command_line import main
from tfvae.cli.objective_parsers import OWN_OBJECTIVE
from tfvae.cli.parsers import VERBS
from tfvae.errors import count_edits, describe_unknown, find_nearest_name
from tfvae.specs import Option

OBJECTIVES = [*part_sources.read_parts("objective"), OWN_OBJECTIVE]
PAGES = [[], *([verb] for verb in VERBS), *([verb, name] for verb in ("train", "sweep") for name in OBJECTIVES)]
PAGES += [[verb, action] for verb in ACTIONS for action in ACTIONS[verb]]


@pytest.mark.parametrize("page", PAGES, ids=" ".join)
def test_pages_fit_in_80_columns(page, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    assert main([*page, "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert not re.search(r"\bseed 00\d|\(00\d\)|None:|\.\.\.\.", text)


def test_old_flags_are_accepted_but_not_shown(capsys):
    main(["train", "geco", "--help"])
    text = capsys.readouterr().out
    assert "--multiplier-learning-rate" in text and "--rate " not in text and "--rate-warmup" not in text
    assert main(["train", "geco", "--rate", "0.5", "--rate-warmup", "3", "--dry-run"]) == 0
    text = capsys.readouterr().out
    assert '"geco:multiplier_learning_rate=0.5"' in text and '"learning_rate_warmup": 3' in text


@pytest.mark.parametrize(
    ("word", "choices", "nearest"),
    [
        ("mpl", ["conv", "mlp"], "mlp"),
        ("tset", ["train", "validation", "test"], "test"),
        ("embed", VERBS, None),
        ("report", VERBS, None),
        ("evalaute", VERBS, "evaluate"),
        ("second_stage", VERBS, "second-stage"),
        ("trian", VERBS, "train"),
        ("--dataset", ["--split", "--seed", "--trust", "--help"], None),
        ("--lr", ["--help", "-h", "-n", "--learning-rate"], None),
        ("--n", ["-n", "--json"], "-n"),
        ("-x", ["-n", "-o"], None),
        ("--size", ["--seed", "--batch-size"], None),
        ("--batch", ["--batch-size", "--binarize"], "--batch-size"),
        ("--learning", ["--learning-rate", "--learning-rate-warmup"], None),
        ("--learning_rate", ["--learning-rate", "--learning-rate-warmup"], "--learning-rate"),
        ("Fashion-MNIST", ["fashion_mnist", "mnist"], "fashion_mnist"),
        ("cifar", ["cifar10", "celeb_a"], "cifar10"),
        ("transformer", ["conv", "mlp"], None),
        ("", ["a", "conv"], None),
        ("x" * 100_000, ["conv", "mlp"], None),
    ],
)
def test_only_what_can_be_a_slip_is_suggested(word, choices, nearest):
    assert find_nearest_name(word, choices) == nearest
    hint = "" if nearest is None else f"Did you mean {nearest!r}?"
    assert describe_unknown("it", word, choices).rpartition("Received")[2].partition(". ")[2] == hint


def test_long_names_are_cut_in_messages():
    assert len(describe_unknown("it", "x" * 100_000, ["conv"])) < 200


@pytest.mark.parametrize(("a", "b", "count"), [("", "", 0), ("ab", "ba", 1), ("kitten", "sitting", 3), ("", "abc", 3)])
def test_edits_are_counted_as_known(a, b, count):
    assert count_edits(a, b) == count_edits(b, a) == count


def test_every_flag_says_what_it_does():
    for verb in VERBS:
        parser = build_parser(verb)._subparsers._group_actions[0].choices[verb]
        has_actions = parser._subparsers is not None
        parsers = list(parser._subparsers._group_actions[0].choices.values()) if has_actions else [parser]
        for one in parsers:
            assert all(action.help for action in one._actions), (one.prog, [a.dest for a in one._actions if not a.help])


def test_tables_are_plain_in_a_pipe_and_whole_on_a_terminal(capsys, monkeypatch):
    rows = [("name", "value"), ("a", "[red]1[/red]"), ("b" * 30, "2")]
    output.print_table(rows)
    assert capsys.readouterr().out.splitlines()[1] == "a" + " " * 31 + "[red]1[/red]"
    monkeypatch.setenv("COLUMNS", "24")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    output.print_table(rows)
    text = capsys.readouterr().out
    assert text.splitlines()[1].split() == ["a", "[red]1[/"] and text.splitlines()[2].split() == ["red]"]
    assert text.count("b") == 30 and max(map(len, text.splitlines())) <= 24


def test_values_of_optional_options():
    parse = flags.make_value_parser(Option("x", None, float, optional=True))
    assert parse("none") is None and parse("0") == 0 and parse("0.5") == 0.5
    assert flags.make_value_parser(Option("x", "a", str))("none") == "none"
