"""Help pages and tables fit on the screen, nothing is left out of them, and they say what was measured."""

import argparse
import pathlib
import re

import pytest

from tfvae.cli import comparison_verb, inspection_verbs, output
from tfvae.cli.arguments import build_parser
from tfvae.cli.command_line import main
from tfvae.cli.parsers import VERBS
from tfvae.evaluation.metric_tables import format_metrics
from tfvae.evaluation.metrics import METRICS
from tfvae.reports import comparison

ZOO = pathlib.Path(__file__).parents[2] / "zoo"
WIDTHS = (60, 80, 100, 200)
LONG_ARCH = "convdraw:steps=4,hidden=64,latent=4,kernel=3,shared=false"


def list_help_pages(parser):
    """Yield (command, text) of a parser and of all parsers below it."""
    yield parser.prog, parser.format_help()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from list_help_pages(child)


@pytest.mark.parametrize("width", WIDTHS)
def test_no_help_page_is_wider_than_the_terminal(width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    build_parser.cache_clear()  # the parts' table is laid out when a parser is built
    pages = list(list_help_pages(build_parser()))[:1]
    for verb in VERBS:
        pages += list_help_pages(build_parser(verb)._subparsers._group_actions[0].choices[verb])
    build_parser.cache_clear()
    assert len(pages) > 50
    assert [(prog, line) for prog, text in pages for line in text.splitlines() if len(line) > width] == []


def test_help_of_an_action_names_its_own_flags_alone(capsys):
    texts = {}
    for action in ("list", "info", "verify", "get", "train", "add"):
        assert main(["zoo", action, "--help"]) == 0
        texts[action] = capsys.readouterr().out
    assert "--quick" in texts["verify"] and not any("--quick" in texts[one] for one in texts if one != "verify")
    assert "PATTERN" in texts["list"] and "--trust" not in texts["list"]
    assert re.search(r"zoo add \[-h\].* NAME RUN\n", texts["add"])
    assert main(["experiment", "list", "--help"]) == 0 and "--jobs" not in capsys.readouterr().out
    assert main(["zoo", "--help"]) == 0 and "--quick" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "argv", [["runs"], ["runs", "list"], ["runs", "--root", "here"], ["runs", "--root", "here", "list"]]
)
def test_an_action_may_be_left_out_or_stand_behind_flags(argv, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(argv) == 0
    assert capsys.readouterr().out.startswith(f"no runs in {'here' if 'here' in argv else 'runs'};")


@pytest.mark.parametrize("argv", [["zoo"], ["zoo", "--quick"], ["zoo", "info"], ["experiment", "run"], ["train"]])
def test_what_is_missing_is_named(argv, capsys):
    assert main(argv) == 2
    assert re.fullmatch(r"tfvae: Expected [A-Z]+\. Received: none; see  tfvae .* --help\n", capsys.readouterr().err)


# --- tables ------------------------------------------------------------------------------------------------------


def make_rows():
    """Return rows as `compare_runs` does: several settings that differ, with long values."""
    scores = dict.fromkeys(comparison.SCORES, -1234.5678)
    settings = [{"objective": "geco", "kappa": 4, "arch": LONG_ARCH, "dataset": f"folder:/data/p{n}"} for n in (1, 2)]
    return [
        {"run": f"runs/folder-data-p/geco/20260101-00000{n}-0123abcd", "settings": one, **scores}
        | {"constraints_met": True, "status": "finished", "images": 1000}
        for n, one in enumerate(settings)
    ]


def print_comparison(monkeypatch):
    monkeypatch.setattr(comparison, "compare_runs", lambda *rest: make_rows())
    return comparison_verb.compare_runs([], split="validation", samples=17)


def print_runs(monkeypatch):
    report = {"run": make_rows()[0]["run"], "status": "finished", "epochs": "2/2", "elbo": -2.5, "rate": 1.0}
    report |= {"dataset": "folder:/home/somebody/pictures,size=64", "objective": "geco:kappa=4,controller=log"}
    monkeypatch.setattr(inspection_verbs, "find_runs", lambda root: [row["run"] for row in make_rows()])
    monkeypatch.setattr(inspection_verbs, "describe_run", lambda path: report | {"run": path})
    return main(["runs"])


def print_evaluation(monkeypatch):
    values = {metric.name: 1234.5678 for metric in METRICS if not metric.section and not metric.member}
    values |= {f"{name}_{end}": -1234.5678 for name in values for end in ("low", "high")}
    values |= {"kl_per_dimension": [0.123] * 40, "latent": 16, "marginal_posteriors": 1000}
    values |= {"collapse": "complete in what is decoded: reconstructions are no nearer than the images' mean picture"}
    values |= {"run": "/home/somebody/" + make_rows()[0]["run"], "images": 10, "split": "test", "samples": 17}
    values |= {"seconds": 1.0, "constraints": [{"text": "feature:extractor<=3", "met": True, "violation": 0.1}]}
    values |= {metric.section: {} for metric in METRICS if metric.section}
    print(format_metrics(values, output.get_output_width()))
    return 0


def print_with(*argv):
    return lambda monkeypatch: main(list(argv))


SWEEP = ("sweep", "geco", "--dataset", "digits", "--arch", LONG_ARCH, "--arch", "conv", "--kappa", "3,4", "--dry-run")
PRINTED = {
    "compare": (print_comparison, ["shared=false", "p2", "constraints_met", "validation split", "K=17"]),
    "runs": (print_runs, ["20260101-000001-0123abcd", "controller=log", "size=64", "training split"]),
    "evaluate": (print_evaluation, ["test split", "K=17", "mean picture", "feature:extractor<=3"]),
    "sweep": (print_with(*SWEEP), ["kernel=3", "kappa=4"]),
    "zoo list": (print_with("zoo", "list"), ["conditioning=film", "error"]),
    "zoo info": (print_with("zoo", "info", "mnist-iwae-mlp"), ["--likelihood bernoulli", "K=50", "test images"]),
    "data list": (print_with("data", "list"), ["npz:PATH", "x_test, y_test"]),
    "data info": (print_with("data", "info", "digits"), ["1797"]),
    "experiment list": (print_with("experiment", "list"), ["kernel PCA", "Idler"]),
}


@pytest.mark.parametrize("name", PRINTED)
@pytest.mark.parametrize("width", [60, 80])
def test_tables_fit_and_leave_nothing_out(name, width, capsys, monkeypatch, tmp_path):
    print_it, words = PRINTED[name]
    monkeypatch.setenv("TFVAE_ZOO", str(ZOO))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", str(width))
    assert print_it(monkeypatch) == 0
    text = capsys.readouterr().out
    assert [line for line in text.splitlines() if len(line) > width] == []
    monkeypatch.delenv("COLUMNS")
    assert print_it(monkeypatch) == 0
    whole = capsys.readouterr().out
    for printed in (text, whole):
        assert all("".join(word.split()) in "".join(printed.split()) for word in words), printed
