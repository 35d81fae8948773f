"""Sweeps: lists on the command line, their product, processes side by side, failures, stops, and going on."""

import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest

from tfvae.cli import command_line, sweep_verb
from tfvae.cli.arguments import parse_arguments, read_config
from tfvae.cli.command_line import main
from tfvae.cli.flags import split_values
from tfvae.errors import UsageError
from tfvae.training import sweep
from tfvae.training.run_folder import create_run, open_run

TINY = "--dataset digits --arch mlp:widths=16,latent=3 --limit 200 --xla off".split()
# Stands for `tfvae train`: says when it begins and ends, and waits for as many others as should be there at a time.
STUB = """
import sys, time
log, name, together, seconds, code = sys.argv[1:]
def note(word):
    with open(log, "a") as file:
        file.write(f"{word} {name}\\n")
note("begin")
while open(log).read().count("begin") < int(together):
    time.sleep(0.02)
time.sleep(float(seconds))
note("end")
print("tfvae: what went wrong", file=sys.stderr)
sys.exit(int(code))
"""


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty current folder, from which subprocesses find this tfvae."""
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(command_line.__file__).parents[2]))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def trials(*argv):
    return sweep_verb.make_trials(parse_arguments(["sweep", *argv]))


def test_values_and_specs():
    """Words and numbers are split at commas; what has options is one value; a mixture is refused."""
    assert split_values("3,4.5,1e-3") == ["3", "4.5", "1e-3"] and split_values("mlp,conv", specs=True) == [
        "mlp",
        "conv",
    ]
    for one in ("mlp:widths=8,latent=2", "re<=4;kl<=20", "folder:a/b,size=64,channels=3", "", "beta:0.1-10"):
        assert split_values(one, specs=True) == [one]
    for mixture in ("mlp:widths=8,conv", "mlp,conv:widths=8", "mlp:widths=8,conv:widths=8", "re<=4,kl<=20"):
        with pytest.raises(Exception, match="repeat the flag"):
            split_values(mixture, specs=True)


def test_the_product_of_all_lists():
    """Each combination once, in order; settings that are not listed stay as `train` has them."""
    found = trials("geco", "--kappa", "3,4", "--seed", "0,1,2", "--epochs", "5")
    assert [(t.config.objective, t.config.seed) for t in found] == [
        (objective, seed) for objective in ("geco:kappa=3", "geco") for seed in (0, 1, 2)
    ]
    assert found[0].differs == "kappa=3,seed=0" and {t.config.epochs for t in found} == {5}
    assert len({t.path for t in found}) == 6 and found[0].path.parent == pathlib.Path("runs/fashion_mnist/geco")
    argv = "--arch mlp:widths=8,latent=2 --arch conv,mlp --dequantize --no-dequantize --xla on,off --ema 0.9".split()
    found = trials("geco", "--constraints", "re<=4;kl<=20", *argv)
    assert len(found) == 3 * 2 * 2 and {t.config.objective for t in found} == {"geco:constraints=re<=4;kl<=20"}
    assert [t.config.arch for t in found[::4]] == ["mlp:widths=8,latent=2", "conv", "mlp"]
    (only,) = trials("elbo")
    assert only.config == read_config(parse_arguments(["train", "elbo"])) and only.differs == "seed=0"


def test_old_words_are_lists_too():
    """--rate 0,0.01 are the default and 0.01, by the option's name of today; twice is refused."""
    first, second = trials("geco", "--rate", "0,0.01", "--rate-warmup", "5", "--limit", "0")
    assert [t.config.objective for t in (first, second)] == ["geco", "geco:multiplier_learning_rate=0.01"]
    assert first.differs == "multiplier_learning_rate=none" and first.config.learning_rate_warmup == 5
    assert first.config.limit is None
    with pytest.raises(UsageError, match="also as rate"):
        trials("geco", "--rate", "0.1", "--multiplier-learning-rate", "0.2")


