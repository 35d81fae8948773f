"""TensorFlow starts without its chatter, and what matters is still shown."""

import os
import subprocess
import sys

import pytest

from tfvae.runtime import environment

CHATTER = """WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795670961.951273   10510 cudart_stub.cc:31] Could not find cuda drivers on your machine.
2024-01-02 03:04:05.678901: I tensorflow/core/platform/cpu_feature_guard.cc:210] This TensorFlow binary is optimized.
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow.
"""
NO_GPU = "E0000 00:00:1795670970.083136   10510 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA error\n"
WARNINGS = """W0000 00:00:1795670970.083136   10510 cpu_allocator_impl.cc:83] Allocation of 1 exceeds 10% of free memory
E0000 00:00:1795670970.083136   10510 plugin.cc:1] a plugin could not be loaded
/home/me/script.py:3: UserWarning: shown
"""


@pytest.mark.parametrize("has_driver", [False, True])
def test_only_chatter_is_dropped(monkeypatch, has_driver):
    """On a machine with a driver it matters that TensorFlow does not find the GPU."""
    monkeypatch.setattr(environment, "has_nvidia_driver", lambda: has_driver)
    assert environment.drop_chatter(CHATTER + NO_GPU + WARNINGS) == has_driver * NO_GPU + WARNINGS


def test_what_is_written_while_tensorflow_starts_is_shown_afterwards(capfd):
    with environment.hold_back_chatter():
        os.write(2, (CHATTER + WARNINGS).encode())
        assert capfd.readouterr().err == ""
    assert capfd.readouterr().err == WARNINGS


def test_a_script_sees_its_own_warnings_and_nothing_else():
    code = (
        "import tfvae, warnings\n"
        "tfvae.build('elbo', arch='mlp:widths=4,latent=2', image_shape=(4, 4, 1)).sample(2)\n"
        "warnings.warn('of the user')\n"
    )
    clean = {name: value for name, value in os.environ.items() if name not in ("TF_CPP_MIN_LOG_LEVEL", "KERAS_BACKEND")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=clean)
    assert done.returncode == 0 and done.stderr == "<string>:3: UserWarning: of the user\n"
