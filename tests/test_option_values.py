"""Every option and setting beside values that cannot be meant: refused in one line, or named here as legal."""

from __future__ import annotations

import math

import numpy as np
import pytest
import small_parts

import tfvae
from tfvae import part_sources, specs
from tfvae.cli.arguments import parse_arguments, read_config
from tfvae.config import Config, list_settings
from tfvae.errors import UsageError
from tfvae.option_values import Option, parse_number

# No option takes these, in whatever way they are given; `word` and `flag` kinds are tried with those that they refuse.
NEVER = ("", "inf", "-inf", "nan", "1e400", "1e39", "1_000", " 5", "5 ", "0x10", "٣", "maybe", "--1")
SHAPE = (8, 8, 1)
BASE = {"arch": "mlp:widths=4,latent=2", "image_shape": SHAPE}
# Which of 0, -1 and 0.5 an option takes, where it is a number.
LEGAL = {
    "beta": {0, 0.5}, "warmup": {0}, "cycle": {0}, "capacity": {0, 0.5}, "kappa": {0.5}, "kl": {0.5},
    "multiplier_learning_rate": {0, 0.5}, "proportional_gain": {0, 0.5}, "decay": {0, 0.5}, "initial_multiplier": {0.5},
    "k": set(), "m": set(), "alpha": {0, -1, 0.5}, "mmd": {0, 0.5}, "bandwidth": {0.5}, "components": set(),
    "latent": set(), "hidden": set(), "kernel": set(), "blocks": set(), "steps": set(), "vector": {0}, "levels": set(),
    "sigma": {0.5}, "scale": {0.5}, "widths": set(),
    "epochs": set(), "batch_size": set(), "learning_rate": {0.5}, "learning_rate_warmup": {0}, "samples": set(),
    "clip_norm": {0, 0.5}, "ema": {0, 0.5}, "l2": {0, 0.5}, "seed": {0}, "validation": {0, 0.5}, "limit": {0},
    "replicas": {0},
}  # fmt: skip
ALSO_LEGAL = {("resnet", "blocks"): {0}, ("logistic", "scale"): set()}


def list_part_options():
    """Yield (axis, part, option) of every option of every built-in part."""
    for axis in part_sources.TABLES:
        for part in part_sources.read_parts(axis).values():
            yield from ((axis, part.name, option) for option in part.options.values())


def make(axis, part, text):
    """Return a model with an option, written as a spec has it."""
    base = specs.parse_spec(getattr(small_parts, AXES[axis]).get(part, part))[1]
    name = text.partition("=")[0]
    base |= {"controller": "pi"} if name == "decay" else {}  # without effect under the default one
    rest = "".join(f",{key}={value}" for key, value in base.items() if key != name)
    condition = "labels" if name == "conditioning" else None
    settings = BASE | {axis: f"{part}:{text}{rest}", "condition": condition, "classes": 3}
    part_sources.check_spec(axis, settings[axis])
    return tfvae.build(settings.pop("objective", "elbo"), **settings)


AXES = {"objective": "OBJECTIVES", "likelihood": "LIKELIHOODS", "arch": "ARCHITECTURES", "prior": "PRIORS"}


def check_refusal(call, *words):
    """Check that a call is refused in one line that says what came."""
    with pytest.raises(UsageError) as error:
        call()
    line = str(error.value)
    assert "\n" not in line and ("Received" in line or "received" in line), words


def test_every_option_of_a_part_refuses_what_is_no_value_of_it():
    for axis, part, option in list_part_options():
        for text in NEVER:
            check_refusal(lambda: make(axis, part, f"{option.name}={text}"), axis, part, option.name, text)
        for text in ("true", "none") if option.kind in (int, float) else ():
            if text != "none" or not option.optional:
                check_refusal(lambda: make(axis, part, f"{option.name}={text}"), axis, part, option.name, text)


def test_every_flag_of_an_objective_refuses_what_is_no_number():
    """Before TensorFlow is loaded."""
    for part in part_sources.read_parts("objective").values():
        for option in (option for option in part.options.values() if option.kind in (int, float)):
            flag = "--" + option.name.replace("_", "-")
            for text in NEVER:
                check_refusal(lambda: read_config(parse_arguments(["train", part.name, f"{flag}={text}"])), flag, text)


def test_every_number_of_a_part_has_its_range():
    """A whole number takes no 0.5; what is legal makes a model."""
    for axis, part, option in list_part_options():
        if option.name not in LEGAL:
            assert option.kind in (bool, str), f"{part}: give the range of {option.name}"
            continue
        for number in (0, -1, 0.5):
            text = f"{option.name}={number}"
            if number in ALSO_LEGAL.get((part, option.name), LEGAL[option.name]):
                assert number == 0.5 or make(axis, part, text)  # other tests have numbers in the middle
            else:
                check_refusal(lambda: make(axis, part, text), axis, part, text)
        if option.kind is int:
            check_refusal(lambda: make(axis, part, f"{option.name}={2**31}"), part, option.name)


