"""Pairs of options: each is refused, or has an effect beside the other, or a note says that it has none."""

from __future__ import annotations

import numpy as np
import option_groups
import pytest
import small_parts
from option_choices import ELSEWHERE, OPTIONS, SETTINGS
from option_groups import Choice, Findings, Lines

import tfvae
from tfvae import part_sources
from tfvae.config import Config, list_settings
from tfvae.errors import UsageError
from tfvae.training.setting_checks import check_trainable

PRIORS = list(small_parts.PRIORS)
ROUNDS = 2  # groups of each objective: other parts and other values
REFUSED = [
    ({"objective": "iwae:k=3", "samples": 2}, "samples has no effect, for k decides"),
    ({"objective": "geco-iwae", "samples": 2}, "samples has no effect, for k decides"),
    ({"objective": "beta:beta=2", "condition": "beta:0.5-2"}, "beta has no effect with condition=beta:0.5-2"),
    ({"objective": "sigma:beta=2", "condition": "beta:0.5-2"}, "beta has no effect"),
    ({"objective": "beta:beta=0,warmup=5"}, "warmup has no effect with beta=0"),
    ({"objective": "beta:beta=0,capacity=5"}, "capacity has no effect with beta=0"),
    ({"objective": "ciwae:k=1,beta=0.3"}, "beta has no effect with k=1"),
    ({"objective": "geco-iwae:k=1,stop_weights=true"}, "stop_weights has no effect with k=1"),
    ({"objective": "info:mmd=0,bandwidth=2"}, "bandwidth has no effect with mmd=0"),
    ({"objective": "geco:kappa=2,constraints=kl<=2"}, "kappa has no effect"),
    ({"objective": "geco:controller=log,proportional_gain=2"}, "proportional_gain has no effect with controller=log"),
    ({"arch": "mlp:conditioning=film"}, "conditioning has no effect with condition=none"),
    ({"arch": "ladder:conditioning=mr"}, "conditioning has no effect with condition=none"),
    ({"arch": "mlp:widths=none,activation=tanh"}, "activation has no effect with widths=none"),
    ({"arch": "convdraw:steps=1,shared=false"}, "shared has no effect with steps=1"),
    ({"strategy": "mirrored", "feed": "resident"}, "feed=streamed, or auto, with strategy=mirrored"),
    ({"replicas": 2}, "replicas only with strategy=mirrored"),
    ({"objective": "sigma", "binarize": "static"}, "grey pixels"),
]
BYTES = np.arange(16 * 64, dtype=np.uint8).reshape(16, 8, 8, 1)


@pytest.mark.parametrize("settings, words", REFUSED, ids=lambda value: str(value)[:60])
def test_an_option_without_effect_is_refused_and_left_out_of_old_files(settings, words):
    """A file of 0.1.0 may have it: it was without effect there, and is read without it."""
    with pytest.raises(UsageError, match="Received") as error:
        Config(**settings)
    assert words in str(error.value)
    Config.from_dict(settings | {"condition": settings.get("condition", "")})


def test_in_python_the_same_is_refused():
    for objective, options in (
        ("iwae", {"samples": 2}),
        ("beta", {"beta": 2, "condition": "beta:0.5-2"}),
        ("info", {"mmd": 0, "bandwidth": 2}),
        ("elbo", {"arch": "mlp:conditioning=mr"}),
        ("beta:beta=0", {"cycle": 4}),
        (tfvae.OBJECTIVES["ciwae"], {"k": 1, "beta": 0.2}),
    ):
        with pytest.raises(UsageError, match="has no effect"):
            tfvae.build(objective, **{"arch": "mlp:widths=4,latent=2", "image_shape": (8, 8, 1)} | options)


