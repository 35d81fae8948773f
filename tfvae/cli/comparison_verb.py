"""The verb compare: runs beside each other in tables, in two planes, by samples."""

from __future__ import annotations

import argparse
import pathlib
from collections.abc import Sequence

from tfvae.cli.output import print_json, print_paragraph, print_table
from tfvae.cli.run_loading import open_trusted_run
from tfvae.runtime import files
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.progress_reporters import PlainReporter
from tfvae.training.run_folder import Run


def compare_runs(
    runs: Sequence[Run],
    output: str = "",
    as_json: bool = False,
    split: str = "test",
    samples: int = 100,
    limit: int = 0,
) -> int:
    """Measure runs, print the tables, write tables and pictures, and return the exit code.

    Args:
        runs: the runs.
        output: the folder for tables and pictures; "": none are written.
        as_json: print one JSON object instead of tables.
        split, samples, limit: as for ``tfvae compare``.
    """
    import_tensorflow()
    from tfvae.reports import comparison, comparison_tables

    say, settings = PlainReporter().line, {"split": split, "samples": samples, "limit": limit}
    if output:
        files.make_folder(pathlib.Path(output))
    rows = comparison.compare_runs(runs, split, samples, limit, say)
    groups = comparison.average_over_seeds(rows)
    paths = comparison.write_comparison(runs, rows, groups, settings, pathlib.Path(output), say) if output else []
    if as_json:
        print_json({"asked": settings, "runs": rows, "over_seeds": groups, "files": list(map(str, paths))})
        return 0
    print_paragraph(comparison_tables.describe_measurement(rows, settings))
    for title, lines in comparison_tables.format_tables(rows, groups).items():
        print(f"{title}:")
        print_table(lines)
    for path in paths:
        print(path)
    return 0


def compare(args: argparse.Namespace) -> int:
    """Run ``tfvae compare RUN RUN ...`` and return the exit code."""
    opened = [open_trusted_run(path, args.trust) for path in args.runs]
    runs = {run.path: run for run in opened}  # latest may be there by its name, too
    return compare_runs(list(runs.values()), args.output, args.json, args.split, args.samples, args.limit)
