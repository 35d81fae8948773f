"""Runs for the benchmarks: each is a folder, so that an interrupted benchmark goes on where it stood."""

import csv
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT))

from tfvae.environment import import_tensorflow  # noqa: E402

tf = import_tensorflow()

import keras  # noqa: E402

from tfvae import comparison, runs  # noqa: E402
from tfvae.progress import Plain  # noqa: E402


def finished(name, root=ROOT / "runs" / "benchmarks", **settings):
    """The run ``root/name``: as it is if finished, else continued or begun."""
    path = pathlib.Path(root) / name
    if path.exists() and runs.find(path).status == "finished":
        return runs.find(path)
    keras.backend.clear_session()
    print(f"== {name}", file=sys.stderr, flush=True)
    if path.exists():
        return runs.resume(path, reporter=Plain())
    return runs.train(run_dir=str(path), root=str(root), reporter=Plain(), **settings)


def measured(run, split="test", samples=1, limit=0, pictures=0):
    """`evaluate` of a run at its newest checkpoint, kept in its folder."""
    keras.backend.clear_session()
    return comparison.measured(run, split, samples, limit, Plain().line, pictures)


def table(rows, columns):
    """Markdown of a list of dicts; numbers with four significant digits."""

    def cell(value):
        return f"{value:.4g}" if isinstance(value, float) else str(value)

    lines = ["| " + " | ".join(columns) + " |", "|" + " --- |" * len(columns)]
    lines += ["| " + " | ".join(cell(row.get(name, "")) for name in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def write(name, rows):
    """``results/name.md`` and ``.csv`` of a list of dicts, and the table on the screen."""
    columns = list(rows[0])
    (RESULTS / f"{name}.md").write_text(table(rows, columns))
    with open(RESULTS / f"{name}.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(table(rows, columns), flush=True)
