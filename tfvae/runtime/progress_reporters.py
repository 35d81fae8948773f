"""Progress reporters: a live bar on a terminal, plain lines elsewhere, nothing where tfvae is used as a library."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tfvae.errors import UsageError, describe_value, make_printable

PROGRESS_COLUMNS = ("loss", "elbo", "rate", "distortion", "sq_err", "lambda", "constraint", "val_elbo")
EPOCH_LINES = 100  # of a training in a script, at most
LIVE_COLUMNS = ("elbo", "rate", "sq_err")


def format_progress(values: Mapping[str, Any], names: tuple[str, ...] = PROGRESS_COLUMNS) -> str:
    """Return the columns of a row that a person follows: 'elbo 423.1  rate 8.39 ...'.

    Behind a constraint stands what is expected of it at the end of the training, with two standard deviations.
    """
    texts = {name: f"{name} {values[name]:.4g}" for name in names if name in values}
    at_end = values.get("constraint_at_end", math.nan)
    if "constraint" in texts and math.isfinite(at_end):
        texts["constraint"] += f" (at the end {at_end:.3g} +-{2 * values['constraint_at_end_stddev']:.2g})"
    return "  ".join(texts.values())


class SilentReporter:
    """A reporter that prints nothing: the default in Python, and the base class of all."""

    def line(self, text: str) -> None:
        """Report one sentence about the run."""

    def block(self, epoch: int, epochs: int, done: int, steps: int, means: Mapping[str, float]) -> None:
        """Report that `done` of `steps` in this epoch are done, with the means so far."""

    def epoch(self, row: Mapping[str, Any], epochs: int, images_per_second: float) -> None:
        """Report the row that went to metrics.csv; images_per_second is NaN where nothing but compiling was timed."""

    def close(self) -> None:
        """End: the run is over."""


class PlainReporter(SilentReporter):
    """A reporter of one line an epoch, and one each `every` seconds within a long epoch.

    Args:
        every: seconds.
        stream: where to print; None: standard error.
    """

    def __init__(self, every: float = 10.0, stream: TextIO | None = None) -> None:
        self.every, self.stream, self.last = every, stream or sys.stderr, time.monotonic()

    def line(self, text: str) -> None:
        """Print a sentence."""
        print(make_printable(text), file=self.stream, flush=True)

    def block(self, epoch: int, epochs: int, done: int, steps: int, means: Mapping[str, float]) -> None:
        """Print the means so far, if the last line is `every` seconds old."""
        if done < steps and time.monotonic() - self.last >= self.every:
            self.last = time.monotonic()
            self.line(f"epoch {epoch}/{epochs}  step {done}/{steps}  {format_progress(means)}")

    def epoch(self, row: Mapping[str, Any], epochs: int, images_per_second: float) -> None:
        """Print the row of a finished epoch."""
        self.last = time.monotonic()
        speed = f"  {images_per_second:,.0f} images/s" if math.isfinite(images_per_second) else ""
        self.line(f"epoch {row['epoch']}/{epochs}  {format_progress(row)}{speed}")


class LiveReporter(PlainReporter):
    """A progress bar with the time left; finished epochs scroll away above it."""

    def __init__(self) -> None:
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
        self.task: Any = None

    def line(self, text: str) -> None:
        """Print a sentence above the bar."""
        self.console.print(make_printable(text), soft_wrap=True, markup=False)

    def block(self, epoch: int, epochs: int, done: int, steps: int, means: Mapping[str, float]) -> None:
        """Move the bar."""
        if self.task is None:
            self.task = self.bar.add_task("", total=epochs * steps, epoch="", text="")
            self.bar.start()
        done += (epoch - 1) * steps
        text = format_progress(means, LIVE_COLUMNS)
        self.bar.update(self.task, completed=done, epoch=f"{epoch}/{epochs}", text=text)

    def close(self) -> None:
        """Take the bar away."""
        self.bar.stop()


def make_reporter() -> PlainReporter:
    """Return a live reporter on a terminal, a plain one elsewhere; both on standard error."""
    return LiveReporter() if sys.stderr.isatty() else PlainReporter()


class ScriptReporter(PlainReporter):
    """A reporter for scripts and notebooks: a line an epoch, of many epochs about a hundred lines in all."""

    def __init__(self) -> None:
        super().__init__(every=60.0)

    def epoch(self, row: Mapping[str, Any], epochs: int, images_per_second: float) -> None:
        """Print the row of a finished epoch, if its turn has come."""
        if row["epoch"] in (1, epochs) or row["epoch"] % math.ceil(epochs / EPOCH_LINES) == 0:
            super().epoch(row, epochs, images_per_second)


class CallbackReporter(SilentReporter):
    """A reporter that hands the row of each epoch to a function of the user's.

    Args:
        function: called with the row of metrics.csv, a dict.
    """

    def __init__(self, function: Callable[[dict[str, Any]], object]) -> None:
        self.function = function

    def epoch(self, row: Mapping[str, Any], epochs: int, images_per_second: float) -> None:
        """Call the function."""
        self.function(dict(row))


ProgressChoice = bool | SilentReporter | Callable[[dict[str, Any]], object]


def choose_reporter(progress: ProgressChoice) -> SilentReporter:
    """Return the reporter that ``tfvae.train(progress=...)`` asks for.

    Args:
        progress: True: a bar on a terminal, lines elsewhere; False: silence; a function of each epoch's row; or a
            reporter.

    Raises:
        UsageError: something else.
    """
    if isinstance(progress, SilentReporter):
        return progress
    if isinstance(progress, bool):
        if not progress:
            return SilentReporter()
        return LiveReporter() if sys.stderr.isatty() else ScriptReporter()
    if callable(progress):
        return CallbackReporter(progress)
    raise UsageError(
        f"Expected progress to be True, False, or a function of an epoch's row. Received: {describe_value(progress)}."
    )
