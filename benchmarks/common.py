"""What the benchmarks share: TensorFlow, and tables in results/."""

import csv
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
sys.path.insert(0, str(ROOT))

from tfvae.environment import import_tensorflow  # noqa: E402

tf = import_tensorflow()


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
