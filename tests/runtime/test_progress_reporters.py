"""Progress of `tfvae.train`: lines that a log or a notebook can hold, silence, or a function of the user's."""

import io

import pytest

from tfvae.errors import UsageError
from tfvae.runtime import progress_reporters
from tfvae.runtime.progress_reporters import ScriptReporter, SilentReporter, choose_reporter


@pytest.mark.parametrize(("epochs", "most"), [(1, 1), (7, 7), (100, 100), (10_000, 101), (10_001, 102)])
def test_a_script_prints_a_hundred_lines_of_however_many_epochs(epochs, most):
    reporter = ScriptReporter()
    reporter.stream = io.StringIO()
    for epoch in range(1, epochs + 1):
        reporter.epoch({"epoch": epoch, "loss": 1.0}, epochs, 10.0)
    lines = reporter.stream.getvalue().splitlines()
    assert most - 2 <= len(lines) <= most
    assert lines[0].startswith(f"epoch 1/{epochs} ") and lines[-1].startswith(f"epoch {epochs}/{epochs} ")


def test_the_choice(capfd):
    assert type(choose_reporter(False)) is SilentReporter
    assert isinstance(choose_reporter(True), ScriptReporter)  # standard error is no terminal here
    reporter = SilentReporter()
    assert choose_reporter(reporter) is reporter
    rows = []
    choose_reporter(rows.append).epoch({"epoch": 1}, 1, 1.0)
    assert rows == [{"epoch": 1}]
    with pytest.raises(UsageError, match="True, False, or a function"):
        choose_reporter("no")


def test_a_terminal_gets_a_bar(monkeypatch):
    monkeypatch.setattr(progress_reporters.sys.stderr, "isatty", lambda: True, raising=False)
    assert isinstance(choose_reporter(True), progress_reporters.LiveReporter)