@pytest.mark.parametrize(
    "settings, images, words",
    [
        ({"learning_rate_warmup": 50}, BYTES, "learning_rate_warmup=50 is longer than this training of 4 steps"),
        ({"limit": 20}, BYTES, "limit=20 leaves nothing out: there are 16"),
        ({"binarize": "dynamic"}, BYTES // 128 * 255, "binarize=dynamic changes no pixel"),
        ({"raw_dir": "/no/such/folder"}, BYTES, "raw_dir=/no/such/folder has no effect"),
        ({"likelihood": "bernoulli"}, BYTES, "bernoulli on grey pixels"),
        ({"learning_rate_warmup": 4, "limit": 16, "binarize": "dynamic"}, BYTES, ""),
    ],
)
def test_a_setting_with_less_effect_than_it_says_is_remarked_upon(settings, images, words):
    said = Lines()
    check_trainable(Config(dataset="digits", epochs=2, batch_size=8, **settings), images, said)
    assert words in "\n".join(said.lines) if words else not said.lines


@pytest.mark.parametrize("settings", [{"dequantize": True, "likelihood": "gaussian"}, {"binarize": "dynamic"}])
def test_settings_of_bytes_are_refused_for_points(settings):
    points = np.zeros((16, 1, 2, 1), np.float32)
    with pytest.raises(UsageError, match=f"byte images for {next(iter(settings))}"):
        check_trainable(Config(dataset="gaussians", epochs=2, batch_size=8, **settings), points, Lines())


def test_notes_of_objectives():
    """Of a warm-up, of multipliers that never move, and of a likelihood whose scale nothing trains."""
    common = {"arch": "mlp:widths=4,latent=2", "image_shape": (8, 8, 1)}
    for spec, likelihood, words in (
        ("beta:warmup=50", "gaussian", "warmup of 50 steps"),
        ("geco:warmup=10", "gaussian", "warmup of 10 steps"),
        ("geco:controller=log,multiplier_learning_rate=0", "gaussian", "lambda stays where it began"),
        ("geco", "laplace", "only the mean of Laplace is trained"),
        ("geco-iwae:k=1", "gaussian:sigma=shared", "only the mean of Gaussian is trained"),
        ("geco-iwae:k=2", "laplace", ""),
        ("geco:constraints=nll<=5", "laplace", ""),
        ("geco:constraints=kl<=5", "laplace", ""),
        ("geco:multiplier_learning_rate=0", "gaussian", ""),
    ):
        notes = tfvae.build(spec, likelihood, **common).training_notes(10)
        assert words in "\n".join(notes) and bool(notes) == bool(words), spec


def test_every_option_has_a_value_to_be_tried_with():
    """A new option or setting is tried beside all others as soon as it has a value in `option_choices`."""
    assert set(list_settings()) == {*SETTINGS, *ELSEWHERE}
    parts = [part for axis in part_sources.TABLES for part in part_sources.read_parts(axis).values()]
    assert {name for part in parts for name in part.options} == set(OPTIONS)


def test_a_small_group_and_an_option_that_lies():
    """The search itself: three options have effects beside each other, one is noted, and one has none."""
    parts = {"objective": "beta", "arch": "mlp", "likelihood": "auto", "prior": "normal"}
    capacity, clip = Choice("objective", "beta", "capacity", 1.5), Choice("", "", "clip_norm", 0.01)
    findings = Findings()
    findings.examine(findings.choose_group([capacity, clip, Choice("arch", "mlp", "latent", 4)], parts), parts)
    assert len(findings.effective) == 3 and not findings.lies and not findings.noted
    findings.examine_pair(Choice("", "", "raw_dir", "/no/such/folder"), clip, parts)
    findings.examine_pair(Choice("", "", "schedule", "constant"), clip, parts)  # as if nothing were given
    assert findings.noted == {frozenset(("raw_dir", "clip_norm"))} and len(findings.lies) == 1


@pytest.mark.slow
@pytest.mark.parametrize("round_number", range(ROUNDS))
@pytest.mark.parametrize("objective", part_sources.read_parts("objective"))
def test_every_option_has_an_effect_beside_every_other(objective, round_number):
    """All options of an objective, of one architecture, likelihood and prior, and all settings of a run at once."""
    number = list(part_sources.read_parts("objective")).index(objective)
    generator = np.random.default_rng([number, round_number])
    architectures, likelihoods = list(small_parts.ARCHITECTURES), ["auto", *small_parts.LIKELIHOODS]
    parts = {
        "objective": objective,
        "arch": architectures[(number + 2 * round_number) % len(architectures)],
        "likelihood": likelihoods[(number + 5 * round_number) % len(likelihoods)],
        "prior": PRIORS[(number + round_number) % len(PRIORS)],
    }
    findings = Findings()
    if findings.is_refused([], parts):  # as tc with an architecture that draws z in steps
        parts["arch"] = "mlp"
    findings.examine(findings.choose_group(option_groups.make_candidates(parts, generator), parts), parts)
    print(f"{parts}: {findings}", *findings.lies, sep="\n")
    assert findings.effective and not findings.lies, findings.lies