def test_an_objective_of_the_users_own_is_swept_over_settings():
    found = trials("my_losses.FreeBits:floor=4", "--seed", "0,1")
    assert [(t.config.objective, t.config.seed) for t in found] == [("my_losses.FreeBits:floor=4", s) for s in (0, 1)]
    args = parse_arguments(found[1].command("place")[3:])
    assert read_config(args) == found[1].config


def test_the_command_of_a_trial_trains_its_config():
    """Parsed as `train` does, the flags give the config again: texts, numbers, switches."""
    argv = ["--constraints", "re<=4;kl<=20", "--dequantize", "--condition", "labels", "--learning-rate", "1e-05"]
    for trial in trials("geco", *argv, "--arch", "mlp:widths=8,latent=2", "--raw-dir", "a folder", "--seed", "3,4"):
        args = parse_arguments(trial.command("place")[3:])
        assert read_config(args) == trial.config and args.verb == "train"
        assert (args.run_dir, args.root) == (str(trial.path), "place")


@pytest.mark.parametrize(
    "argv, text",
    [
        (["geco", "--kappa", "3,x"], "finite number, received 'x'"),
        (["geco", "--kappa", "3,"], "finite number, received ''"),
        (["geco", "--seed", "0,1,0"], "each value of seed once"),
        (["geco", "--kappa", "4,4.0"], "each value of kappa once"),
        (["geco", "--epochs", "1,0"], "epochs > 0"),
        (["geco", "--xla", "on,of"], "Did you mean 'off'?"),
        (["geco", "--arch", "mlp:widths=8,conv"], "repeat the flag"),
        (["geco", "--arch", "mlp,cnv"], "Did you mean 'conv'?"),
        (["geco", "--arch", "mlp:width=8"], "Did you mean 'widths'?"),
        (["geco", "--dataset", "digits,digit"], "digit"),
        (["geco", "--kapa", "3"], "Did you mean '--kappa'?"),
        (["geco", "--jobs", "0"], ">= 1"),
        (["gecko"], "Did you mean 'geco'?"),
    ],
)
def test_mistakes(argv, text, here, capsys):
    """One line, exit code 2, before anything is trained or written."""
    assert main(["sweep", *argv]) == 2
    out, err = capsys.readouterr()
    assert text in err and len(err.splitlines()) == 1 and out == ""
    assert list(here.iterdir()) == []


