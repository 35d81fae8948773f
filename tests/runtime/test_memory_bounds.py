"""A count that would eat the machine's memory is refused before anything is allocated."""

import pytest

from tfvae.cli.command_line import main
from tfvae.errors import UsageError
from tfvae.runtime.memory import check_count_fits
from tfvae.training import trainer


def test_counts_beyond_memory_are_refused(monkeypatch):
    """6 copies of 64 float32 are 1,536 bytes: half of 3,072,000 free bytes hold 1,000 images."""
    monkeypatch.setattr("psutil.virtual_memory", lambda: type("Memory", (), {"available": 3_072_000})())
    check_count_fits(1000, (8, 8, 1))
    with pytest.raises(UsageError, match="at most 1,000 images"):
        check_count_fits(1001, (8, 8, 1))


def test_the_verbs_say_so_in_a_line(tmp_path, capsys):
    run = trainer.train(dataset="digits", limit=64, batch_size=32, epochs=1, arch="mlp:widths=8,latent=2",
                        run_dir=str(tmp_path / "run"), root=str(tmp_path))  # fmt: skip
    assert main(["sample", str(run.path), "-n", "3000000000", "-o", str(tmp_path / "grid.png")]) == 2
    assert "fit into memory" in capsys.readouterr().err and not (tmp_path / "grid.png").exists()
