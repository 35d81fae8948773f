"""What the benchmarks share: TensorFlow, and tables in results/."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT))

from tfvae.runtime.environment import import_tensorflow

tf = import_tensorflow()

from tfvae.cli.inspection_verbs import csv_bytes, markdown
from tfvae.experiments.lab import cell


def table(rows, columns):
    """Markdown of a list of dicts; numbers with four significant digits."""
    return markdown([columns, *([cell(row.get(name, "")) for name in columns] for row in rows)]) + "\n"


def write(name, rows):
    """``results/name.md`` and ``.csv`` of a list of dicts, and the table on the screen."""
    columns = list(rows[0])
    (RESULTS / f"{name}.md").write_text(table(rows, columns))
    (RESULTS / f"{name}.csv").write_bytes(csv_bytes(rows))
    print(table(rows, columns), flush=True)
