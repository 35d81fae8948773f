"""What a run takes of the machine, each in a process of its own: memory is the process's."""

import os
import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from tfvae.environment import import_tensorflow
import_tensorflow()
import psutil
from tfvae import runs
process, seen = psutil.Process(), []
watch = lambda *_: seen.append(process.memory_info().rss / 1e6)
runs.train(run_dir=sys.argv[1], root=sys.argv[1] + "-root", watch=watch, **eval(sys.argv[2]))
print(seen[len(seen) // 5], seen[-1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
"""


def memory(folder, **settings):
    """Megabytes after a fifth of the epochs, after the last one, and at the most."""
    command = [sys.executable, "-c", PROGRAM, str(folder / "run"), repr(settings)]
    quiet = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, env=quiet, check=True, capture_output=True, text=True)
    return [float(word) for word in done.stdout.split()]


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["mlp:widths=512-256,latent=200", "conv"])
def test_training_on_fashion_mnist_fits_in_1500_megabytes(tmp_path, arch):
    limit = 0 if arch.startswith("mlp") else 6000  # of images a step sees; all are loaded
    _, _, most = memory(tmp_path, objective="geco", dataset="fashion_mnist", arch=arch, epochs=2, limit=limit)
    print(f"peak memory, {arch}: {most:.0f} MB")
    assert most <= 1500


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["mlp:widths=32,latent=4", "conv:widths=4,latent=2,hidden=8"])
def test_a_hundred_epochs_leak_nothing(tmp_path, mode):
    """At most 1 MB in 80 epochs with a checkpoint now and then; 5 MB allow for the allocator's habits."""
    early, late, _ = memory(tmp_path, objective="geco:kappa=1.5", dataset="digits", arch=mode, epochs=100)
    print(f"memory after 20 and 100 epochs: {early:.1f}, {late:.1f} MB")
    assert late - early <= 5
