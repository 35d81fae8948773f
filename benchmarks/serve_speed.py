"""Images per second that a served decoder gives, beside the SavedModel called from Python.

    python benchmarks/serve_speed.py [--model RUN|SAVEDMODEL] [--seconds 5] [--rounds 3] [--dry-run]

One client asks for `decode` of 1 and of 64 codes, one request after the other, through `tfvae serve` on this machine,
and for PNG files, `decode_png`; the bare call has the codes as a tensor and ends with the pixels in NumPy. Rounds
alternate. Without --model it is an untrained 200-256-512-784 decoder: the weights do not matter. The client prepares
its requests beforehand and does not parse the answers. Writes results/serve_speed.{md,csv}.
"""

import argparse
import http.client
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from common import format_result_table, tf, write_results

import tfvae
from tfvae.exporting import exporter, savedmodel
from tfvae.runtime import files

BATCHES = (1, 64)


def write_untrained_decoder(folder):
    """Write a SavedModel of the MLP that GECO's tables use, and return its folder."""
    model = tfvae.build(
        "elbo", likelihood="gaussian", arch="mlp:widths=512-256,latent=200", image_shape=(28, 28, 1), seed=0
    )
    files.write_folder(folder / "1", lambda beside: exporter.write_model(model, beside, folder.name))
    return folder


def measure_median_time(call, seconds):
    """Return the median time of a call in ms, after five calls to warm up."""
    times = []
    for _ in range(5):
        call()
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        before = time.perf_counter()
        call()
        times.append(1e3 * (time.perf_counter() - before))
    return statistics.median(times)


def post_request(link, name, body):
    """Send one request on an open connection; its answer is read, not parsed."""
    link.request("POST", f"/v1/models/{name}:predict", body)
    answer = link.getresponse()
    answer.read()
    if answer.status != 200:
        raise SystemExit(f"Expected 200. Received: {answer.status}.")


def build_calls(link, name, signatures, batch):
    """Return {name: call} for one batch of codes."""
    z = np.random.default_rng(0).standard_normal((batch, signatures["decode"].inputs[0].shape[1])).astype(np.float32)
    tensor, rows = tf.constant(z), [[float(f"{value:.6g}") for value in row] for row in z.tolist()]
    bodies = {key: json.dumps({"signature_name": key, "instances": rows}).encode() for key in ("decode", "decode_png")}
    return {
        "SavedModel decode": lambda: signatures["decode"](z=tensor)["image"].numpy(),
        "served decode": lambda: post_request(link, name, bodies["decode"]),
        "SavedModel decode_png": lambda: signatures["decode_png"](z=tensor)["png_bytes"].numpy(),
        "served decode_png": lambda: post_request(link, name, bodies["decode_png"]),
    }


def measure(model_path, seconds, rounds):
    """Return the rows of the table, for a SavedModel with free batches."""
    signatures = tf.saved_model.load(str(savedmodel.find_savedmodel(model_path))).signatures
    words = [
        sys.executable,
        "-m",
        "tfvae",
        "serve",
        str(model_path),
        "--port",
        "0",
        "--backend",
        "python",
        "--name",
        "m",
    ]
    rows = []
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        try:
            address = next(line for line in process.stdout if line.startswith("serving")).partition("http://")[2]
            link = http.client.HTTPConnection(address.split()[0], timeout=60)
            for batch in BATCHES:
                calls = build_calls(link, "m", signatures, batch)
                times_by_call = {what: [] for what in calls}
                for _ in range(rounds):
                    for what, call in calls.items():
                        times_by_call[what].append(measure_median_time(call, seconds))
                each = {what: statistics.median(times) for what, times in times_by_call.items()}
                for what, time_ in each.items():
                    over = time_ - each[f"SavedModel {what.split()[1]}"]
                    row = {"images/s": 1e3 * batch / time_, "ms a call": time_, "over bare, ms": over}
                    rows.append({"batch": batch, "what": what, **row})
        finally:
            process.terminate()
    return rows


def main(model, seconds, rounds, dry):
    """Time the served decoder and the bare one, and write the table."""
    with tempfile.TemporaryDirectory() as folder:
        model_path = pathlib.Path(model) if model else write_untrained_decoder(pathlib.Path(folder) / "decoder")
        if savedmodel.find_savedmodel(model_path) is None:
            model_path = exporter.export_run(model_path, pathlib.Path(folder) / "decoder").parent
        rows = measure(model_path, 0.2 if dry else seconds, 1 if dry else rounds)
    print(format_result_table(rows, list(rows[0]))) if dry else write_results("serve_speed", rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="run folder or SavedModel; default: an untrained MLP")
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--dry-run", action="store_true", help="a moment's work, no results")
    args = parser.parse_args()
    main(args.model, args.seconds, args.rounds, args.dry_run)
