"""The contract of an architecture, and all that diagonal-Gaussian ones share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from tfvae.architectures.conditioning import ConditionedNetwork, check_conditioning
from tfvae.distributions.terms import compute_normal_log_prob
from tfvae.errors import UsageError, describe_unknown
from tfvae.option_values import LARGEST_INTEGER, check_counts, parse_number
from tfvae.runtime import random_streams
from tfvae.runtime.saveable_parts import SaveablePart

# stddev lies in [exp(-8), exp(8)]: the KL stays finite in float32 whatever the encoder says (variances of 1e-7 to 1e7),
# and tanh's slope never vanishes as a hard clip's would.
LOG_STDDEV_LIMIT = 8.0


class InferenceResult(NamedTuple):
    """What `infer` returns for B images and K samples."""

    mean: tf.Tensor  # [B, L], or [K, B, L] where it depends on earlier draws (`is_hierarchical`)
    log_stddev: tf.Tensor  # as mean
    z: tf.Tensor  # [K, B, L]
    log_qz: tf.Tensor  # [K, B]
    decoder_outputs: tf.Tensor  # [K, B, H, W, P]


class GaussianArchitecture(SaveablePart):
    """q(z|x) = N(mean(x), diag stddev(x)^2) and a decoder of z; a subclass gives the two networks.

    Args:
        latent: L, the number of latent dimensions.
        context_width: D, of the context vector that encoder and decoder see too; 0: none.
        context_map_shape: (H, W, C) if that vector is an image, which convolutions see as one.
        conditioning: how they see it: ``concat`` joins it to x and z, ``film`` scales and shifts hidden activations,
            ``mr`` gates them.
        image_shape: (H, W, C).
        output_channels: P, decoder outputs per pixel position, as the likelihood wants.
        seed: seed of the initial weights.
        dtype: the Keras dtype policy of the networks; what they return is float32.

    Example:
        >>> class Linear(GaussianArchitecture):  # used as --arch my_package.Linear:latent=8
        ...     def __init__(self, **common):
        ...         super().__init__(**common)
        ...         (height, width, _), outputs = self.image_shape, self.output_channels
        ...         encoder = [keras.layers.Flatten(), self.make_dense(2 * self.latent)]
        ...         reshape = keras.layers.Reshape((height, width, outputs))
        ...         decoder = [self.make_dense(height * width * outputs), reshape]
        ...         self.encoder = self.make_network(self.image_shape, encoder)
        ...         self.decoder = self.make_network((self.latent,), decoder)
    """

    option_ineffective_with: dict[str, dict[str, tuple[Any, ...]]] = {"conditioning": {"condition": (None,)}}
    preferred_mode = "kernels"  # on a CPU, where XLA's convolutions are slower than TensorFlow's
    is_hierarchical = False  # whether q(z|x) is a product of conditionals, each of which depends on the draws before
    has_normal_posterior = True  # whether q(z|x) is one normal: of a product, where it has one factor
    draws_in_steps = False  # whether `decode_canvases` gives the picture after each step

    def __init__(
        self,
        *,
        latent: int = 32,
        context_width: int = 0,
        context_map_shape: tuple[int, ...] = (),
        conditioning: str = "concat",
        image_shape: tuple[int, ...],
        output_channels: int,
        seed: int,
        dtype: str,
    ) -> None:
        super().__init__(name="arch", dtype=dtype)
        check_counts(latent=latent)
        check_conditioning(context_width, conditioning)
        self.context_width, self.context_map_shape = int(context_width), tuple(context_map_shape)
        self.conditioning = conditioning
        self.latent, self.image_shape, self.output_channels = int(latent), tuple(image_shape), output_channels
        self._seeds = iter(range(1000 * seed, 1000 * seed + 1000))

    def make_initializer(
        self, kind: type[keras.initializers.Initializer] = keras.initializers.GlorotUniform
    ) -> keras.initializers.Initializer:
        """Return a weight initializer with the next seed of this model: the order of calls decides the weights."""
        return kind(seed=next(self._seeds))

    def make_dense(self, units: int, activation: str | None = None) -> keras.layers.Dense:
        """Return a dense layer with the next seed of this model."""
        return keras.layers.Dense(
            units, activation, kernel_initializer=self.make_initializer(), dtype=self.dtype_policy
        )

    def make_network(
        self, input_shape: tuple[int, ...], layers: Sequence[keras.layers.Layer]
    ) -> keras.Sequential | ConditionedNetwork:
        """Return the layers in a row, built at once so that weights exist before the first batch.

        Args:
            input_shape: of x or z, without the batch and without the context.
            layers: from input to output.
        """
        *shape, channels = input_shape
        context_channels = 0  # that are joined to the input
        if self.conditioning == "concat":
            as_maps = shape and self.context_map_shape
            context_channels = self.context_map_shape[-1] if as_maps else self.context_width
        network = keras.Sequential([keras.Input((*shape, channels + context_channels)), *layers])
        if self.context_width and not context_channels:
            return ConditionedNetwork(network, self.conditioning, self.context_width, self.make_initializer)
        return network

    def apply_network(
        self, network: keras.Sequential | ConditionedNetwork, x: tf.Tensor, context: tf.Tensor | None
    ) -> tf.Tensor:
        """Return the float32 output of `network` for x [N, ..., M] and the context [N, D]."""
        if self.context_width and self.conditioning == "concat":
            maps = tf.reshape(context, [-1, *[1] * (x.shape.rank - 2), self.context_width])
            if self.context_map_shape and x.shape.rank == 4:
                maps = tf.reshape(context, [-1, *self.context_map_shape])
            maps = tf.broadcast_to(maps, tf.concat([tf.shape(x)[:-1], maps.shape[-1:]], 0))
            x = tf.concat([x, maps], axis=-1)
        elif self.context_width:
            return tf.cast(network.apply(x, context), tf.float32)
        return tf.cast(network(x), tf.float32)

    def broadcast_context(self, context: tf.Tensor | None, lead: tf.Tensor) -> tf.Tensor | None:
        """Return the context [..., D] repeated for the leading axes `lead` of samples: [prod(lead), D], or None.

        Raises:
            UsageError: there is a context and the model takes none, or the other way round.
        """
        if (context is None) != (self.context_width == 0):
            width = self.context_width
            expected = f"a context [..., {width}]" if width else "no context, as the model has no condition"
            received = "none" if context is None else tuple(context.shape)
            raise UsageError(f"Expected {expected}. Received: {received}.")
        if context is None:
            return None
        shape = tf.concat([lead, [self.context_width]], axis=0)
        return tf.reshape(tf.broadcast_to(tf.cast(context, tf.float32), shape), [-1, self.context_width])

    def encode(self, x: tf.Tensor, context: tf.Tensor | None = None) -> tuple[tf.Tensor, tf.Tensor]:
        """Return mean and log stddev of q(z|x), each [B, L].

        Args:
            x: images [B, H, W, C] in [0, 1].
            context: [B, D], or [D] for all images; None where the model takes none.
        """
        return split_mean_and_log_stddev(
            self.apply_network(self.encoder, x, self.broadcast_context(context, tf.shape(x)[:1]))
        )

    def generate(self, z: tf.Tensor, context: tf.Tensor | None = None) -> tf.Tensor:
        """Return the decoder outputs [..., H, W, P], float32.

        Args:
            z: [..., L].
            context: [B, D] for the last leading axis of z, or [D] for all; None where the model takes none.
        """
        lead = tf.shape(z)[:-1]
        outputs = self.apply_network(
            self.decoder, tf.reshape(z, [-1, self.latent]), self.broadcast_context(context, lead)
        )
        return tf.reshape(outputs, tf.concat([lead, (*self.image_shape[:2], self.output_channels)], axis=0))

    def infer(self, x: tf.Tensor, samples: int, seed: tf.Tensor, context: tf.Tensor | None = None) -> InferenceResult:
        """Return `samples` draws z ~ q(z|x) for each image, with their densities and decoder outputs.

        Args:
            x: images [B, H, W, C] in [0, 1].
            samples: K.
            seed: a pair of int32.
            context: [B, D], or [D] for all images; None where the model takes none.
        """
        mean, log_stddev = self.encode(x, context)
        noise = random_streams.normal(tf.concat([[samples], tf.shape(mean)], axis=0), seed, axis=1)
        z = mean + tf.exp(log_stddev) * noise  # [K, B, L]
        log_qz = compute_normal_log_prob(z, mean, log_stddev)
        return InferenceResult(mean, log_stddev, z, log_qz, self.generate(z, context))


def split_mean_and_log_stddev(raw: tf.Tensor, limit: float = LOG_STDDEV_LIMIT) -> tuple[tf.Tensor, tf.Tensor]:
    """Split [..., 2 M] and return the mean, and log stddev soft-clipped to [-limit, limit], each [..., M]."""
    mean, raw = tf.split(raw, 2, axis=-1)
    return mean, limit * tf.tanh(raw / limit)


def check_activation(name: str) -> str:
    """Return the name of an activation that Keras knows and that keeps shapes, unlike ``glu``.

    Raises:
        UsageError: Keras has none of this name, or it changes shapes.
    """
    try:
        shape = keras.activations.get(name)(tf.zeros([1, 2])).shape
    except (ValueError, TypeError, AttributeError):
        shape = None
    if shape != (1, 2):
        choices = ("relu", "elu", "gelu", "silu", "softplus", "tanh", "sigmoid", "leaky_relu", "linear")
        raise UsageError(describe_unknown("activation", name, choices))
    return name


def parse_widths(text: str | int | None) -> list[Any]:
    """Return '512-256' as the whole numbers [512, 256], and None as [].

    Raises:
        UsageError: the text is no such list of positive numbers.
    """
    if text is None:
        return []
    numbers = [parse_number(part) for part in str(text).split("-")]
    if not all(isinstance(number, int) and 1 <= number <= LARGEST_INTEGER for number in numbers):
        raise UsageError(f"Expected widths as positive numbers joined by '-', such as 512-256. Received: {text!r}.")
    return numbers
