"""Malformed arrays and picture folders give the right images or one line, through the command line and Python."""

import numpy as np
import pytest
from malformed_data import list_cases

import tfvae
from tfvae import datasets
from tfvae.cli.command_line import main
from tfvae.errors import TfvaeError

CASES = list_cases()
TRAIN = ["--arch", "mlp:widths=4,latent=2", "--batch-size", "8", "--epochs", "1", "--dry-run"]


def sort_rows(images):
    """The images in an order of their own, as rows."""
    rows = images.reshape(len(images), -1)
    return rows[np.lexsort(rows.T[::-1])]


def try_case(case, folder, capsys):
    """Return what is wrong with the answers to a case, or ''."""
    spec = case.make(str(folder))
    try:
        found = np.concatenate([datasets.load(spec, split)[0] for split in ("train", "test")])
        if case.images is None:
            return f"taken: {found.dtype} {found.shape}"
        if found.shape != case.images.shape or not np.array_equal(sort_rows(found), sort_rows(case.images)):
            return "other images"
    except TfvaeError as error:
        if case.images is not None or "\n" in str(error) or "Received" not in str(error):
            return f"in Python: {error}"
    capsys.readouterr()
    code = main(["data", "info", spec])
    lines = capsys.readouterr().err.strip().splitlines()
    if case.images is not None and code:
        return f"on the command line: {lines}"
    if case.images is None:
        words = ["train", "elbo", "--dataset", spec, "--run-dir", str(folder / "run"), *TRAIN[:-1]]
        code = main(words)
        lines = capsys.readouterr().err.strip().splitlines()
        is_one_line = [line.startswith("tfvae: ") and "xpected" in line for line in lines].count(True) == 1
        if code not in (2, 3) or not is_one_line or "Traceback" in str(lines) or (folder / "run").exists():
            return f"on the command line, exit code {code}: {lines}"
    return try_arrays(case)


def try_arrays(case):
    """Return what is wrong with the answers to arrays that are given in Python, or ''."""
    if case.arrays is None:
        return ""
    try:
        tfvae.datasets.from_arrays(*case.arrays)
        return "" if case.images is not None else "taken as arrays"
    except TfvaeError as error:
        is_one_line = "\n" not in str(error) and len(str(error)) < 500
        return "" if case.images is None and is_one_line else f"as arrays: {error}"


def check_cases(cases, tmp_path, capsys):
    wrong = {}
    for number, case in enumerate(cases):
        folder = tmp_path / str(number)
        folder.mkdir()
        try:
            answer = try_case(case, folder, capsys)
        except Exception as error:  # which a user would see as a traceback
            answer = repr(error)
        if answer:
            wrong[case.name] = answer
    assert not wrong


def test_a_sample_of_malformed_data(tmp_path, capsys):
    check_cases(CASES[::23], tmp_path, capsys)


@pytest.mark.slow
def test_all_malformed_data(tmp_path, capsys):
    assert len(CASES) >= 300 and len({case.name for case in CASES}) == len(CASES)
    check_cases(CASES, tmp_path, capsys)
