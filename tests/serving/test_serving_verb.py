"""The verb serve: wrong usage, TensorFlow Serving where it is installed, a run that is served, many requests."""

# ruff: noqa: E402
import concurrent.futures
import contextlib
import http.client
import importlib.util
import json
import os
import pathlib
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest

from tfvae.cli.command_line import main
from tfvae.training import trainer
from tfvae.zoo import index

for package in ("orjson", "waitress", "werkzeug"):
    pytest.importorskip(package, reason="needs tfvae[serve]")

from tfvae.cli import serving_verbs
from tfvae.serving import rest_requests


def test_wrong_usage(root, tmp_path, monkeypatch, capsys):
    """One line and the exit code of the fault, before anything listens."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with serving_verbs.open_listener("127.0.0.1", 0) as taken:
        port = str(taken.getsockname()[1])
        for words, code, text in (
            ([tmp_path], 2, "run folder or a SavedModel"),
            ([root / "plain", "--name", "a/b"], 2, "--name"),
            ([root / "plain", "--port", "70000"], 2, "65535"),
            ([root / "plain", "--backend", "tensorflow_model_server"], 2, "on the PATH"),
            ([root / "plain", "--backend", "flask"], 2, "flask"),
            ([root / "plain", "--port", port], 2, "free port"),
            ([root / "plain", "--host", "not.a.host.invalid"], 2, "--host"),
            ([root / "words"], 5, "--trust"),
        ):
            assert main(["serve", *map(str, words)]) == code
            error = capsys.readouterr().err.strip().splitlines()
            assert len(error) == 1 and text in error[0], error
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "waitress" else find(name))
    assert main(["serve", str(root / "plain")]) == 2
    assert "pip install tfvae[serve]" in capsys.readouterr().err


STAND_IN = """#!/bin/sh
echo "$@" > "$NOTE"
for flag; do case $flag in --model_base_path=*) ls "${flag#*=}" >> "$NOTE"; esac; done
exit 3
"""


def test_tensorflow_serving_is_started_where_it_is(root, tmp_path, monkeypatch):
    """A stand-in that notes its flags: what it watches holds a copy that was checked; its exit code is ours."""
    binary = tmp_path / "tensorflow_model_server"
    binary.write_text(STAND_IN)
    binary.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setenv("NOTE", str(tmp_path / "note"))
    monkeypatch.setattr(index, "find_entry_savedmodel", lambda name: root / "plain")
    for place, name, trust in (
        (root / "plain", "plain", []),
        (root / "plain" / "1", "plain", []),
        ("zoo:digits", "digits", []),
        (root / "plain", "plain", ["--trust"]),
    ):
        assert main(["serve", str(place), "--port", "8123", *trust]) == 3
        flags, *versions = (tmp_path / "note").read_text().splitlines()
        assert versions == ["1"] and flags.startswith(f"--rest_api_port=8123 --port=0 --model_name={name} ")
        base = pathlib.Path(flags.partition("--model_base_path=")[2])
        assert (base == (root / "plain").resolve()) == base.exists() == bool(trust)  # what was made for it is gone


@contextlib.contextmanager
def serving(*words, **options):
    """A process of ``tfvae serve`` that answers: process, the request that it suggests, its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tfvae", "serve", *map(str, words), "--port", "0", "--backend", "python"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    with process:
        try:
            suggested, address = process.stdout.readline(), process.stdout.readline()
            assert address.startswith("serving"), process.communicate()
            yield process, suggested, re.search(r"http://[\w.:]+", address)[0]
        finally:
            process.kill()


@pytest.mark.slow
def test_a_run_is_served(tmp_path):
    """Exported, loaded, asked by the line that it prints; SIGTERM ends it with 143 and leaves nothing behind."""
    settings = dict(dataset="digits", arch="mlp:widths=8,latent=2", condition="labels", limit=200, epochs=1, xla="off")
    run = trainer.train(run_dir=str(tmp_path / "run"), root=str(tmp_path), **settings).path
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with serving(run, env=os.environ | {"TMPDIR": str(scratch)}) as (process, suggested, url):
        words = shlex.split(suggested.removeprefix("try:"))
        assert words[:2] == ["curl", "-d"] and words[3] == f"{url}/v1/models/model:predict"
        with urllib.request.urlopen(words[3], words[2].encode(), timeout=60) as answer:
            assert np.array(json.load(answer)["outputs"]).shape == (4, 8, 8, 1)
        assert any(path.name.startswith("tfvae-serve") for path in scratch.iterdir())
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143
        assert process.stderr.read() == ""
    assert not any(path.name.startswith("tfvae-serve") for path in scratch.iterdir())


