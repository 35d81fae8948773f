"""A count that would eat the machine's memory is refused before anything is allocated."""

import pathlib

import pytest
from PIL import Image

from tfvae import datasets
from tfvae.cli.command_line import main
from tfvae.errors import UsageError
from tfvae.evaluation.rate_distortion_curve import measure_rate_distortion_curve
from tfvae.runtime.memory import check_count_fits, check_process_count_fits, fits_into_memory

ZOO = pathlib.Path(__file__).parents[2] / "zoo"
TRAINING = "--dataset digits --limit 64 --batch-size 32 --validation 0 --arch mlp:widths=8,latent=2"


@pytest.fixture
def small_machine(monkeypatch, tmp_path):
    """A machine with 100 MB of free memory, half of which a verb may use."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 100_000_000})())
    monkeypatch.setenv("TFVAE_ZOO", str(ZOO))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_counts_beyond_memory_are_refused(monkeypatch):
    """6 copies of 64 float32 are 1,536 bytes: half of 3,072,000 free bytes hold 1,000 images."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 3_072_000})())
    check_count_fits(1000, (8, 8, 1))
    with pytest.raises(UsageError, match="at most 1,000 images"):
        check_count_fits(1001, (8, 8, 1))
    assert fits_into_memory(1_536_000) and not fits_into_memory(1_536_001)


def test_processes_beyond_memory_are_refused(small_machine):
    """One is always tried."""
    check_process_count_fits(1)
    with pytest.raises(UsageError, match="at most 1 runs side by side"):
        check_process_count_fits(2)


@pytest.mark.parametrize(
    "words",
    [
        "sample zoo:square-beta-mlp -n 3000000000",
        "strip zoo:mnist-labels-convdraw -n 3000000000",
        "interpolate zoo:square-beta-mlp --steps 2000000",
        "traverse zoo:square-beta-mlp --steps 2000000000",
        "evaluate zoo:square-beta-mlp --pictures 3000000",
        f"train elbo {TRAINING} --samples 100000",
        f"train iwae {TRAINING} --k 100000",
    ],
)
def test_the_verbs_say_so_in_a_line(small_machine, words, capsys):
    assert main(words.split()) == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1 and "fit into memory" in lines[0] and not list(small_machine.iterdir())


@pytest.mark.parametrize("options", ["size=100000", "size=0"])
def test_pictures_beyond_memory_are_refused(small_machine, options):
    """Those that are made large, and one that is: 3 copies of 3000 x 3000 x 3 bytes."""
    (small_machine / "pictures").mkdir()
    Image.new("L", (3000, 3000)).save(small_machine / "pictures" / "large.png")
    with pytest.raises(UsageError, match="at most 0 pictures"):
        datasets.load(f"folder:{small_machine / 'pictures'},{options}", "train")


def test_sweeps_and_curves_have_an_end(small_machine, capsys):
    """101 x 100 combinations; a thousand million points."""
    numbers = ",".join(map(str, range(1, 102)))
    assert main(["sweep", "elbo", "--seed", numbers, "--epochs", numbers.removesuffix(",101"), "--dry-run"]) == 2
    assert "at most 10,000 runs" in capsys.readouterr().err
    with pytest.raises(UsageError, match="at most 1,000 points"):
        measure_rate_distortion_curve("nowhere", points=10**9)
