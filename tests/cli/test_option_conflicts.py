"""Flags of verbs beside flags that take their effect: refused, or heeded."""

from __future__ import annotations

import argparse
import pathlib

import numpy as np
import pytest

from tfvae.cli import explore_verb, measuring_verbs, sampling_verbs, serving_verbs
from tfvae.cli.arguments import parse_arguments
from tfvae.errors import UsageError


@pytest.mark.parametrize("verb", ["reconstruct", "complete", "interpolate"])
def test_own_pictures_and_a_split_are_not_taken_together(verb):
    with pytest.raises(UsageError, match="--split.*--images|--images.*--split"):
        parse_arguments([verb, "run", "--images", "a.png", "--split", "train"])
    assert parse_arguments([verb, "run", "--images", "a.png"]).images == ["a.png"]


def test_a_count_of_own_pictures_is_heeded(monkeypatch):
    """None stands for all pictures, and for a default number of the split's images."""
    monkeypatch.setattr(sampling_verbs, "load_own_images", lambda names, run, shape: np.zeros((9, *shape)))
    monkeypatch.setattr(sampling_verbs, "load_split_images", lambda run, split, least, most: most)
    model = argparse.Namespace(image_shape=(2, 2, 1))

    def load(images, most):
        args = argparse.Namespace(images=images, split="test")
        return sampling_verbs.load_images(args, None, model, most, 32)

    assert [len(load(["a"], most)) for most in (None, 4)] == [9, 4]
    assert [load([], most) for most in (None, 4)] == [32, 4]


def test_serving_flags_that_the_server_does_not_have(monkeypatch):
    monkeypatch.setattr(serving_verbs, "resolve_target", lambda args: (pathlib.Path(), False, "model"))
    monkeypatch.setattr(serving_verbs, "find_binary", lambda backend: "tensorflow_model_server")
    for flag, value in (("--host", "192.168.1.7"), ("--allow-host", "proxy")):
        with pytest.raises(UsageError, match=f"Expected {flag} with --backend python"):
            serving_verbs.serve(parse_arguments(["serve", "model", flag, value]))
    for flag in (["--trust"], ["--name", "other"]):
        with pytest.raises(UsageError, match=f"{flag[0]} or --server"):
            explore_verb.explore(parse_arguments(["explore", "--server", "http://host:1/v1/models/m", *flag]))


def test_an_extractor_compares_samples(tmp_path, monkeypatch):
    """Without --pictures it would have nothing to compare."""
    monkeypatch.setattr(measuring_verbs, "open_trusted_run", lambda *args: None)
    with pytest.raises(UsageError, match="--pictures N with --extractor"):
        measuring_verbs.evaluate(parse_arguments(["evaluate", str(tmp_path), "--extractor", "inception"]))
