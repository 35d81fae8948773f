"""The command line: mistakes are one line and leave nothing behind; every verb does what it says."""

import errno
import gzip
import importlib
import json
import os
import pathlib
import random
import subprocess
import sys
import time

import numpy as np
import pytest

from tfvae import part_sources, specs
from tfvae.cli import arguments, command_line, parsers
from tfvae.cli.command_line import main
from tfvae.config import SETTING_ALIASES, Config

VERB_MODULES = ("training_verbs", "measuring_verbs", "sampling_verbs", "code_verbs", "inspection_verbs", "export_verb")

TINY = ["--dataset", "digits", "--arch", "mlp:widths=16,latent=4", "--batch-size", "64"]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """An empty current folder, with no data sets of this machine in sight."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PYTHONPATH", str(pathlib.Path(command_line.__file__).parents[2]))  # for the subprocesses
    for name in ("TFVAE_DATA_DIR", "TFDS_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "no-data"))
    return folder


def everything(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def fails(capsys, argv, code, *words):
    """Assert that argv ends with `code` and one line on stderr that holds all `words`; nothing on stdout."""
    assert main(argv) == code
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert len(lines) == 1 and lines[0].startswith("tfvae: ") and "Traceback" not in err, err
    assert all(word in err for word in words), err
    assert out == ""


TRAIN = ["train", "geco", *TINY]
BAD = [
    (["trian"], "Did you mean 'train'?"),
    (["train", "gecko"], "Did you mean 'geco'?"),
    (["train"], "OBJECTIVE"),
    (["train", "--kappa", "4", "geco"], "objective first"),
    (["train", "geco", "--kapa", "4"], "Did you mean '--kappa'?"),
    (["train", "beta", "--kappa", "4"], "It belongs to geco"),
    (["train", "geco", "--epoch", "4"], "Did you mean '--epochs'?"),
    (["train", "geco", "extra"], "'extra'"),
    (["train", "geco:kapa=4"], "Did you mean '--kappa'?"),
    (["train", "geco", "--epochs", "many"], "whole number"),
    (["train", "geco", "--epochs", "0"], "epochs > 0"),
    (["train", "geco", "--kappa", "nan"], "finite"),
    (["train", "geco", "--precision", "float8"], "Did you mean 'float"),
    (["train", "geco", "--dataset", "fashon_mnist"], "Did you mean 'fashion_mnist'?"),
    (["train", "geco", "--dataset", "sprites:sice=3"], "Did you mean 'size'?"),
    (["train", "geco", "--likelihood", "gausian"], "Did you mean 'gaussian'?"),
    (["train", "geco", "--likelihood", "gaussian:sigm=1"], "Did you mean 'sigma'?"),
    (["train", "geco", "--arch", "mpl"], "Did you mean 'mlp'?"),
    (["train", "geco", "--arch", "mlp:latent"], "has no value"),
    (["train", "geco", "--arch", "mlp:latent=many"], "latent to be a whole number"),
    (["train", "geco", "--arch", "mlp:latent="], "Received: latent="),
    (["train", "geco", "--likelihood", "gaussian:sigma=inf"], "finite"),
    (["train", "beta:beta=nan"], "finite"),
    (["train", "elbo", "--learning-rate", "inf"], "finite number"),
    (["train", "geco", "--kappa", "4", "--constraints", "re<=2"], "kappa has no effect"),
    (["train", "geco", "--controller", "log", "--proportional-gain", "2"], "proportional_gain has no effect"),
    (["train", "geco", "--rate", "0.1", "--multiplier-learning-rate", "0.1"], "also as rate"),
    (["train", "sigma", "--binarize", "static"], "Use objective beta"),
    (["train", "elbo", "--replicas", "2"], "strategy=mirrored"),
    (["train", "geco", "--prior", "vampp"], "Did you mean 'vamp'?"),
    (["train", "geco", "--constraints", "re<=4,kl<=2"], "without ','"),
    (["evaluate", "nowhere"], "tfvae runs"),
    (["evaluate", "--samples", "0"], ">= 1"),
    (["evaluate", "--split", "tset"], "Did you mean 'test'?"),
    (["sample", "nowhere"], "tfvae runs"),
    (["sample", "--temperature", "-1"], ">= 0"),
    (["resume"], "runs/latest"),
    (["runs", "show", "nowhere"], "tfvae runs"),
    (["data", "info"], "Expected NAME"),
    (["data", "info", "fashon_mnist"], "Did you mean 'fashion_mnist'?"),
]
IMPOSSIBLE = [
    (["train", "beta", "--beta", "-1"], "beta >= 0"),
    (["train", "geco", "--kappa", "0"], "kappa > 0"),
    (["train", "geco", "--kappa", "-2"], "kappa > 0"),
    (["train", "iwae", "--k", "0"], "k >= 1"),
    (["train", "geco", "--constraints", "re<4"], "re<=4"),
    (["train", "geco", "--constraints", "kl>=4"], "kl with <="),
    (["train", "geco", "--arch", "mlp:latent=0"], "latent >= 1"),
    (["train", "geco", "--likelihood", "gaussian:sigma=-1"], "sigma"),
    (["train", "elbo", "--batch-size", "5000"], "batch_size=5000"),
    (["train", "elbo", "--batch-size", "64", "--limit", "10"], "batch_size <= the"),
]


@pytest.mark.parametrize("argv, words", BAD, ids=lambda value: " ".join(value) if isinstance(value, list) else "")
def test_mistakes_are_one_line_without_tensorflow(argv, words, here, capsys, monkeypatch):
    for module in VERB_MODULES:
        monkeypatch.setattr(f"tfvae.cli.{module}.import_tensorflow", lambda: pytest.fail("TensorFlow was imported"))
    fails(capsys, argv, 2, words)
    assert everything(here) == []


@pytest.mark.parametrize(
    "argv, words", IMPOSSIBLE, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_impossible_values_are_one_line_and_leave_no_folder(argv, words, here, capsys):
    fails(capsys, [*argv[:2], *TINY, *argv[2:]], 2, words)
    assert everything(here) == []


def test_damaged_data_are_named_with_exit_code_3(here, capsys):
    np.savez("rank2.npz", images=np.zeros((100, 64), np.uint8))
    (here / "text.npz").write_text("no archive")
    (here / "raw").mkdir()
    header = bytes.fromhex("00000803") + np.array([60000, 28, 28], ">u4").tobytes()
    for part in ("train", "t10k"):
        images, labels = (here / "raw" / f"{part}-{rest}-ubyte.gz" for rest in ("images-idx3", "labels-idx1"))
        images.write_bytes(gzip.compress(header + bytes(1000))[:60])
        labels.write_bytes(gzip.compress(bytes(8)))
    before = everything(here)
    small = [*TRAIN[:2], "--arch", "mlp:widths=16"]
    fails(capsys, [*small, "--dataset", "npz:rank2.npz"], 3, "rank2.npz", "[100, 64]")
    fails(capsys, [*small, "--dataset", "npz:text.npz"], 3, "text.npz")
    fails(capsys, [*small, "--dataset", "npz:missing.npz"], 3, "missing.npz")
    fails(capsys, [*small, "--dataset", "fashion_mnist", "--raw-dir", "raw"], 3, "train-images-idx3-ubyte.gz")
    assert everything(here) == before


def test_places_that_cannot_be_written_have_exit_code_2(here, capsys):
    (here / "taken").mkdir()
    (here / "file").write_text("kept")
    before = everything(here)
    fails(capsys, [*TRAIN, "--run-dir", "taken"], 2, "taken, which exists", "tfvae resume taken")
    fails(capsys, [*TRAIN, "--run-dir", "file"], 2, "which exists")
    fails(capsys, [*TRAIN, "--run-dir", "file/run"], 2, "is a file")
    fails(capsys, [*TRAIN, "--root", "file"], 2, "is a file")
    assert everything(here) == before and (here / "file").read_text() == "kept"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_has_exit_code_2(here, capsys):
    (here / "locked").mkdir(mode=0o500)
    fails(capsys, [*TRAIN, "--root", "locked/runs"], 2, "permission")


def test_a_disk_full_at_the_start_leaves_no_run(here, capsys, monkeypatch):
    def fsync(handle):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    fails(capsys, TRAIN, 2, "No space left on device")
    assert everything(here) == [] or everything(here) == ["runs", "runs/digits", "runs/digits/geco"]


# --- one language -------------------------------------------------------------------------------------------


def test_flags_are_config_keys_and_python_names(monkeypatch):
    from tfvae.models.vae import VAE
    from tfvae.objectives.registry import OBJECTIVES

    fields = set(Config.__dataclass_fields__) - {"objective"}
    for name, cls in OBJECTIVES.items():
        args = vars(arguments.parse_arguments(["train", name]))
        flags = set(args) - {"verb", "objective", "home", "parser", "part", "run_dir", "root", "dry_run", "new"}
        part = specs.describe_class(name, cls)
        assert not set(part.options) & fields
        assert flags - {*part.aliases, *SETTING_ALIASES} == fields | set(part.options), name
        assert {key: args[key] for key in part.options} == part.defaults
    ours = set(VAE.__init__.__code__.co_varnames[1 : VAE.__init__.__code__.co_argcount])
    assert ours - {"image_shape", "classes", "class_names"} <= fields  # what the data say


@pytest.mark.parametrize("kind", part_sources.TABLES)
def test_options_read_from_the_source_are_those_of_the_classes(kind):
    file, name = part_sources.TABLES[kind]
    module = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
    table = getattr(importlib.import_module(f"tfvae.{module}"), name)
    parts = part_sources.read_parts(kind)
    assert parts == {name: specs.describe_class(name, cls) for name, cls in table.items()}
    assert all(part.summary.endswith((".", ")")) for part in parts.values())


def test_dry_run_prints_settings_that_come_back_and_writes_nothing(here, capsys):
    extra = ["--constraints", "re<=2;kl<=9", "--xla", "off", "--dequantize", "--l2", "1e-5"]
    argv = ["train", "geco:warmup=9", *extra, *TINY]
    assert main([*argv, "--dry-run"]) == 0
    expected = Config(
        objective="geco:constraints=re<=2;kl<=9,warmup=9", xla="off", dequantize=True, l2=1e-5, dataset="digits",
        arch="mlp:widths=16,latent=4", batch_size=64,
    )  # fmt: skip
    assert Config.from_dict(json.loads(capsys.readouterr().out)) == expected
    assert everything(here) == []


def test_help_and_lists_do_not_import_tensorflow(here):
    quick = [[], ["--help"], ["--version"], ["data", "list"], ["runs"], ["train", "elbo", "--dry-run"]]
    quick += [["zoo", "list"]]
    quick += [[verb, "--help"] for verb in parsers.VERBS]
    quick += [["train", name, "--help"] for name in part_sources.read_parts("objective")]
    code = (
        "import sys; from tfvae.cli.command_line import main\n"
        f"for argv in {quick!r}: print(main(argv), file=sys.stderr)\n"
        "sys.exit('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and set(done.stderr.split()) == {"0"}, done.stderr
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tfvae", "--help"], check=True, capture_output=True)
    print(f"tfvae --help: {time.perf_counter() - begun:.3f} s")  # shown, not asserted: machines differ


def test_random_arguments_never_give_a_traceback(here, capsys, monkeypatch):
    for module in VERB_MODULES:
        monkeypatch.setattr(f"tfvae.cli.{module}.import_tensorflow", lambda: pytest.fail("TensorFlow was imported"))
    rng = random.Random(20)
    junk = ["", "-1", "nan", "1e400", "=", "--", "-", "geco:", "\n", "ü" * 50, "a=b,c", ":", "mlp:latent=4"]
    junk += ["gaussian:sigma=optimal", "digits", "npz:", "folder:", "-h", "--version", "%s", "{0}", "re<=4"]
    for _ in range(200):
        verb = rng.choice([*parsers.VERBS, "train", "train", "train"])
        if verb in ("doctor", "data", "runs", "export", "decode", "zoo", "experiment"):
            argv = [verb, rng.choice(junk), rng.choice(junk), "--no-such-flag"]
        else:
            many = verb in ("train", "sweep")
            head = [verb, rng.choice(list(part_sources.read_parts("objective"))) if many else "no"]
            flags = [flag for a in arguments.parse_arguments(head).parser._actions for flag in a.option_strings]
            argv = head + [rng.choice(rng.choice([flags, junk])) for _ in range(rng.randrange(6))]
            argv += ["--dry-run"] if many else []
        assert main(argv) in (0, 2, 3), argv
        err = capsys.readouterr().err
        assert "Traceback" not in err and err.count("\n") <= 1, (argv, err)
    assert everything(here) == []


def test_a_bug_asks_for_a_report_and_a_closed_pipe_is_quiet(here, capsys, monkeypatch):
    monkeypatch.setattr("tfvae.cli.inspection_verbs.data", lambda args: 1 / 0)
    assert main(["data", "list"]) == 1
    assert "tfvae doctor" in capsys.readouterr().err.splitlines()[-1]
    # `true` has gone before the first line is written; argparse itself ignores that while it prints help.
    for argv, code in (("train geco --help", 0), ("data list", 141)):
        line = f"(sleep 0.2; {sys.executable} -m tfvae {argv}) | true; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60)
        assert (done.stderr, done.stdout) == ("", f"{code}\n")


@pytest.mark.parametrize("error, code", [(MemoryError(), 7), (PermissionError(13, "Permission denied", "x.png"), 7),
                                         (KeyboardInterrupt(), 130)])  # fmt: skip
def test_failures_of_the_machine_are_one_line(error, code, capsys, monkeypatch):
    def fail(args):
        raise error

    monkeypatch.setattr("tfvae.cli.inspection_verbs.data", fail)
    fails(capsys, ["data", "list"], code)


def test_device_out_of_memory_has_exit_code_8(capsys, monkeypatch):
    import tensorflow as tf

    def fail(args):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating\nmany details")

    monkeypatch.setattr("tfvae.cli.inspection_verbs.data", fail)
    fails(capsys, ["data", "list"], 8, "--batch-size")
