"""The verb compare: runs beside each other in tables, in two planes, by samples."""

import json
import pathlib

from tfvae.runtime import files
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.progress_reporters import PlainReporter
from tfvae.runtime.tables import format_table, to_json_value
from tfvae.training.run_folder import open_run


def report(runs, output="", as_json=False, split="test", samples=100, limit=0):
    """Measure `runs`, print the tables, and write tables and pictures into the folder `output` if there is one."""
    import_tensorflow()
    from tfvae.reports import comparison

    say, asked = PlainReporter().line, {"split": split, "samples": samples, "limit": limit}
    if output:
        files.make_folder(pathlib.Path(output))
    rows = comparison.rows_of(runs, **asked, say=say)
    groups = comparison.over_seeds(rows)
    paths = comparison.write(runs, rows, groups, asked, pathlib.Path(output), say) if output else []
    if as_json:
        found = {"asked": asked, "runs": rows, "over_seeds": groups, "files": list(map(str, paths))}
        print(json.dumps(to_json_value(found), allow_nan=False))
    else:
        print(
            *(f"{title}:\n{format_table(lines)}" for title, lines in comparison.tables(rows, groups).items()),
            *paths,
            sep="\n",
        )
    return 0


def compare(args):
    """``tfvae compare RUN RUN ...``."""
    runs = {run.path: run for run in map(open_run, args.runs)}  # latest may be there by its name, too
    return report(list(runs.values()), args.output, args.json, args.split, args.samples, args.limit)
