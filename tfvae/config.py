"""The settings of a run: one dataclass behind the flags, ``config.json`` and ``tfvae.train(...)``.

Nothing here imports TensorFlow.
"""

import dataclasses
import hashlib
import json

from tfvae import specs
from tfvae.errors import UsageError, describe_unknown

BINARIZE = ("none", "static", "dynamic")
PRECISIONS = ("float32", "bfloat16", "float16")
SCHEDULES = ("constant", "cosine")
XLA = ("auto", "on", "off")
FEEDS = ("auto", "resident", "streamed")
STRATEGIES = ("none", "mirrored", "multi-worker")


def make_setting(default, text, choices=None):
    return dataclasses.field(default=default, metadata={"help": text, "choices": choices})


def format_flags(values):
    """{name: value} -> [(flag, value)]; a bool is a switch, its value None."""
    flags = []
    for name, value in values.items():
        flag = name.replace("_", "-")
        switch = isinstance(value, bool)
        flags.append((f"--no-{flag}" if switch and not value else f"--{flag}", None if switch else value))
    return flags


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that decides a run's numbers. ``objective`` is a spec such as ``geco:kappa=4``."""

    objective: str = make_setting("elbo", "what is minimised: name:option=value,...")
    dataset: str = make_setting("fashion_mnist", "see  tfvae data list")
    likelihood: str = make_setting("auto", "p(x|z); auto: the objective's own default")
    arch: str = make_setting("mlp", "q(z|x) and the decoder")
    prior: str = make_setting("normal", "p(z)")
    condition: str = make_setting(
        "", "what the model is told beside the image: labels, upsample:N, inpaint:PART, beta:LOW-HIGH, kappa:LOW-HIGH"
    )
    epochs: int = make_setting(50, "passes over the training split")
    batch_size: int = make_setting(128, "images per step; an epoch has only whole batches")
    learning_rate: float = make_setting(1e-3, "Adam's step size")
    schedule: str = make_setting("constant", "of the learning rate", SCHEDULES)
    rate_warmup: int = make_setting(0, "steps over which the learning rate grows from 0")
    clip_norm: float = make_setting(0.0, "clip gradients to this global norm; 0: off")
    ema: float = make_setting(
        0.0, "decay of an average of the weights, which is what is then used, such as 0.999; 0: off"
    )
    samples: int = make_setting(1, "draws of z per image in training; iwae and its kin take k")
    l2: float = make_setting(0.0, "penalty l2 * sum of squared weights")
    seed: int = make_setting(0, "of weights, noise, shuffling and splits")
    binarize: str = make_setting("none", "grey levels to {0, 1}: once (static) or anew each step", BINARIZE)
    dequantize: bool = make_setting(False, "train on (x + u) / 256, u uniform in [0, 1)")
    validation: float = make_setting(0.1, "share of the training images held out for val_* columns")
    limit: int = make_setting(0, "use only the first N images of each split; 0: all")
    precision: str = make_setting("float32", "of layers; likelihoods and KL stay float32", PRECISIONS)
    xla: str = make_setting("auto", "compile with XLA; auto: as it is measured to be faster on this machine", XLA)
    feed: str = make_setting("auto", "images on the device, or sent there in pieces; auto: by size", FEEDS)
    strategy: str = make_setting("none", "share each batch among GPUs (mirrored) or machines (TF_CONFIG)", STRATEGIES)
    replicas: int = make_setting(0, "of mirrored: how many GPUs, or parts of the CPU; 0: all GPUs")
    raw_dir: str = make_setting("", "folder with original data files (or TFVAE_RAW_DIR)")

    def __post_init__(self):
        for field in dataclasses.fields(self):
            self._check(field, getattr(self, field.name))

    def _check(self, field, value):
        name, kind = field.name, field.type
        good = isinstance(value, kind) or kind is float and isinstance(value, int)
        if not good or isinstance(value, bool) and kind is not bool:
            raise UsageError(f"Expected {name} to be {kind.__name__}. Received: {value!r}.")
        choices = field.metadata["choices"]
        if choices and value not in choices:
            raise UsageError(describe_unknown(name, value, choices))
        if name in ("epochs", "batch_size", "learning_rate", "samples") and not value > 0:
            raise UsageError(f"Expected {name} > 0. Received: {value!r}.")
        if name in ("l2", "clip_norm", "limit", "seed", "rate_warmup", "replicas") and not value >= 0:
            raise UsageError(f"Expected {name} >= 0. Received: {value!r}.")
        if name in ("validation", "ema") and not 0 <= value < 1:
            raise UsageError(f"Expected 0 <= {name} < 1. Received: {value!r}.")

    @classmethod
    def from_dict(cls, values):
        """The config that `values` describes; an unknown key is refused with the nearest known one."""
        known = [field.name for field in dataclasses.fields(cls)]
        for key in values:
            if key not in known:
                raise UsageError(describe_unknown("a setting", key, known))
        return cls(**values)

    def to_dict(self):
        return dataclasses.asdict(self)

    def flags(self):
        """[(flag, value)] of ``tfvae train OBJECTIVE`` for what differs from the defaults; value None: a switch."""
        plain = Config().to_dict()
        return format_flags({k: v for k, v in self.to_dict().items() if k != "objective" and v != plain[k]})

    @property
    def hash(self):
        """Eight hex digits that name the content."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def objective_name(self):
        return specs.parse_spec(self.objective)[0]