def test_a_dry_run_names_the_runs_and_writes_nothing(here, capsys):
    assert main(["sweep", "geco", "--kappa", "2,3", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[1].split()[:2] == ["kappa=2", "new"] and list(here.iterdir()) == []


def test_an_earlier_sweep_is_found_whatever_differed_in_it(here, capsys):
    """`--kappa 2,3` and then `--kappa 2 --seed 0,1` share a run, whose status is known; other settings do not."""
    first = trials("geco", "--kappa", "2,3")[0]
    with create_run(first.config, {}, str(first.path)).locked():
        assert first.status == "running"
    one, two = trials("geco", "--kappa", "2", "--seed", "0,1")
    assert one.path == first.path and one.status == "interrupted" and two.status == "new"
    open_run(first.path).write_status("finished")
    assert one.status == "finished" and trials("geco", "--kappa", "2", "--epochs", "2")[0].status == "new"


def stubs(monkeypatch, argv, together, seconds, codes):
    """Trials whose process is STUB, and the file it writes."""
    found, codes = trials(*argv), iter(codes)
    orders = {
        t.differs: [sys.executable, "-c", STUB, "stub.log", t.differs, str(together), str(seconds), str(next(codes))]
        for t in found
    }
    monkeypatch.setattr(sweep.Trial, "command", lambda self, root: orders[self.differs])
    monkeypatch.setattr(sweep, "format_progress", str)
    monkeypatch.setattr(sweep.Run, "rows", [{}])
    return found


@pytest.mark.parametrize("jobs", [1, 3])
def test_as_many_side_by_side_as_asked_and_failures_do_not_stop_the_rest(jobs, here, monkeypatch):
    """Of five, the second and the last fail; never more than `jobs` run, and for a while that many do."""
    argv = ("elbo", "--seed", "0,1,2,3,4")
    found, said = stubs(monkeypatch, argv, jobs, 0.3, (0, 3, 0, 0, 2)), []
    failed = sweep.train_trials(found, jobs, "runs", lambda: False, said.append)
    assert [t.differs for t in failed] == ["seed=1", "seed=4"]
    text = "\n".join(said)
    assert "FAILED seed=1 with exit code 3: what went wrong" in text and text.count("finished") == 3
    assert sorted(path.name for path in here.rglob(".*.log")) == sorted(t.log.name for t in failed)
    going = most = 0
    for line in (here / "stub.log").read_text().splitlines():
        going += 1 if line.startswith("begin") else -1
        most = max(most, going)
    assert going == 0 and most == jobs


def test_a_stop_reaches_all_processes_and_starts_no_more(here, monkeypatch):
    """They end long before their 60 seconds, are no failures, and the third of three never begins."""
    found, said = stubs(monkeypatch, ("elbo", "--seed", "0,1,2"), 2, 60, (0, 0, 0)), []
    begun = time.monotonic()
    both = lambda: (here / "stub.log").exists() and len((here / "stub.log").read_text().splitlines()) == 2  # noqa: E731
    assert sweep.train_trials(found, 2, "runs", both, said.append) == []
    assert time.monotonic() - begun < 30 and both() and len(said) == 2


def test_nothing_is_left_running_after_an_error(here, monkeypatch):
    """As after a second Ctrl-C, which is an exception."""
    found, started = stubs(monkeypatch, ("elbo", "--seed", "0,1"), 2, 60, (0, 0)), []
    start = sweep.start_trial
    monkeypatch.setattr(sweep, "start_trial", lambda *args: started.append(start(*args)) or started[-1])

    def say(text):
        if len(started) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        sweep.train_trials(found, 2, "runs", lambda: False, say)
    assert [process.returncode for process in started] == [-signal.SIGKILL] * 2


@pytest.mark.slow
def test_a_sweep_trains_compares_and_does_nothing_twice(here, capsys):
    """Two good runs and one that cannot be (batches of 5,000): a table of the two, exit code 1; again: only the bad."""
    argv = ["sweep", "elbo", *TINY, "--epochs", "1", "--root", "r", "-o", "cmp", "--batch-size"]
    assert main([*argv, "50", "--seed", "0,1", "--jobs", "2"]) == 0
    out = capsys.readouterr().out
    assert "mean +- standard error over seeds" in out and (here / "cmp" / "samples.png").exists()
    before = {path: path.stat().st_mtime_ns for path in here.rglob("checkpoints/*/*")}
    assert len(before) == 2 * 2 * 3 and main([*argv, "50,5000"]) == 1
    out, err = capsys.readouterr()
    assert "1 finished already" in err and "FAILED batch_size=5000 with exit code 2" in err and "measuring" not in err
    assert "1 of 2 runs failed: batch_size=5000" in out
    assert {path: path.stat().st_mtime_ns for path in here.rglob("checkpoints/*/*")} == before


@pytest.mark.slow
def test_ctrl_c_saves_and_the_same_command_goes_on(here):
    """Interrupted in the first of two runs: exit code 130; then both end, with one row an epoch."""
    argv = [
        sys.executable,
        "-m",
        "tfvae",
        "sweep",
        "elbo",
        *TINY,
        "--batch-size",
        "50",
        "--seed",
        "0,1",
        "--epochs",
        "150",
    ]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"})
    while not list(here.glob("runs/digits/elbo/*/metrics.csv")) and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    assert "goes on" in process.communicate(timeout=120)[0] and process.returncode == 130
    (run,) = here.glob("runs/digits/elbo/seed=0*")
    assert open_run(run).status == "stopped" and 0 < len(open_run(run).rows) < 150
    assert subprocess.run(argv, capture_output=True).returncode == 0
    for path in here.glob("runs/digits/elbo/seed=*"):
        assert open_run(path).status == "finished" and [row["epoch"] for row in open_run(path).rows] == list(
            range(1, 151)
        )
