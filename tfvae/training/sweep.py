"""The verb sweep: every combination of lists of settings is trained, each by a ``tfvae train`` of its own.

A run's folder is named by what differs and by the hash of all its settings, so the same command finds it again:
a finished run is left alone, an unfinished one goes on. Nothing here imports TensorFlow before all is trained.
"""

import argparse
import dataclasses
import itertools
import pathlib
import re
import subprocess
import sys
import time

from tfvae.cli.command_line import settings_of
from tfvae.cli.inspection_verbs import aligned
from tfvae.cli.training_verbs import Interrupts, check_names
from tfvae.config import Config
from tfvae.errors import UsageError
from tfvae.reports import comparison
from tfvae.runtime.progress_reporters import Plain, describe
from tfvae.training.run_folder import Run, check_place, family, unfinished

POLL = 0.1  # seconds between looks at the processes


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


def trials_of(args):
    """The product of all lists of values on the command line, each combination checked as `tfvae train` does.

    Raises:
        UsageError: a value that is there twice, an unknown part, or settings that do not fit.
    """
    plain = args.own | {field.name: field.default for field in dataclasses.fields(Config) if field.name != "objective"}
    lists = {name: getattr(args, name) for name in plain if getattr(args, name) is not None}
    for name, values in lists.items():
        if len(set(values)) < len(values):
            raise UsageError(f"Expected each value of {name} once. Received: {','.join(map(str, values))}.")
    trials = []
    for values in itertools.product(*lists.values()):
        chosen = dict(zip(lists, values))
        config = settings_of(argparse.Namespace(objective=args.objective, own=args.own, **(plain | chosen)))
        check_names(config)
        differs = ",".join(f"{name}={value}" for name, value in chosen.items() if len(lists[name]) > 1)
        trials.append(Trial(config, differs or f"seed={config.seed}", folder_of(config, differs, args.root)))
    return trials


def folder_of(config, differs, root):
    """The folder of these settings: that of an earlier sweep, whatever differed there, or a new one."""
    home = family(config, root)
    for path in sorted(home.glob(f"*=*-{config.hash}")):
        if unfinished(config, path):
            return path
    name = re.sub(r"[^\w.,=+-]", "_", differs or f"seed={config.seed}")[:100]
    return home / f"{name}-{config.hash}"


def start(trial, root):
    """The process that trains `trial`, in a session of its own: Ctrl-C reaches it through us, once."""
    trial.log.parent.mkdir(parents=True, exist_ok=True)
    with open(trial.log, "wb") as log:
        return subprocess.Popen(
            trial.command(root), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )


def ended(trial, code, seconds):
    """A line about a process that ended with `code`; its log goes if all is well."""
    if code == 0:
        trial.log.unlink()
        return f"finished {trial.differs} in {seconds:.0f} s: {describe(Run(trial.path).rows[-1])}"
    lines = trial.log.read_text(errors="replace").splitlines() or ["it said nothing"]
    return f"FAILED {trial.differs} with exit code {code}: {lines[-1].removeprefix('tfvae: ')} (log: {trial.log})"


def train_all(trials, jobs, root, stop, say):
    """Train `trials`, `jobs` side by side, until all have ended or stop(): -> those that failed."""
    waiting, going, failed = list(trials), {}, []
    told = False
    try:
        while going or waiting and not stop():
            while waiting and len(going) < jobs and not stop():
                trial = waiting.pop(0)
                going[start(trial, root)] = trial, time.monotonic()
                say(f"training {trial.differs} ({len(trials) - len(waiting)}/{len(trials)}; log: {trial.log})")
            if stop() and not told:
                told = True
                for process in going:
                    process.terminate()
            for process in [process for process in going if process.poll() is not None]:
                trial, begun = going.pop(process)
                if process.returncode == 0 or not told:
                    say(ended(trial, process.returncode, time.monotonic() - begun))
                    failed += [trial] if process.returncode else []
            time.sleep(POLL)
    finally:
        for process in going:  # a second Ctrl-C
            process.kill()
            process.wait()
    return failed


def sweep(args):
    """``tfvae sweep OBJECTIVE``."""
    trials = trials_of(args)
    if args.dry_run:
        print(aligned([("differs", "status", "run"), *((t.differs, t.status, str(t.path)) for t in trials)]))
        return 0
    check_place(root=args.root)
    say = Plain().line
    begun = [trial for trial in trials if trial.status != "finished"]
    say(f"{len(trials)} runs, {len(trials) - len(begun)} finished already, {args.jobs} side by side")
    with Interrupts() as stop:
        failed = train_all(begun, args.jobs, args.root, stop, say)
    if stop():
        print("stopped and saved; the same command goes on")
        return 128 + stop.signal
    done = [Run(trial.path.resolve()) for trial in trials if trial not in failed]
    if done:
        comparison.report(done, args.output)
    if failed:
        print(f"{len(failed)} of {len(trials)} runs failed: {'; '.join(trial.differs for trial in failed)}")
    return 1 if failed else 0
