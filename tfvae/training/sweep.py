"""A sweep: every combination of lists of settings is trained, each by a ``tfvae train`` of its own.

A run's folder is named by what differs and by the hash of all its settings, so the same command finds it again:
a finished run is left alone, an unfinished one goes on. Nothing here imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
import pathlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from tfvae.config import Config
from tfvae.runtime.files import PathLike
from tfvae.runtime.memory import check_process_count_fits
from tfvae.runtime.progress_reporters import format_progress
from tfvae.training.run_folder import CONFIG_FILE, Run, find_runs_folder, find_unfinished_run, to_folder_name

POLL_SECONDS = 0.1  # between looks at the processes


@dataclasses.dataclass
class Trial:
    """One combination of the lists.

    Args:
        config: its settings.
        differs: what tells it from the others, 'kappa=3,seed=0'.
        path: of its run folder.
    """

    config: Config
    differs: str
    path: pathlib.Path

    @property
    def status(self) -> str:
        """Return the status of its run; new: there is none."""
        return Run(self.path).status if (self.path / CONFIG_FILE).is_file() else "new"

    @property
    def log(self) -> pathlib.Path:
        """Return the file that takes what its process prints; it is removed when the run is finished."""
        return self.path.with_name(f".{self.path.name}.log")

    def command(self, root: PathLike) -> list[str]:
        """Return the ``tfvae train`` that makes this run, or goes on with it."""
        flags = [flag if value is None else f"{flag}={value}" for flag, value in self.config.flags()]
        folders = [f"--run-dir={self.path}", f"--root={root}"]
        return [sys.executable, "-m", "tfvae", "train", self.config.objective, *flags, *folders]


def find_trial_folder(config: Config, differs: str, root: PathLike) -> pathlib.Path:
    """Return the folder of these settings: that of an earlier sweep, whatever differed there, or a new one."""
    parent = find_runs_folder(config, root)
    for path in sorted(parent.glob(f"*-{config.hash}")):
        if find_unfinished_run(config, path):
            return path
    return parent / f"sweep-{to_folder_name(differs or f'seed={config.seed}', 100)}-{config.hash}"


def start_trial(trial: Trial, root: PathLike) -> subprocess.Popen[bytes]:
    """Start the process that trains `trial`, in a session of its own: Ctrl-C reaches it through us, once."""
    trial.log.parent.mkdir(parents=True, exist_ok=True)
    with open(trial.log, "wb") as log:
        return subprocess.Popen(
            trial.command(root), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def describe_ended_trial(trial: Trial, code: int, seconds: float) -> str:
    """Return a line about a process that ended with `code`; its log is removed if all is well."""
    if code == 0:
        trial.log.unlink()
        return f"finished {trial.differs} in {seconds:.0f} s: {format_progress(Run(trial.path).rows[-1])}"
    lines = trial.log.read_text(errors="replace").splitlines() or ["it said nothing"]
    return f"FAILED {trial.differs} with exit code {code}: {lines[-1].removeprefix('tfvae: ')} (log: {trial.log})"


def train_trials(
    trials: Sequence[Trial], jobs: int, root: PathLike, stop: Callable[[], bool], say: Callable[[str], object]
) -> list[Trial]:
    """Train trials until all have ended or `stop` says so, and return those that failed.

    Args:
        trials: what to train.
        jobs: how many side by side.
        root: the folder of all runs.
        stop: whether to stop; asked again and again.
        say: called with one line for each begin and end.

    Raises:
        UsageError: more side by side than fit into memory.
    """
    check_process_count_fits(min(jobs, len(trials)))
    waiting, failed = list(trials), []
    running: dict[subprocess.Popen[bytes], tuple[Trial, float]] = {}
    is_stopping = False
    try:
        while running or waiting and not stop():
            while waiting and len(running) < jobs and not stop():
                trial = waiting.pop(0)
                running[start_trial(trial, root)] = trial, time.monotonic()
                say(f"training {trial.differs} ({len(trials) - len(waiting)}/{len(trials)}; log: {trial.log})")
            if stop() and not is_stopping:
                is_stopping = True
                for process in running:
                    process.terminate()
            for process in [process for process in running if process.poll() is not None]:
                trial, begun = running.pop(process)
                if process.returncode == 0 or not is_stopping:
                    say(describe_ended_trial(trial, process.returncode, time.monotonic() - begun))
                    failed += [trial] if process.returncode else []
            time.sleep(POLL_SECONDS)
    finally:
        for process in running:  # a second Ctrl-C
            process.kill()
            process.wait()
    return failed
