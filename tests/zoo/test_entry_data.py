"""An entry of the zoo is verified on the images that it was measured on, and on no others."""

import json
import pathlib
import shutil

import tfvae
from tfvae.runtime.run_metadata import read_config
from tfvae.zoo import measurements
from tfvae.zoo.resolve import ZooEntry

ENTRY = pathlib.Path(tfvae.__file__).parents[1] / "zoo" / "square-beta-mlp"


def test_other_test_images_are_not_measured(tmp_path, monkeypatch):
    folder = tmp_path / ENTRY.name
    shutil.copytree(ENTRY, folder)
    measured = []
    monkeypatch.setattr(measurements, "measure_entry", lambda *arguments: measured.append(arguments) or {})
    metrics = json.loads((folder / "metrics.json").read_text())
    right = measurements.fingerprint_test_data(measurements.load_test_images(read_config(folder)))
    for digest, count in (("0" * 64, 0), (right, 1), (None, 2)):  # an entry of 0.1.0 does not say
        known = {"numbers": {}, "class_names": ["a"]} | ({} if digest is None else {"test_data_sha256": digest})
        monkeypatch.setattr(measurements, "read_metrics", lambda folder, known=known: metrics | known)
        results = measurements.verify_numbers(folder, trusted=True)
        assert len(measured) == count
        assert [result.was_checked for result in results] == ([False, True] if digest == "0" * 64 else [True])
    assert ZooEntry(folder).class_names == ()