HALF_SENT = b"POST /v1/models/plain:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n{"


@pytest.mark.slow
@pytest.mark.parametrize("words", [["serve", "--backend", "python"], ["explore", "--no-browser"]])
def test_health_during_120_half_sent_requests(words, root):
    """Every question is answered, here and under a name of another site, which is refused. The times are printed."""
    command = [sys.executable, "-m", "tfvae", *words, str(root / "plain"), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process, contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        host, port = next(
            filter(None, (re.search(r" at http://([\w.]+):(\d+)", line) for line in process.stdout))
        ).groups()
        urllib.request.urlopen(f"http://{host}:{port}/healthz", timeout=60).close()
        for _ in range(120):
            stack.enter_context(socket.create_connection((host, int(port)))).sendall(HALF_SENT)
        seconds = []
        for i in range(300):
            begin, link = time.perf_counter(), http.client.HTTPConnection(host, int(port), timeout=60)
            link.request("GET", "/healthz", headers={"Host": "attacker.example"} if i % 3 == 0 else {})
            assert link.getresponse().status == (403 if i % 3 == 0 else 200)
            link.close()
            seconds.append(time.perf_counter() - begin)
    p50, p99, highest = 1e3 * np.quantile(seconds, [0.5, 0.99, 1])
    print(f"\n{words[0]}: /healthz p50 {p50:.1f}, p99 {p99:.1f}, max {highest:.1f} ms")
    assert highest < 5e3  # a second is said; the machine may be busy


# --- ten thousand requests ---------------------------------------------------------------------------------------

BAD = {
    "shape": (b'{"instances": [[1, 2]]}', {}),
    "nan": (b'{"instances": [[1, 2, NaN]]}', {}),
    "n": (b'{"signature_name": "sample", "inputs": {"n": 1000000000, "seed": [1, 0], "temperature": 1}}', {}),
    "deep": (b'{"instances": ' + b"[" * 100_000, {}),
    "huge": (b'{"instances": ' + b"[" * rest_requests.MAX_BODY, {}),
    "bomb": (b"\x1f\x8b" + b"\0" * 10_000, {"Content-Encoding": "gzip"}),
}


def ask_many(place, requests, threads=4):
    """-> [(kind, status, seconds)] of [(kind, body, headers)], from so many threads with a connection each."""

    def work(part):
        link, result = http.client.HTTPConnection(place, timeout=60), []
        for kind, body, headers in part:
            begin = time.perf_counter()
            link.request("POST", "/v1/models/plain:predict", body, headers)
            answer = link.getresponse()
            answer.read()
            result.append((kind, answer.status, time.perf_counter() - begin))
        link.close()
        return result

    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        return sum(pool.map(work, [requests[i::threads] for i in range(threads)]), [])


@pytest.mark.slow
def test_ten_thousand_requests_a_fifth_of_them_bad(root):
    """No crash, good ones 200, bad ones 4xx. The 99th percentiles are printed, not judged: the machine may be busy."""
    draw = np.random.default_rng(0)

    def good():
        z = draw.standard_normal((draw.integers(1, 5), 3)).round(4).tolist()
        return "good", json.dumps({"instances": z}).encode(), {}

    kinds = list(BAD)
    mixed = [(kind, *BAD[kind]) if draw.random() < 0.2 else good() for kind in draw.choice(kinds, 10_000)]
    with serving(root / "plain") as (process, _, url):
        place = url.removeprefix("http://")
        ask_many(place, [good() for _ in range(500)])
        clean = ask_many(place, [good() for _ in range(8_000)])
        result = ask_many(place, mixed)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    assert {status for kind, status, _ in clean + result if kind == "good"} == {200}
    codes = {kind: {status for name, status, _ in result if name == kind} for kind in BAD}
    assert codes == {"shape": {400}, "nan": {400}, "n": {400}, "deep": {400}, "huge": {413}, "bomb": {415}}
    assert len(result) == 10_000 and 0.18 < np.mean([kind != "good" for kind, _, _ in result]) < 0.22
    before, after = (1e3 * np.percentile([s for kind, _, s in part if kind == "good"], 99) for part in (clean, result))
    print(f"\np99 of good requests: {before:.2f} ms clean, {after:.2f} ms mixed, ratio {after / before:.2f}")
