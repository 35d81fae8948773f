"""A sweep: every combination of lists of settings is trained, each by a ``tfvae train`` of its own.

A run's folder is named by what differs and by the hash of all its settings, so the same command finds it again:
a finished run is left alone, an unfinished one goes on. Nothing here imports TensorFlow before all is trained.
"""

import dataclasses
import pathlib
import re
import subprocess
import sys
import time

from tfvae.config import Config
from tfvae.runtime.progress_reporters import format_progress
from tfvae.training.run_folder import Run, find_runs_folder, find_unfinished_run

POLL_SECONDS = 0.1  # seconds between looks at the processes


@dataclasses.dataclass
class Trial:
    """One combination of the lists.

    Args:
        differs: 'kappa=3,seed=0', what tells it from the others.
    """

    config: Config
    differs: str
    path: pathlib.Path

    @property
    def status(self):
        """That of its run; new: there is none."""
        return Run(self.path).status if (self.path / "config.json").is_file() else "new"

    @property
    def log(self):
        """What its process says; removed when the run is finished."""
        return self.path.with_name(f".{self.path.name}.log")

    def command(self, root):
        """The ``tfvae train`` that makes this run, or goes on with it."""
        flags = [flag if value is None else f"{flag}={value}" for flag, value in self.config.flags()]
        place = [f"--run-dir={self.path}", f"--root={root}"]
        return [sys.executable, "-m", "tfvae", "train", self.config.objective, *flags, *place]


def find_trial_folder(config, differs, root):
    """The folder of these settings: that of an earlier sweep, whatever differed there, or a new one."""
    home = find_runs_folder(config, root)
    for path in sorted(home.glob(f"*=*-{config.hash}")):
        if find_unfinished_run(config, path):
            return path
    name = re.sub(r"[^\w.,=+-]", "_", differs or f"seed={config.seed}")[:100]
    return home / f"{name}-{config.hash}"


def start_trial(trial, root):
    """The process that trains `trial`, in a session of its own: Ctrl-C reaches it through us, once."""
    trial.log.parent.mkdir(parents=True, exist_ok=True)
    with open(trial.log, "wb") as log:
        return subprocess.Popen(
            trial.command(root), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def describe_ended_trial(trial, code, seconds):
    """A line about a process that ended with `code`; its log goes if all is well."""
    if code == 0:
        trial.log.unlink()
        return f"finished {trial.differs} in {seconds:.0f} s: {format_progress(Run(trial.path).rows[-1])}"
    lines = trial.log.read_text(errors="replace").splitlines() or ["it said nothing"]
    return f"FAILED {trial.differs} with exit code {code}: {lines[-1].removeprefix('tfvae: ')} (log: {trial.log})"


def train_trials(trials, jobs, root, stop, say):
    """Train `trials`, `jobs` side by side, until all have ended or stop(): -> those that failed."""
    waiting, going, failed = list(trials), {}, []
    told = False
    try:
        while going or waiting and not stop():
            while waiting and len(going) < jobs and not stop():
                trial = waiting.pop(0)
                going[start_trial(trial, root)] = trial, time.monotonic()
                say(f"training {trial.differs} ({len(trials) - len(waiting)}/{len(trials)}; log: {trial.log})")
            if stop() and not told:
                told = True
                for process in going:
                    process.terminate()
            for process in [process for process in going if process.poll() is not None]:
                trial, begun = going.pop(process)
                if process.returncode == 0 or not told:
                    say(describe_ended_trial(trial, process.returncode, time.monotonic() - begun))
                    failed += [trial] if process.returncode else []
            time.sleep(POLL_SECONDS)
    finally:
        for process in going:  # a second Ctrl-C
            process.kill()
            process.wait()
    return failed
