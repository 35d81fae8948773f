"""The settings of a run: one dataclass behind the flags, ``config.json`` and ``tfvae.train(...)``.

Nothing here imports TensorFlow.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
from collections.abc import Mapping
from typing import Any

from tfvae import part_sources, specs
from tfvae.errors import UsageError, describe_unknown, describe_value
from tfvae.option_values import OFF_WORD, Option, is_same_value, to_plain_value

BINARIZE = ("none", "static", "dynamic")
BAD_FILES = ("refuse", "skip")  # damaged pictures of a folder
PRECISIONS = ("float32", "bfloat16", "float16")
SCHEDULES = ("constant", "cosine")
XLA = ("auto", "on", "off")
FEEDS = ("auto", "resident", "streamed")
STRATEGIES = ("none", "mirrored", "multi-worker")
PATH_DATASETS = ("folder", "npz")  # whose names hold a path of the user's
BYTE_LIKELIHOODS = ("bernoulli", "logistic", "logistic-mixture", "categorical", "bitwise")

# Settings that were called otherwise in 0.1.0: {old name: name}.
SETTING_ALIASES = {"rate_warmup": "learning_rate_warmup"}
# Values that say "off" besides None: as flags (--limit 0), and in the files of 0.1.0.
OFF_VALUES: dict[str, Any] = {"condition": "", "clip_norm": 0.0, "ema": 0.0, "limit": 0, "replicas": 0, "raw_dir": ""}
# The settings of 0.1.0 in the words that name its folders, see `Config.hash`.
HASHED_NAMES = (
    "objective dataset likelihood arch prior condition epochs batch_size learning_rate schedule rate_warmup clip_norm "
    "ema samples l2 seed binarize dequantize validation limit precision xla feed strategy replicas raw_dir"
).split()

POSITIVE = ("epochs", "batch_size", "learning_rate", "samples", "clip_norm", "limit", "replicas")
NOT_NEGATIVE = ("l2", "seed", "learning_rate_warmup")


def make_setting(default: Any, text: str, choices: tuple[str, ...] | None = None) -> Any:
    """Return the dataclass field of a setting with its help and the values that are allowed (None: all)."""
    return dataclasses.field(default=default, metadata={"help": text, "choices": choices})


def format_flags(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return [(flag, value)] of {name: value}; a bool is a switch, its value None; None is written ``none``."""
    flags: list[tuple[str, Any]] = []
    for name, value in values.items():
        flag = name.replace("_", "-")
        switch = isinstance(value, bool)
        word = OFF_WORD if value is None else value
        flags.append((f"--no-{flag}" if switch and not value else f"--{flag}", None if switch else word))
    return flags


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run's numbers; a setting that is off is None.

    Args:
        objective: a spec such as ``geco:kappa=4``, or the import path of an own class with its options.
        dataset: a name of ``tfvae data list``, with its options.

    The other settings are those of ``tfvae train OBJECTIVE --help``, with ``_`` for ``-``.

    Example:
        >>> Config(objective="geco:kappa=4", epochs=2).objective_name
        'geco'
    """

    objective: str = make_setting("elbo", "what is minimised: name:option=value,...")
    dataset: str = make_setting("fashion_mnist", "a name from  tfvae data list")
    likelihood: str = make_setting("auto", "p(x|z); auto: the objective chooses")
    arch: str = make_setting("mlp", "the networks of q(z|x) and of the decoder")
    prior: str = make_setting("normal", "p(z)")
    condition: str | None = make_setting(
        None, "what the model sees beside the image: labels, upsample:N, inpaint:PART, beta:LOW-HIGH or kappa:LOW-HIGH"
    )
    epochs: int = make_setting(50, "passes over the training split")
    batch_size: int = make_setting(128, "images per step; an epoch has only whole batches")
    learning_rate: float = make_setting(1e-3, "Adam's step size")
    schedule: str = make_setting("constant", "how the learning rate changes over the training", SCHEDULES)
    learning_rate_warmup: int = make_setting(0, "steps over which the learning rate grows from 0")
    clip_norm: float | None = make_setting(None, "clip gradients to this global norm")
    ema: float | None = make_setting(
        None, "keep an average of the weights with this decay, such as 0.999, and use it after the training"
    )
    samples: int = make_setting(1, "draws of z per image in training; iwae and its variants take k")
    l2: float = make_setting(0.0, "add l2 * sum of squared weights to the loss")
    seed: int = make_setting(0, "seed of weights, noise, shuffling and splits")
    binarize: str = make_setting("none", "draw 0 or 1 by each grey level, once (static) or in each step", BINARIZE)
    dequantize: bool = make_setting(False, "train on (x + u) / 256, u uniform in [0, 1)")
    validation: float = make_setting(0.1, "share of the training images held out for the val_* columns")
    limit: int | None = make_setting(None, "use only the first N images of each split")
    precision: str = make_setting("float32", "precision of the layers; likelihoods and KL stay float32", PRECISIONS)
    xla: str = make_setting("auto", "compile with XLA; auto: where it was measured to be faster here", XLA)
    feed: str = make_setting("auto", "keep the images on the device, or stream them; auto: by size", FEEDS)
    strategy: str = make_setting("none", "share each batch among GPUs (mirrored) or machines (TF_CONFIG)", STRATEGIES)
    replicas: int | None = make_setting(None, "with --strategy mirrored: how many GPUs, or parts of the CPU")
    raw_dir: str | None = make_setting(None, "folder with original data files (or set TFVAE_RAW_DIR)")
    bad_files: str | None = make_setting(
        None,
        "damaged pictures of a folder: refuse the first, or skip all; None: skip up to 3 or 1 %, and refuse more",
        BAD_FILES,
    )

    def __new__(cls, *values: Any, **settings: Any) -> Config:
        """Refuse names of settings that there are not, with the nearest one that is."""
        check_setting_names(settings)
        return super().__new__(cls)

    def __repr__(self) -> str:
        changed = {name: value for name, value in self.to_dict().items() if value != list_settings()[name].default}
        return f"Config({', '.join(f'{name}={value!r}' for name, value in changed.items())})"

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):  # NumPy's numbers are numbers
            object.__setattr__(self, field.name, to_plain_value(getattr(self, field.name)))
        kind, _, path = self.dataset.partition(":") if isinstance(self.dataset, str) else ("", "", "")
        if kind in PATH_DATASETS and path and not path.startswith(("/", "~")) and not os.path.isabs(path):
            # A run says where its data are, from wherever it is read again.
            object.__setattr__(self, "dataset", f"{kind}:{os.path.join(os.getcwd(), path)}")
        for name, value in OFF_VALUES.items():
            if is_same_value(getattr(self, name), value):
                object.__setattr__(self, name, None)
        for kind in part_sources.TABLES:
            if isinstance(getattr(self, kind), str):
                object.__setattr__(self, kind, part_sources.translate_spec(kind, getattr(self, kind)))
        for name, setting in list_settings().items():
            check_setting(setting, getattr(self, name))
        self._check_combinations()
        check_effects(vars(self))

    def _check_combinations(self) -> None:
        """Refuse settings that would have no effect, or another than their help says, beside the others."""
        if self.replicas is not None and self.strategy != "mirrored":
            raise UsageError(
                f"Expected replicas only with strategy=mirrored. Received: replicas={self.replicas}, "
                f"strategy={self.strategy}. Leave replicas out, or use strategy=mirrored."
            )
        if self.strategy != "none" and self.feed == "resident":
            raise UsageError(
                f"Expected feed=streamed, or auto, with strategy={self.strategy}, which sends each replica its share. "
                "Received: feed=resident."
            )
        if self.bad_files is not None and (",bad-files=" in self.dataset or not self.dataset.startswith("folder:")):
            raise UsageError(
                "Expected bad_files only with a folder of pictures whose name does not have the option bad-files. "
                f"Received: bad_files={self.bad_files}, dataset={self.dataset}. Leave one of them out."
            )
        if self._wants_gaussian_of_binary_pixels():
            raise UsageError(
                f"Expected grey pixels with objective sigma, whose likelihood is gaussian:sigma=optimal. Received: "
                f"binarize={self.binarize}. Use objective beta, binarize=none, or name a likelihood, such as bernoulli."
            )

    def _wants_gaussian_of_binary_pixels(self) -> bool:
        return self.objective_name == "sigma" and self.likelihood == "auto" and self.binarize != "none"

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Config:
        """Return the config that `values` describes, those of a config.json of 0.1.0 too.

        Old names and values are translated, and old settings that had no effect are left out.

        Args:
            values: {name of a setting: value}; what is missing has its default.

        Raises:
            UsageError: an unknown setting, or a value that is not allowed.

        Example:
            >>> Config.from_dict({"rate_warmup": 10, "limit": 0}).learning_rate_warmup
            10
        """
        is_of_0_1 = any(key in SETTING_ALIASES for key in values)  # its files hold every setting, by its names
        values = {SETTING_ALIASES.get(key, key): value for key, value in values.items()}
        check_setting_names(values)
        settings = {name: setting.default for name, setting in list_settings().items()} | {
            name: None if name in OFF_VALUES and is_same_value(value, OFF_VALUES[name]) else value
            for name, value in values.items()
        }
        for kind in part_sources.TABLES:
            if isinstance(values.get(kind), str):
                if is_of_0_1:
                    values[kind] = part_sources.name_legacy_defaults(kind, values[kind])
                values[kind] = part_sources.translate_spec(kind, values[kind], settings)
                for name in part_sources.find_replaced_settings(kind, values[kind]):
                    values.pop(name, None)
        if settings["strategy"] != "mirrored":
            values.pop("replicas", None)
        if settings["strategy"] != "none" and settings["feed"] == "resident":
            values.pop("feed")
        likelihood = str(values.get("likelihood", "auto")).partition(":")[0]
        if values.get("binarize", "none") != "none" or likelihood in BYTE_LIKELIHOODS:
            values.pop("dequantize", None)  # 0.1.0 took it, and trained on other bytes than the data's
        name = str(values.get("objective", "")).partition(":")[0]
        if name == "sigma" and values.get("likelihood", "auto") == "auto" and values.get("binarize", "none") != "none":
            values["likelihood"] = "bernoulli"  # what 0.1.0 took for binary pixels
        return cls(**values)

    def to_dict(self) -> dict[str, Any]:
        """Return {setting: value}, as config.json has it."""
        return dataclasses.asdict(self)

    def to_public_dict(self) -> dict[str, Any]:
        """Return `to_dict` without paths of this machine, for what is exported, served or shown to others."""
        kind, _, path = self.dataset.partition(":")
        dataset = f"{kind}:{path.rpartition('/')[2]}" if kind in PATH_DATASETS else self.dataset
        return self.to_dict() | {"dataset": dataset, "raw_dir": None}

    def flags(self) -> list[tuple[str, Any]]:
        """Return [(flag, value)] of ``tfvae train OBJECTIVE`` for what is not the default; value None: a switch."""
        plain = Config().to_dict()
        return format_flags({k: v for k, v in self.to_dict().items() if k != "objective" and v != plain[k]})

    @property
    def hash(self) -> str:
        """Eight hex digits that name the content; the same as in 0.1.0, whose folders they name."""
        old_names = {name: old for old, name in SETTING_ALIASES.items()}
        values: dict[str, Any] = {
            old_names.get(k, k): OFF_VALUES.get(k) if v is None else v for k, v in self.to_dict().items()
        }
        values |= {kind: part_sources.restore_old_words(kind, values[kind]) for kind in part_sources.TABLES}
        plain = Config().to_dict() if values.keys() - set(HASHED_NAMES) else {}
        hashed = {k: v for k, v in values.items() if k in HASHED_NAMES or v != plain.get(k)}
        return hashlib.sha256(json.dumps(hashed, sort_keys=True).encode()).hexdigest()[:8]

    @property
    def objective_name(self) -> str:
        """The objective without its options."""
        return specs.parse_spec(self.objective)[0]


@functools.cache
def list_settings() -> dict[str, Option]:
    """Return {name: `Option`} of all settings, their help and allowed values included."""
    settings = {}
    for field in dataclasses.fields(Config):
        option = specs.make_option(field.name, field.default, str(field.type), field.metadata["help"])
        settings[field.name] = dataclasses.replace(option, choices=field.metadata["choices"])
    return settings


def check_setting_names(values: Mapping[str, Any]) -> None:
    """Refuse names of settings that there are not.

    Raises:
        UsageError: as above.
    """
    for name in values:
        if name not in list_settings():
            raise UsageError(describe_unknown("a setting", name, list_settings()))


def check_effects(settings: Mapping[str, Any]) -> None:
    """Refuse options of built-in parts, and settings, that have no effect beside the other settings.

    Args:
        settings: {name: value}, of a run or of `tfvae.build`.

    Raises:
        UsageError: there is one.
    """
    for kind in part_sources.TABLES:
        spec = settings.get(kind)
        part = part_sources.read_parts(kind).get(specs.read_name(spec)) if isinstance(spec, str) else None
        if part is not None:
            check_part_effects(kind, part, specs.translate_options(part, specs.parse_spec(spec)[1]), settings)


def check_part_effects(
    kind: str, part: specs.PartSignature, options: Mapping[str, Any], settings: Mapping[str, Any]
) -> None:
    """Refuse options of a part, and settings, of which one takes the other's effect; see `check_effects`."""
    specs.check_effects(kind, part, options, settings)
    for name, option in part.replaced_settings.items():
        value = settings.get(name)
        if value is not None and value != list_settings()[name].default:
            raise UsageError(
                f"{kind} {part.name!r}: {name} has no effect, for {option} decides. Received: {name}={value}. Leave "
                f"{name} out, or set {option}."
            )


def check_setting(setting: Option, value: Any) -> None:
    """Refuse a value of another kind, not among the choices, or out of range.

    Raises:
        UsageError: as above.
    """
    name = setting.name
    whole = setting.kind is not int or value is None or isinstance(value, int)
    if not whole or not setting.accepts(value):
        raise UsageError(
            f"Expected {name} to be {setting.describe_values(value, 'None')}. Received: {describe_value(value)}."
        )
    if value is None:
        return
    if setting.choices and value not in setting.choices:
        raise UsageError(describe_unknown(name, value, setting.choices))
    if setting.kind is str and not isinstance(value, str):
        raise UsageError(f"Expected {name} to be a word. Received: {describe_value(value)}.")
    if name in POSITIVE and not value > 0:
        raise UsageError(f"Expected {name} > 0. Received: {describe_value(value)}.")
    if name in NOT_NEGATIVE and not value >= 0:
        raise UsageError(f"Expected {name} >= 0. Received: {describe_value(value)}.")
    if name in ("validation", "ema") and not 0 <= value < 1:
        raise UsageError(f"Expected 0 <= {name} < 1. Received: {describe_value(value)}.")
