"""The verbs train, resume and evaluate. TensorFlow is imported after all that can be checked without it."""

import json
import os
import pathlib
import signal
import sys
import threading

from tfvae import datasets, specs
from tfvae.cli.command_line import settings_of
from tfvae.cli.inspection_verbs import aligned, plain
from tfvae.errors import UsageError
from tfvae.export import decoder_formats, savedmodel
from tfvae.runtime.environment import import_tensorflow
from tfvae.runtime.progress_reporters import Live, Plain
from tfvae.training.run_folder import check_place, find, unfinished


class Interrupts:
    """A ``stop=`` that Ctrl-C and SIGTERM make true; a second Ctrl-C stops at once."""

    def __init__(self):
        self.signal = None
        self.before = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self.before = {s: signal.signal(s, self.note) for s in (signal.SIGINT, signal.SIGTERM)}
        return self

    def note(self, number, frame):
        self.signal = number
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Not print, which this handler may have interrupted.
        os.write(2, b"\ntfvae: saving and stopping; Ctrl-C once more stops at once\n")

    def __exit__(self, *error):
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def __call__(self):
        return self.signal is not None


def make_reporter():
    """A live line on a terminal, plain lines elsewhere; both on standard error."""
    return Live() if sys.stderr.isatty() else Plain()


def check_names(config):
    """Refuse unknown parts and data sets, before TensorFlow is loaded."""
    for kind in specs.TABLES:
        spec = getattr(config, kind)
        if (kind, spec) != ("likelihood", "auto"):
            specs.check(kind, spec)
    datasets.check_name(config.dataset)


def train(args):
    """``tfvae train OBJECTIVE``."""
    config = settings_of(args)
    check_names(config)
    if args.dry_run:
        print(json.dumps(config.to_dict(), indent=1))
        return 0
    return begin(config, args.run_dir, args.root, args.new)


def begin(config, run_dir="", root="runs", new=False):
    """Train what `config` says, or go on with its unfinished run unless `new`."""
    earlier = None if new else unfinished(config, run_dir, root)
    reporter = make_reporter()
    if earlier is None:
        check_place(run_dir, root)
    elif earlier.status == "finished":
        print(f"finished already: {os.path.relpath(earlier.path)}")
        return 0
    else:
        reporter.line(f"going on with {os.path.relpath(earlier.path)} ({earlier.status}); --new begins another run")
    if isinstance(reporter, Live):  # somebody watches, and TensorFlow takes seconds to load
        reporter.line(f"{config.objective} on {config.dataset}: loading TensorFlow")
    import_tensorflow()
    from tfvae.reports.run_figures import watch
    from tfvae.training import trainer

    with Interrupts() as stop:
        seen = {"reporter": reporter, "stop": stop, "watch": watch}
        if earlier:
            run = trainer.resume(earlier.path, **seen)
        else:
            run = trainer.train(config, run_dir=run_dir, root=root, **seen)
    return finish(run, reporter, stop)


def resume(args):
    """``tfvae resume RUN``."""
    find(args.run)
    reporter = make_reporter()
    import_tensorflow()
    from tfvae.reports.run_figures import watch
    from tfvae.training import trainer

    with Interrupts() as stop:
        run = trainer.resume(args.run, reporter=reporter, stop=stop, watch=watch, epochs=args.epochs)
    return finish(run, reporter, stop)


def finish(run, reporter, stop):
    """Say where everything is; a run that was stopped gets no pictures, but a way to go on."""
    if run.status != "finished":
        print(f"stopped and saved: {run.shown}\ngo on with:  tfvae resume {run.shown}")
        return 128 + (stop.signal or signal.SIGINT)
    from tfvae.training import trainer

    if not trainer.is_writer(run.config):
        return 0
    from tfvae.reports.run_figures import draw_run

    reporter.line("drawing pictures")
    paths = draw_run(run)
    print(f"run: {run.shown}")
    for path in paths:
        print(f"  {pathlib.Path(path).relative_to(run.path)}")
    print(f"next:  tfvae evaluate {run.shown}")
    return 0


def export(args):
    """``tfvae export RUN DIR``."""
    find(args.run)
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
        print(decoder_formats.export_decoder(args.run, args.directory, args.format, say))
    return 0


def second_stage(args):
    """``tfvae second-stage RUN``."""
    find(args.run)
    specs.check("prior", args.prior)
    check_place(args.run_dir, args.root)
    import_tensorflow()
    return fit_second_stage(args.run, args.prior, args.run_dir, args.root)


def fit_second_stage(run, prior, run_dir="", root="runs"):
    """Make the run of the second stage, its pictures too."""
    from tfvae.training import second_stage

    return finish(second_stage.second_stage(run, prior, run_dir, root), make_reporter(), None)


def evaluate(args):
    """``tfvae evaluate RUN``."""
    find(args.run)
    if args.extractor != "lenet" and not args.pictures:
        raise UsageError("Expected --pictures N with --extractor: it compares N samples. Received: none.")
    import_tensorflow()
    from tfvae.evaluation import evaluate as measure
    from tfvae.evaluation.metric_tables import table

    names = ("split", "samples", "limit", "seed", "pictures", "extractor", "trust")
    asked = {name: getattr(args, name) for name in names}
    found = plain(measure(args.run, **asked, say=make_reporter().line))
    if args.json:
        print(json.dumps(found, allow_nan=False))
    else:
        print(table(found))
    return 0


def rd_curve(args):
    """``tfvae rd-curve RUN``: ``plots/rd_curve.csv`` and ``.png``, and ``plots/posteriors.png``."""
    run = find(args.run)
    import_tensorflow()
    from tfvae.evaluation.rate_distortion_curve import area, codes, rd_curve, write_curve
    from tfvae.plots.grids import points_scatter

    rows = rd_curve(args.run, args.points, args.split, args.limit)
    names = list(rows[0])
    print(aligned([names, *([f"{row[name]:.4g}" for name in names] for row in rows)]))
    print(f"area below the lower hull of rate and sq_err: {area(rows):.5g}")
    clouds = codes(args.run, split=args.split)
    posteriors = points_scatter(run.path / "plots" / "posteriors.png", clouds, shared=list(clouds))
    for path in (*write_curve(rows, run.path / "plots"), posteriors):
        print(path)
    return 0
