"""The verbs evaluate and rd-curve: what a run has learnt, in numbers."""

from __future__ import annotations

import argparse

from tfvae.cli.output import print_json, print_table
from tfvae.cli.run_loading import open_trusted_run
from tfvae.errors import UsageError
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.progress_reporters import make_reporter
from tfvae.runtime.tables import to_json_value


def evaluate(args: argparse.Namespace) -> int:
    """Run ``tfvae evaluate RUN`` and return the exit code."""
    run = open_trusted_run(args.run, args.trust)
    if args.extractor != "lenet" and not args.pictures:
        raise UsageError("Expected --pictures N with --extractor: it compares N samples. Received: none.")
    import_tensorflow()
    from tfvae.evaluation import evaluate as evaluate_run
    from tfvae.evaluation.metric_tables import format_metrics

    names = ("split", "samples", "limit", "seed", "pictures", "extractor", "trust")
    settings = {name: getattr(args, name) for name in names}
    metrics = to_json_value(evaluate_run(run.path, **settings, say=make_reporter().line))
    if args.json:
        print_json(metrics)
    else:
        print(format_metrics(metrics))
    return 0


def rd_curve(args: argparse.Namespace) -> int:
    """Run ``tfvae rd-curve RUN`` and return the exit code.

    It writes ``plots/rd_curve.csv``, ``plots/rd_curve.png`` and ``plots/posteriors.png``.
    """
    run = open_trusted_run(args.run, args.trust)
    import_tensorflow()
    from tfvae.evaluation.rate_distortion_curve import (
        compute_area_below_hull,
        draw_codes_along_range,
        measure_rate_distortion_curve,
        write_rate_distortion_curve,
    )
    from tfvae.plots.scatter import draw_scatter

    rows = measure_rate_distortion_curve(run.path, args.points, args.split, args.limit)
    names = list(rows[0])
    print_table([names, *([f"{row[name]:.4g}" for name in names] for row in rows)])
    print(f"area below the lower hull of rate and sq_err: {compute_area_below_hull(rows):.5g}")
    codes = draw_codes_along_range(run.path, split=args.split)
    posteriors = draw_scatter(run.path / "plots" / "posteriors.png", codes, shared=list(codes))
    for path in (*write_rate_distortion_curve(rows, run.path / "plots"), posteriors):
        print(path)
    return 0