def test_every_setting_refuses_what_is_no_value_of_it():
    """On the command line and in Python; a word such as a path may be any but an empty one."""
    for name, setting in list_settings().items():
        if name == "objective" or setting.kind is str and not setting.choices:
            continue
        if setting.kind is bool:
            check_refusal(lambda: Config(**{name: "maybe"}), name)
            check_refusal(lambda: Config(**{name: 1}), name)
            continue
        flag = "--" + name.replace("_", "-")
        for text in NEVER:
            check_refusal(lambda: read_config(parse_arguments(["train", "elbo", f"{flag}={text}"])), flag, text)
            check_refusal(lambda: Config(**{name: text}), name, text)
        for value in (math.inf, -math.inf, math.nan, 1e39, True, [3]) if setting.kind is not str else (3, True):
            check_refusal(lambda: Config(**{name: value}), name, value)


def test_every_number_of_a_run_has_its_range():
    for name, setting in list_settings().items():
        if setting.kind not in (int, float):
            continue
        for number in (0, -1, 0.5):
            settings = {name: number, "strategy": "mirrored" if name == "replicas" else "none"}
            flags = ["--" + key.replace("_", "-") + f"={value}" for key, value in settings.items()]
            if number in LEGAL[name]:
                assert read_config(parse_arguments(["train", "elbo", *flags])) == Config(**settings)
            else:
                check_refusal(lambda: Config(**settings), name, number)
                check_refusal(lambda: read_config(parse_arguments(["train", "elbo", *flags])), flags)


def test_a_unit_may_stand_behind_a_number_that_has_one():
    """On the command line, in a spec and in Python; one without a unit stays a number, so 4 and 4.0 are the same."""
    for text, kappa in (("3.0", 3), ("0.2rms", "0.2rms")):
        assert read_config(parse_arguments(["train", "geco", f"--kappa={text}"])).objective == f"geco:kappa={kappa}"
    kappas = [tfvae.build("geco:kappa=0.2rms", **BASE | {"image_shape": (size, size, 1)}).kappa for size in (8, 16)]
    assert kappas == pytest.approx([1.6, 3.2])
    for text in ("0.2", "rms", "0.2mm", "1_0rms", "nanrms", "0.2 rms", "0.2rmsrms"):
        assert not Option("kappa", kind=float, unit="rms").accepts(text), text


def test_numbers_are_written_plainly():
    assert [parse_number(text) for text in ("3", "-0.5", "1e-3", ".5", "2.")] == [3, -0.5, 1e-3, 0.5, 2.0]
    assert all(parse_number(text) is None for text in NEVER if text != "1e39") and parse_number("1e39") is None
    assert Option("n", kind=int).describe_values(2**40) == "a whole number up to 2147483647"


def test_python_takes_numpy_numbers_and_refuses_misspelt_words():
    model = tfvae.build("geco", kappa=np.float32(2), seed=np.int64(3), **BASE)
    assert model.kappa == 2.0 and type(model.kappa) is float and model.seed == 3
    assert tfvae.build("elbo", **BASE | {"image_shape": np.array(SHAPE)}).image_shape == SHAPE
    config = Config(epochs=np.int32(2), learning_rate=np.float64(0.01))
    assert config == Config(epochs=2, learning_rate=0.01) and type(config.epochs) is int
    for options, words in (
        ({"kapa": 3}, "Did you mean 'kappa'"),
        ({"sed": 3}, "Did you mean 'seed'"),
        ({"epochs": 3}, "an option of geco"),
        ({"kappa": math.inf}, "kappa to be a number"),
        ({"kappa": True}, "kappa to be a number"),
        ({"kappa": "0.1mm"}, "kappa to be a number, one with rms behind it, auto, or none"),
        ({"kappa": "0rms"}, "kappa > 0"),
        ({"seed": True}, "seed to be a whole number"),
        ({"classes": True}, "classes >= 0"),
        ({"l2": math.nan}, "l2 to be a number"),
        ({"image_shape": (8, 8)}, "image_shape"),
        ({"image_shape": (True, 8, 1)}, "image_shape"),
        ({"kappa": 3, "constraints": "kl<=3"}, "kappa has no effect"),
    ):
        with pytest.raises(UsageError) as error:
            tfvae.build("geco", **BASE | options)
        assert words in str(error.value)
    with pytest.raises(UsageError, match="kappa once"):
        tfvae.build("geco:kappa=3", kappa=4, **BASE)
    with pytest.raises(UsageError, match="beta >= 0"):
        tfvae.OBJECTIVES["beta"](beta=math.inf, **BASE)
