"""What the benchmarks share: TensorFlow, and tables in results/."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT))

from tfvae.runtime.environment import import_tensorflow

tf = import_tensorflow()

from tfvae.experiments.lab import cell
from tfvae.runtime.tables import format_csv, format_markdown


def table(rows, columns):
    """Markdown of a list of dicts; numbers with four significant digits."""
    return format_markdown([columns, *([cell(row.get(name, "")) for name in columns] for row in rows)]) + "\n"


def write(name, rows):
    """``results/name.md`` and ``.csv`` of a list of dicts, and the table on the screen."""
    columns = list(rows[0])
    (RESULTS / f"{name}.md").write_text(table(rows, columns))
    (RESULTS / f"{name}.csv").write_bytes(format_csv(rows))
    print(table(rows, columns), flush=True)
