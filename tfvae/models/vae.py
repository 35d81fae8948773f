"""`VAE`: what a user calls. A subclass says what it minimises; the training step is that of `TrainStep`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfvae import part_sources, specs
from tfvae.architectures import ARCHITECTURES
from tfvae.architectures.base import GaussianArchitecture
from tfvae.config import BINARIZE, PRECISIONS
from tfvae.distributions.likelihood_base import Likelihood
from tfvae.distributions.likelihoods import LIKELIHOODS
from tfvae.distributions.priors import PRIORS, Prior
from tfvae.distributions.terms import Terms, compute_twice_normal_kl_by_dimension
from tfvae.errors import UsageError, describe_unknown
from tfvae.models import conditions
from tfvae.models.input_checks import check_count, check_number, to_codes, to_images
from tfvae.models.model_summary import format_summary
from tfvae.models.train_step import METRIC_NAMES, MeanOrNaN, TrainStep
from tfvae.runtime import random_streams
from tfvae.runtime.keras_settings import check_keras_settings
from tfvae.runtime.parts import build_part
from tfvae.runtime.random_streams import PassStream, fold_in
from tfvae.runtime.saveable_parts import deserialize_part, serialize_part

PARTS = ("arch", "likelihood", "prior")
KERAS_OPTIONS = {"name", "trainable"}  # of every Keras model
# Constructor arguments of every objective, as `get_config` saves them.
COMMON_OPTIONS = (
    *("image_shape", "seed", "l2", "binarize", "dequantize", "precision", "samples"),
    *("condition", "classes", "class_names"),
)


class VAE(TrainStep):
    """A variational autoencoder: x -> q(z|x) -> z -> p(x|z) (Kingma & Welling, 2014, arXiv 1312.6114).

    Args:
        arch: spec of the encoder and decoder, such as ``mlp:latent=32``.
        likelihood: spec of p(x|z); ``auto``: bernoulli for binary data, gaussian with an optimal sigma otherwise.
        prior: spec of p(z).
        image_shape: (H, W, C).
        seed: of weights and noise, >= 0.
        l2: loss += l2 * sum of squared kernels, >= 0.
        binarize: ``dynamic`` draws each pixel as Bernoulli(grey level) anew in every step; ``static``: the data set
            was binarised once, before training.
        dequantize: train on (x + u) / 256 with u uniform in [0, 1) instead of x / 255; for densities.
        precision: ``float32``, ``bfloat16`` or ``float16`` of the networks; densities and KL are float32 always.
        samples: draws of z per image in training (L of Kingma & Welling, 2014, eq. 7), >= 1; IWAE and its kin set it.
        condition: what the model is conditioned on, see `tfvae.models.conditions`: ``labels``, ``beta:0.1-10``, ...;
            None: nothing.
        classes: how many labels there are, for ``labels``.
        class_names: their names, which may stand for them; (): none.

    Raises:
        UsageError: an unknown part or option, or a value out of range.

    Example:
        >>> model = tfvae.build("geco:kappa=4", arch="mlp:latent=16", image_shape=(28, 28, 1))
        >>> images = model.sample(8)  # [8, 28, 28, 1] in [0, 1]
    """

    supported_conditions: tuple[str, ...] = ("labels", "upsample", "inpaint")  # what an objective can be conditioned on

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """Make every objective, a user's own too, known to Keras' loader."""
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable("tfvae")(cls)

    def __init__(
        self,
        arch: Any = "mlp",
        likelihood: Any = "auto",
        prior: Any = "normal",
        image_shape: tuple[int, ...] = (28, 28, 1),
        seed: int = 0,
        l2: float = 0.0,
        binarize: str = "none",
        dequantize: bool = False,
        precision: str = "float32",
        samples: int = 1,
        condition: str | None = None,
        classes: int = 0,
        class_names: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        check_keras_settings()
        for name in kwargs.keys() - KERAS_OPTIONS:
            known = [*PARTS, *COMMON_OPTIONS, *specs.list_keyword_options(type(self))]
            raise UsageError(describe_unknown(f"an option of {type(self).__name__}", name, known))
        if precision not in PRECISIONS:
            raise UsageError(describe_unknown("precision", precision, PRECISIONS))
        if binarize not in BINARIZE:
            raise UsageError(describe_unknown("binarize", binarize, BINARIZE))
        if not samples >= 1:
            raise UsageError(f"Expected samples >= 1. Received: samples={samples}.")
        policy = precision if precision == "float32" else "mixed_" + precision
        super().__init__(dtype=policy, **kwargs)
        self.image_shape, self.seed, self.l2 = tuple(image_shape), int(seed), float(l2)
        self.binarize, self.dequantize, self.precision, self.samples = binarize, dequantize, precision, int(samples)
        self.condition_spec, self.classes, self.class_names = condition, int(classes), tuple(class_names)
        self.condition = conditions.parse_condition(
            condition, classes, self.supported_conditions, self.image_shape, class_names
        )
        if self.condition and str(prior).startswith("vamp"):
            raise UsageError("Expected a prior other than vamp, whose pseudo-inputs have no condition.")
        likelihood = self.default_likelihood() if likelihood == "auto" else likelihood
        self._build_parts(arch, likelihood, prior, policy)
        self._check_dequantize()
        self._part_specs = {"arch": arch, "likelihood": likelihood, "prior": prior}
        # Not int32: TensorFlow keeps such variables on the CPU, where a step compiled for a GPU cannot reach them.
        self.step = self.add_weight(name="step", shape=(), dtype="int64", initializer="zeros", trainable=False)
        self.built = True  # every part made its weights in its constructor
        self._trackers = [MeanOrNaN(name=name) for name in METRIC_NAMES]

    def _build_parts(self, arch: Any, likelihood: Any, prior: Any, policy: str) -> None:
        """Make the likelihood, the architecture and the prior, in this order: it decides the order of all weights."""
        common = {"image_shape": self.image_shape, "seed": self.seed}
        self.likelihood = build_part(
            "likelihood", LIKELIHOODS, likelihood, base=Likelihood, image_shape=self.image_shape
        )
        context = {}
        if self.condition:
            context = {"context_width": self.condition.width, "context_map_shape": self.condition.map_shape}
        self.arch = build_part(
            "arch",
            ARCHITECTURES,
            arch,
            base=GaussianArchitecture,
            output_channels=self.likelihood.output_channels,
            dtype=policy,
            **common,
            **context,
        )
        self.prior = build_part("prior", PRIORS, prior, base=Prior, latent=self.arch.latent, **common)

    def _check_dequantize(self) -> None:
        """Refuse to add noise to pixels of which the likelihood scores bytes or bits: they would become others."""
        if not self.dequantize:
            return
        if self.binarize != "none":
            raise UsageError(
                f"Expected dequantize with binarize=none: bits have no noise. Received: binarize={self.binarize}."
            )
        if self.likelihood.kind != "continuous":
            raise UsageError(
                "Expected dequantize with a density, such as gaussian: other likelihoods score the bytes themselves. "
                f"Received: {type(self.likelihood).__name__}, of {self.likelihood.kind} data."
            )

    def default_likelihood(self) -> str:
        """Return the spec that ``likelihood="auto"`` stands for."""
        return "gaussian" if self.binarize == "none" else "bernoulli"

    # --- what a user calls -------------------------------------------------------------------------------------

    def terms(
        self, x: Any, samples: int | None = None, seed: Any = (0, 0), training: bool = False, condition: Any = None
    ) -> Terms:
        """Return the unreduced numbers of a forward pass, see `Terms`.

        Args:
            x: images [B, H, W, C], uint8 or float in [0, 1].
            samples: draws of z per image; None: as many as in training.
            seed: an int or a pair of ints.
            training: whether noise is that of training (dequantisation, labels withheld at random).
            condition: label, beta or kappa, one number or [B]; for parts of images, the images [B, H, W, C]. None:
                labels are not known, beta and kappa are drawn, images are x itself.

        Raises:
            DataError: images of another shape or dtype.
        """
        samples = self.samples if samples is None else check_count("samples", samples, 1)
        x = self.prepare_pixels(x, fold_in(seed, PassStream.PIXELS), dequantize=training and self.dequantize)
        values, context = None, None
        if self.condition is None:
            conditions.make_context(None, condition, None)  # refuses one
        else:
            given = self.condition.values_from_images(x) if condition is None else condition
            values = self.condition.resolve_values(given, tf.shape(x)[0], fold_in(seed, PassStream.CONDITION), training)
            context = self.condition.to_context(values)
        q = self.arch.infer(x, samples, fold_in(seed, PassStream.POSTERIOR), context)
        log_pz = self.prior.distribution(self.arch.encode).log_prob(q.z)
        mean = self.likelihood.loc(q.decoder_outputs)
        return Terms(
            log_px=self.likelihood.log_prob(q.decoder_outputs, x, training=training),
            log_pz=log_pz,
            log_qz=q.log_qz,
            kl=self.prior.kl(q, log_pz),
            sq_err=tf.reduce_sum(tf.square(x - mean), axis=[-3, -2, -1]),
            x=x,
            mean=mean,
            z=q.z,
            q_mean=q.mean,
            q_log_stddev=q.log_stddev,
            condition=values,
        )

    def encode(self, x: Any, condition: Any = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mean and stddev of q(z|x), each [B, L], of images x [B, H, W, C] (uint8 or float in [0, 1])."""
        x = self.prepare_pixels(x, (0, 0))
        context = conditions.make_context(self.condition, condition, tf.shape(x)[0], x)
        mean, log_stddev = self.arch.encode(x, context)
        return mean, tf.exp(log_stddev)

    def decode(self, z: Any, condition: Any = None) -> tf.Tensor:
        """Return the mean images g(z), [..., H, W, C] in [0, 1], of codes z [..., L].

        Args:
            z: codes.
            condition: one number, or one for each z [n, L]; None: not known, or the middle of the range.
        """
        z = to_codes(z, self.arch.latent)
        context = conditions.make_context(self.condition, condition, tf.shape(z)[-2])
        return self.likelihood.mean(self.arch.generate(z, context))

    def sample(self, n: Any, seed: Any = (0, 0), temperature: Any = 1.0, condition: Any = None) -> tf.Tensor:
        """Return n mean images g(z) of z ~ p(z), [n, H, W, C] in [0, 1].

        Args:
            n: how many.
            seed: an int or a pair of ints.
            temperature: times the deviations of z from the prior's centre.
            condition: as for `decode`.
        """
        n, temperature = check_count("n", n, 0, self.image_shape), check_number("temperature", temperature)
        z = self.prior.sample(n, random_streams.as_seed(seed), self.arch.encode)
        return self.decode(temperature * z, condition)

    def reconstruct(self, x: Any, seed: Any = (0, 0), condition: Any = None) -> tf.Tensor:
        """Return g(z) of one draw z ~ q(z|x), [B, H, W, C] in [0, 1], of images x [B, H, W, C]."""
        x = self.prepare_pixels(x, fold_in(seed, PassStream.PIXELS))
        context = conditions.make_context(self.condition, condition, tf.shape(x)[0], x)
        q = self.arch.infer(x, 1, fold_in(seed, PassStream.POSTERIOR), context)
        return self.likelihood.mean(q.decoder_outputs)[0]

    def call(self, x: Any, training: bool = False) -> tf.Tensor:
        """Return reconstructions as `reconstruct` does, from the mean of q(z|x)."""
        return self.decode(self.encode(x)[0])

    def kl_per_dimension(self, x: Any) -> tf.Tensor:
        """Return KL(q(z_d|x) || N(0, 1)) averaged over images x [B, H, W, C], [L], nats."""
        mean, stddev = self.encode(x)
        return 0.5 * tf.reduce_mean(compute_twice_normal_kl_by_dimension(mean, tf.math.log(stddev)), axis=0)

    def prepare_pixels(self, x: Any, seed: Any, dequantize: bool = False) -> tf.Tensor:
        """Turn images as the data set gives them into float32 pixels in [0, 1]; floats and bits are taken as they are.

        Raises:
            DataError: another shape than the model's, or numbers that are neither bytes nor floats.
        """
        x = to_images(x, self.image_shape, self.likelihood.is_bounded)
        grey = tf.cast(x, tf.float32)
        if x.dtype != tf.uint8:
            return grey
        if self.binarize == "dynamic":
            return tf.cast(random_streams.uniform(tf.shape(x), seed, axis=0) < grey / 255.0, tf.float32)
        if dequantize:
            return (grey + random_streams.uniform(tf.shape(x), seed, axis=0)) / 256.0
        return grey / 255.0

    def summary(self, *args: Any, print_fn: Callable[[str], object] | None = None, **options: Any) -> None:
        """Print the parts of the model with their shapes and the numbers of their parameters.

        Args:
            *args, **options: those of Keras' `summary`; with any of them its own table is printed.
            print_fn: called with the text; None: `print`.
        """
        if args or options:
            super().summary(*args, print_fn=print_fn, **options)
        else:
            (print_fn or print)(format_summary(self))

    def __repr__(self) -> str:
        parts = ", ".join(f"{name}={type(getattr(self, name)).__name__}" for name in PARTS)
        return f"<{type(self).__name__}: {parts}, image_shape={self.image_shape}, latent={self.arch.latent}>"

    # --- Keras' files ------------------------------------------------------------------------------------------

    def get_config(self) -> dict[str, Any]:
        """Return every constructor argument, parts as their specs, so that ``.keras`` files rebuild the model.

        Raises:
            UsageError: a part that was given as an object and cannot be saved.
        """
        names = [*COMMON_OPTIONS, *specs.list_keyword_options(type(self))]
        return {
            **{name: serialize_part(part) for name, part in self._part_specs.items()},
            **{name: getattr(self, f"{name}_spec", getattr(self, name, None)) for name in names},
        }

    def save(self, filepath: Any, *args: Any, **options: Any) -> None:
        """Write a ``.keras`` file, as Keras' `save`.

        Raises:
            UsageError: a part that was given as an object and cannot be saved; a file that exists stays as it is.
        """
        self.get_config()
        super().save(filepath, *args, **options)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> VAE:
        """Rebuild a model from `get_config`; options by their names of version 0.1.0 are understood."""
        parts = {name: deserialize_part(config[name]) for name in PARTS if name in config}
        for name, part in parts.items():
            parts[name] = part_sources.translate_spec(name, part, {}) if isinstance(part, str) else part
        return cls(**specs.translate_options(cls, config | parts, is_old_file=True))
