"""Several replicas or machines learn what one device would. Each case is a process of its own: devices are global."""

import csv
import json
import os
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest

TRAIN = [sys.executable, "-m", "tfvae", "train", "geco:kappa=1.5"]
SETTINGS = "--dataset digits --arch mlp:widths=32,latent=4 --epochs 3 --limit 600 --batch-size 60".split()
QUIET = os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}

LAMBDAS = """
import sys
from tfvae.environment import import_tensorflow
tf = import_tensorflow()
import numpy as np
import tfvae
from tfvae.runtime import optimizers, replicas
from tfvae.training.replicated_engine import ReplicatedEngine
from tfvae.training.engine import epoch_order
strategy = replicas.make_strategy("mirrored", 2)
x = np.random.default_rng(0).integers(0, 256, (64, 8, 8, 1)).astype("uint8")
with strategy.scope():
    model = tfvae.build("geco:kappa=2", "gaussian:sigma=0.3", "mlp:widths=8,latent=2", image_shape=(8, 8, 1))
    model.compile(optimizers.GuardedAdam(0.01, global_clipnorm=1.0), jit_compile=True)
list(ReplicatedEngine(model, 16, "step", strategy).train_blocks(x, epoch_order(0, 1, 64, 16)))
for variable in (model.multipliers._log_values, model.multipliers._average, *model.trainable_variables):
    one, two = (copy.numpy() for copy in variable.value.values)
    assert np.array_equal(one, two), variable.path
data = tf.data.Dataset.from_tensor_slices(x).batch(16)
before = model.step.numpy()
history = model.fit(data, epochs=2, verbose=0).history
assert model.step.numpy() == before + 8 and history["loss"][1] < history["loss"][0], history
found = model.evaluate(data, verbose=0, return_dict=True)
assert abs(found["elbo"] + found["rate"] + found["distortion"]) < 1e-4 * abs(found["elbo"]), found
print("equal", np.exp(one := model.multipliers._log_values.numpy()))
"""


def rows_of(folder):
    with open(folder / "metrics.csv", newline="") as file:
        return [{name: float(v) for name, v in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def same_curves(one, two):
    """Adam turns rounding into 1e-4 of a loss within thirty steps."""
    assert len(one) == len(two) == 3
    for a, b in zip(one, two):
        assert a.keys() == b.keys()
        np.testing.assert_allclose([a[name] for name in a], [b[name] for name in a], rtol=2e-3, atol=1e-3)


@pytest.fixture(scope="module")
def single(tmp_path_factory):
    """The rows of an ordinary run."""
    folder = tmp_path_factory.mktemp("single")
    subprocess.run([*TRAIN, *SETTINGS, "--run-dir", "run"], cwd=folder, env=QUIET, check=True, capture_output=True)
    return rows_of(folder / "run")


@pytest.mark.slow
def test_two_replicas_learn_what_one_device_does(single, tmp_path):
    """The same curve at the same global batch, validation (60 images, not a multiple of 2 x 60) included."""
    command = [*TRAIN, *SETTINGS, "--run-dir", "run", "--strategy", "mirrored", "--replicas", "2"]
    done = subprocess.run(command, cwd=tmp_path, env=QUIET, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "2 replicas (MirroredStrategy), xla: on" in done.stderr
    same_curves(rows_of(tmp_path / "run"), single)


@pytest.mark.slow
def test_multipliers_and_weights_are_equal_on_all_replicas():
    """To the bit, with clipping; Keras' own fit and evaluate work under the strategy too."""
    done = subprocess.run([sys.executable, "-c", LAMBDAS], env=QUIET, capture_output=True, text=True)
    assert done.returncode == 0 and "equal" in done.stdout, done.stderr


def workers(folder, *more):
    """Two worker processes on the loopback address."""
    ports = []
    for _ in range(2):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            ports.append(free.getsockname()[1])
    started = []
    for index in range(2):
        cluster = {"worker": [f"127.0.0.1:{port}" for port in ports]}
        config = json.dumps({"cluster": cluster, "task": {"type": "worker", "index": index}})
        command = [*TRAIN, *SETTINGS, "--run-dir", "run", "--strategy", "multi-worker", *more]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
        started.append(subprocess.Popen(command, cwd=folder, env=QUIET | {"TF_CONFIG": config}, **pipes))
    return started


@pytest.mark.slow
def test_two_workers_learn_what_one_device_does(single, tmp_path):
    """Worker 0 alone writes; both end well."""
    for worker in workers(tmp_path):
        output, _ = worker.communicate(timeout=300)
        assert worker.returncode == 0, output
    same_curves(rows_of(tmp_path / "run"), single)
    assert (tmp_path / "run" / "STATUS").read_text() == "finished\n"


@pytest.mark.slow
def test_a_killed_worker_ends_the_other_and_the_rerun_goes_on(tmp_path):
    """kill -9 of worker 1: worker 0 ends within a minute, exit code 9 and one sentence; the same command resumes."""
    first, second = workers(tmp_path, "--epochs", "150")
    log = tmp_path / "run" / "metrics.csv"
    while not log.exists():
        assert first.poll() is None
        time.sleep(0.2)
    os.kill(second.pid, signal.SIGKILL)
    second.communicate()
    output, _ = first.communicate(timeout=60)
    assert first.returncode == 9 and "Another worker is gone" in output and "Traceback" not in output, output
    reached = len(rows_of(tmp_path / "run"))
    first, second = workers(tmp_path, "--epochs", "150")
    output, _ = first.communicate(timeout=300)
    assert first.returncode == 0 and "going on with" in output, output
    second.communicate(timeout=60)
    assert second.returncode == 0
    assert len(rows_of(tmp_path / "run")) == 150 > reached > 0


@pytest.mark.slow
def test_a_tf_config_that_names_no_worker_is_refused(tmp_path):
    command = [*TRAIN, *SETTINGS, "--run-dir", "run", "--strategy", "multi-worker"]
    done = subprocess.run(command, cwd=tmp_path, env=QUIET | {"TF_CONFIG": "{}"}, capture_output=True, text=True)
    assert done.returncode == 2 and "Expected TF_CONFIG=" in done.stderr
    assert list(tmp_path.iterdir()) == []
