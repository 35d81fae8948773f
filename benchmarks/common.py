"""What the benchmarks share: TensorFlow, and tables in results/."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT))

from tfvae.runtime.environment import import_tensorflow  # noqa: E402

tf = import_tensorflow()

from tfvae.experiments.lab import format_rounded  # noqa: E402
from tfvae.runtime.tables import format_csv, format_markdown  # noqa: E402


def format_result_table(rows, columns):
    """Return a list of dicts as a table in Markdown; numbers have four significant digits."""
    return format_markdown([columns, *([format_rounded(row.get(name, "")) for name in columns] for row in rows)]) + "\n"


def write_results(name, rows):
    """Write a list of dicts as ``results/name.md`` and ``.csv``, and print the table."""
    columns = list(rows[0])
    (RESULTS / f"{name}.md").write_text(format_result_table(rows, columns))
    (RESULTS / f"{name}.csv").write_bytes(format_csv(rows))
    print(format_result_table(rows, columns), flush=True)
