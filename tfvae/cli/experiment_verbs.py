"""The verb experiment: ``list``, ``run NAME...|all``."""

import importlib
import pathlib

from tfvae.errors import UsageError, describe_unknown
from tfvae.experiments import RECIPES, SEED_ROWS
from tfvae.experiments.lab import Lab
from tfvae.runtime import files
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.progress_reporters import PlainReporter
from tfvae.runtime.tables import format_markdown, format_table
from tfvae.training.run_folder import check_run_folder

SEEDS = {
    "0": "000, Parnas and Shazman: Fashion-MNIST and theory", "1": "001, Kuzina and others: MNIST, CIFAR-10",
    "2": "002, Idler: the square", "3": "003, Kim Seung Hwan: beta apart from sigma", "4": "004, Haseeb",
}  # fmt: skip


def experiment(args):
    """``tfvae experiment list|run``."""
    output = pathlib.Path(args.output)
    if args.action == "list":
        rows = [(name, ran(about_of(output, name)), text) for name, (_, text) in RECIPES.items()]
        print(format_table([("name", "ran", "what it shows"), *rows]))
        return 0
    names = list(RECIPES) if args.names == ["all"] else args.names
    if not names:
        raise UsageError("Expected names, or all, as in  tfvae experiment run mnist-table. Received: none.")
    for name in names:
        if name not in RECIPES:
            raise UsageError(describe_unknown("an experiment", name, RECIPES))
    check_run_folder(root=args.root)
    import_tensorflow()
    for name in names:
        print(run_one(name, output, args.root, args.quick, args.jobs))
    return 0


def run_one(name, output, root="runs", quick=False, jobs=1):
    """Run a recipe and renew the index: -> the path of its page."""
    PlainReporter().line(f"experiment {name}{', quick' if quick else ''}")
    lab = Lab(name, output, root, quick, jobs)
    importlib.import_module(f"tfvae.experiments.{RECIPES[name][0]}").run(lab)
    files.write_bytes(output / "README.md", index(output).encode())
    return lab.folder / "README.md"


def about_of(output, name):
    """What the last run of a recipe found, as `Lab.publish` wrote it; None: it never ran."""
    path = output / name / "about.json"
    return files.read_json(path) if path.exists() else None


def ran(about):
    """'in full', 'quick' or 'no'."""
    return "no" if about is None else "quick" if about["quick"] else "in full"


def index(output):
    """The index page: every row of the seeds, where it is, what ran, and the verdict with its figures."""
    found = {name: about_of(output, name) for name in RECIPES}
    recipes = [("experiment", "ran", "training, minutes", "what it shows")]
    for name, (_, text) in RECIPES.items():
        minutes = f"{found[name]['training_minutes']:.3g}" if found[name] else "-"
        recipes.append((link(name, found), ran(found[name]), minutes, text))
    parts = [
        "# Every table and plot of the seeds",
        f"Made by  `tfvae experiment run NAME`.\n\n{format_markdown(recipes)}",
    ]
    for seed, title in SEEDS.items():
        rows = [("row", "what", "where", "ran", "verdict, figures")]
        for row, (what, where) in SEED_ROWS.items():
            if row.split(".")[0] == seed:
                rows.append((row, what, *answer(row, where, found)))
        parts += [f"## {title}", format_markdown(rows)]
    return "\n\n".join(parts) + "\n"


def link(name, found):
    return f"[{name}]({name}/README.md)" if found[name] else name


def answer(row, where, found):
    """(where, ran, verdicts) of one row; `where` is a text, or a tuple of recipes."""
    if isinstance(where, str):
        return where, "-", "-"
    verdicts = [
        f"{v['outcome']}: {v['claim']} ({v['because']})"
        for name in where if found[name]
        for v in found[name]["verdicts"] if row in v["rows"]
    ]  # fmt: skip
    state = {ran(found[name]) for name in where}
    return ", ".join(link(name, found) for name in where), ", ".join(sorted(state)), "<br>".join(verdicts) or "see page"
