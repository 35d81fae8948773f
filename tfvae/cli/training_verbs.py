"""The verbs train, resume and evaluate. TensorFlow is imported after all that can be checked without it."""

import json
import os
import pathlib
import signal

from tfvae import specs
from tfvae.cli.command_line import settings_of
from tfvae.errors import UsageError
from tfvae.export import decoder_formats, decoder_writers, savedmodel
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.interrupts import StopSignal
from tfvae.runtime.progress_reporters import LiveReporter, make_reporter
from tfvae.runtime.tables import format_table, to_json_value
from tfvae.training.preflight import check_part_names
from tfvae.training.run_folder import check_run_folder, find_unfinished_run, open_run


def train(args):
    """``tfvae train OBJECTIVE``."""
    config = settings_of(args)
    check_part_names(config)
    if args.dry_run:
        print(json.dumps(config.to_dict(), indent=1))
        return 0
    return begin(config, args.run_dir, args.root, args.new)


def begin(config, run_dir="", root="runs", new=False):
    """Train what `config` says, or go on with its unfinished run unless `new`."""
    earlier = None if new else find_unfinished_run(config, run_dir, root)
    reporter = make_reporter()
    if earlier is None:
        check_run_folder(run_dir, root)
    elif earlier.status == "finished":
        print(f"finished already: {os.path.relpath(earlier.path)}")
        return 0
    else:
        reporter.line(f"going on with {os.path.relpath(earlier.path)} ({earlier.status}); --new begins another run")
    if isinstance(reporter, LiveReporter):  # somebody watches, and TensorFlow takes seconds to load
        reporter.line(f"{config.objective} on {config.dataset}: loading TensorFlow")
    import_tensorflow()
    from tfvae.reports.run_figures import watch
    from tfvae.training import trainer

    with StopSignal() as stop:
        seen = {"reporter": reporter, "stop": stop, "watch": watch}
        if earlier:
            run = trainer.resume(earlier.path, **seen)
        else:
            run = trainer.train(config, run_dir=run_dir, root=root, **seen)
    return finish(run, reporter, stop)


def resume(args):
    """``tfvae resume RUN``."""
    open_run(args.run)
    reporter = make_reporter()
    import_tensorflow()
    from tfvae.reports.run_figures import watch
    from tfvae.training import trainer

    with StopSignal() as stop:
        run = trainer.resume(args.run, reporter=reporter, stop=stop, watch=watch, epochs=args.epochs)
    return finish(run, reporter, stop)


def finish(run, reporter, stop):
    """Say where everything is; a run that was stopped gets no pictures, but a way to go on."""
    if run.status != "finished":
        print(f"stopped and saved: {run.display_path}\ngo on with:  tfvae resume {run.display_path}")
        return 128 + (stop.signal or signal.SIGINT)
    from tfvae.training import trainer

    if not trainer.writes_files(run.config):
        return 0
    from tfvae.reports.run_figures import draw_run

    reporter.line("drawing pictures")
    paths = draw_run(run)
    print(f"run: {run.display_path}")
    for path in paths:
        print(f"  {pathlib.Path(path).relative_to(run.path)}")
    print(f"next:  tfvae evaluate {run.display_path}")
    return 0


def export(args):
    """``tfvae export RUN DIR``."""
    open_run(args.run)
    if args.format != "savedmodel":
        if args.version:
            raise UsageError(f"Expected --version only for a SavedModel. Received: --format {args.format} too.")
        decoder_formats.check(args.format, args.directory)
    else:
        savedmodel.version_folder(args.directory, args.version)
    import_tensorflow()
    from tfvae.export.exporter import export_run

    say = make_reporter().line
    if args.format == "savedmodel":
        print(export_run(args.run, args.directory, args.version, say))
        print(f"next:  tfvae sample {args.directory}  or  tfvae inspect {args.directory}")
    else:
        print(decoder_writers.export_decoder(args.run, args.directory, args.format, say))
    return 0


def second_stage(args):
    """``tfvae second-stage RUN``."""
    open_run(args.run)
    specs.check_spec("prior", args.prior)
    check_run_folder(args.run_dir, args.root)
    import_tensorflow()
    return fit_second_stage(args.run, args.prior, args.run_dir, args.root)


def fit_second_stage(run, prior, run_dir="", root="runs"):
    """Make the run of the second stage, its pictures too."""
    from tfvae.training import second_stage

    return finish(second_stage.train_second_stage(run, prior, run_dir, root), make_reporter(), None)


def evaluate(args):
    """``tfvae evaluate RUN``."""
    open_run(args.run)
    if args.extractor != "lenet" and not args.pictures:
        raise UsageError("Expected --pictures N with --extractor: it compares N samples. Received: none.")
    import_tensorflow()
    from tfvae.evaluation import evaluate as measure
    from tfvae.evaluation.metric_tables import table

    names = ("split", "samples", "limit", "seed", "pictures", "extractor", "trust")
    asked = {name: getattr(args, name) for name in names}
    found = to_json_value(measure(args.run, **asked, say=make_reporter().line))
    if args.json:
        print(json.dumps(found, allow_nan=False))
    else:
        print(table(found))
    return 0


def rd_curve(args):
    """``tfvae rd-curve RUN``: ``plots/rd_curve.csv`` and ``.png``, and ``plots/posteriors.png``."""
    run = open_run(args.run)
    import_tensorflow()
    from tfvae.evaluation.rate_distortion_curve import area, codes, rd_curve, write_curve
    from tfvae.plots.grids import points_scatter

    rows = rd_curve(args.run, args.points, args.split, args.limit)
    names = list(rows[0])
    print(format_table([names, *([f"{row[name]:.4g}" for name in names] for row in rows)]))
    print(f"area below the lower hull of rate and sq_err: {area(rows):.5g}")
    clouds = codes(args.run, split=args.split)
    posteriors = points_scatter(run.path / "plots" / "posteriors.png", clouds, shared=list(clouds))
    for path in (*write_curve(rows, run.path / "plots"), posteriors):
        print(path)
    return 0
