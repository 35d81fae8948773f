"""The verbs evaluate and rd-curve: what a run has learnt, in numbers."""

from __future__ import annotations

import argparse
import pathlib

from tfvae.cli.output import get_output_width, print_json, print_paragraph, print_table
from tfvae.cli.run_loading import open_trusted_run
from tfvae.errors import UsageError
from tfvae.runtime import files
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.progress_reporters import make_reporter
from tfvae.runtime.tables import to_json_value
from tfvae.training.published_model import PublishedModel
from tfvae.training.run_folder import PLOTS


def evaluate(args: argparse.Namespace) -> int:
    """Run ``tfvae evaluate RUN`` and return the exit code."""
    run = open_trusted_run(args.run, args.trust)
    if args.extractor != "lenet" and not args.pictures:
        raise UsageError("Expected --pictures N with --extractor: it compares N samples. Received: none.")
    import_tensorflow()
    from tfvae.evaluation import evaluate as evaluate_run
    from tfvae.evaluation.metric_tables import format_metrics

    names = ("split", "samples", "limit", "seed", "pictures", "extractor", "trust", "dataset")
    settings = {name: getattr(args, name) for name in names}
    metrics = to_json_value(evaluate_run(run, **settings, say=make_reporter().line))
    if args.json:
        print_json(metrics)
    else:
        print(format_metrics(metrics, get_output_width()))
    return 0


def rd_curve(args: argparse.Namespace) -> int:
    """Run ``tfvae rd-curve RUN`` and return the exit code.

    It writes ``rd_curve.csv``, ``rd_curve.png`` and ``posteriors.png``, by default into the run's folder ``plots``.
    """
    run = open_trusted_run(args.run, args.trust)
    # Nothing is written into a published model, whose manifest names all its files.
    default = pathlib.Path() if isinstance(run, PublishedModel) else run.path / PLOTS
    folder = pathlib.Path(args.output) if args.output else default
    import_tensorflow()
    from tfvae.evaluation.rate_distortion_curve import (
        compute_area_below_hull,
        draw_codes_along_range,
        measure_rate_distortion_curve,
        write_rate_distortion_curve,
    )
    from tfvae.plots.scatter import draw_scatter

    rows = measure_rate_distortion_curve(run, args.points, args.split, args.limit)
    names = list(rows[0])
    print_table([names, *([f"{row[name]:.4g}" for name in names] for row in rows)])
    print_paragraph(f"{args.split} split; bounds from one draw of z per image (K=1); nats per image.")
    print(f"area below the lower hull of rate and sq_err: {compute_area_below_hull(rows):.5g}")
    codes = draw_codes_along_range(run, split=args.split)
    files.make_folder(folder)
    posteriors = draw_scatter(folder / "posteriors.png", codes, shared=list(codes))
    for path in (*write_rate_distortion_curve(rows, folder), posteriors):
        print(path)
    return 0
