"""What a person sees while a model trains: a live line on a terminal, plain lines elsewhere, nothing in a library."""

import sys
import time

PROGRESS_COLUMNS = ("loss", "elbo", "rate", "distortion", "sq_err", "lambda", "constraint", "val_elbo")


def format_progress(values):
    """'elbo 423.1  rate 8.39 ...': the columns of a row that a person follows."""
    return "  ".join(f"{name} {values[name]:.4g}" for name in PROGRESS_COLUMNS if name in values)


class SilentReporter:
    """The default in Python: nothing is printed."""

    def line(self, text):
        """One sentence about the run."""

    def block(self, epoch, epochs, done, steps, means):
        """`done` of `steps` in this epoch; means so far."""

    def epoch(self, row, epochs, images_per_second):
        """The row that went to metrics.csv."""

    def close(self):
        """The run is over."""


class PlainReporter(SilentReporter):
    """One line an epoch, and one each `every` seconds within a long epoch; on standard error."""

    def __init__(self, every=10.0, stream=None):
        self.every, self.stream, self.last = every, stream or sys.stderr, time.monotonic()

    def line(self, text):
        print(text, file=self.stream, flush=True)

    def block(self, epoch, epochs, done, steps, means):
        if done < steps and time.monotonic() - self.last >= self.every:
            self.last = time.monotonic()
            self.line(f"epoch {epoch}/{epochs}  step {done}/{steps}  {format_progress(means)}")

    def epoch(self, row, epochs, images_per_second):
        self.last = time.monotonic()
        self.line(f"epoch {row['epoch']}/{epochs}  {format_progress(row)}  {images_per_second:,.0f} images/s")


class LiveReporter(PlainReporter):
    """A rich progress bar with the time left; finished epochs scroll away above it."""

    def __init__(self):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

        super().__init__()
        self.console = Console(stderr=True, highlight=False)
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}"),
            console=self.console,
            transient=True,
        )
        self.task = None

    def line(self, text):
        self.console.print(text, soft_wrap=True, markup=False)

    def block(self, epoch, epochs, done, steps, means):
        if self.task is None:
            self.task = self.bar.add_task("", total=epochs * steps, epoch="", text="")
            self.bar.start()
        text = "  ".join(f"{name} {means[name]:.4g}" for name in ("elbo", "rate", "sq_err") if name in means)
        done += (epoch - 1) * steps
        self.bar.update(self.task, completed=done, epoch=f"{epoch}/{epochs}", text=text)

    def close(self):
        self.bar.stop()


def make_reporter():
    """A live line on a terminal, plain lines elsewhere; both on standard error."""
    return LiveReporter() if sys.stderr.isatty() else PlainReporter()
