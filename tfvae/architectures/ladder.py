"""A ladder of latent maps, coarse to fine: encoder maps bottom-up, drawing top-down (Sonderby et al., 2016).

The posterior of a level is relative to its prior, as in NVAE (Vahdat & Kautz, 2020): its network gives mean and log
stddev of eps_t itself (see `tfvae.architectures.hierarchical`), so that zero outputs are the prior and cost no nats.
"""

from __future__ import annotations

import math
from typing import Any

import keras
import tensorflow as tf

from tfvae.architectures.base import split_mean_and_log_stddev
from tfvae.architectures.conv import Residual
from tfvae.architectures.hierarchical import (
    LOG_STDDEV_LIMIT,
    GroupPosterior,
    GroupSampler,
    HierarchicalArchitecture,
    SmallInitializer,
    StepLayers,
    repeat_for_samples,
)
from tfvae.architectures.legacy_names import make_legacy_name
from tfvae.option_values import check_counts


class Ladder(HierarchicalArchitecture):
    """A hierarchy of latent maps [H/2^l, W/2^l], each drawn given the coarser ones; any H and W.

    Args:
        levels: how many maps; each halves the sides of the one below, rounded up.
        hidden: channels of the hidden maps.
        latent: channels of each latent map.
        blocks: residual blocks of each level, in the encoder and in the decoder.
        kernel: side of the filters.
        vector: latents of a first group that is a vector and has no position; 0: none.

    Example:
        >>> tfvae.build("elbo", arch="ladder:levels=3,hidden=64", image_shape=(32, 32, 3))
    """

    rungs = make_legacy_name("step_layers")

    def __init__(
        self,
        *,
        levels: int = 3,
        hidden: int = 32,
        latent: int = 4,
        blocks: int = 1,
        kernel: int = 3,
        vector: int = 0,
        **common: Any,
    ) -> None:
        check_counts(levels=levels, hidden=hidden, latent=latent, blocks=blocks, kernel=kernel)
        height, width, channels = common["image_shape"]
        sides = [(-(-height // 2**i), -(-width // 2**i)) for i in range(int(levels) + 1)]  # finest first
        group_shapes = [(*side, int(latent)) for side in reversed(sides[1:])]
        super().__init__(group_shapes=group_shapes, vector=vector, kernel=kernel, **common)
        self.sides, self.hidden, self.blocks = sides, int(hidden), int(blocks)
        inputs = [channels] + [self.hidden] * (int(levels) - 1)
        outputs = [self.output_channels] + inputs[1:]
        self.step_layers = [self.make_level(*ends, int(latent)) for ends in zip(inputs, outputs)]  # finest first
        shape = (*sides[-1], self.hidden)
        self.top = self.add_weight(name="top", shape=shape, initializer="zeros", autocast=False)
        self.global_latent = self.make_global_latent(math.prod(shape), shape)

    def make_level(self, inputs: int, outputs: int, latent: int) -> StepLayers:
        """Return the layers of one level, which takes `inputs` channels from below and gives `outputs` back."""
        hidden = self.hidden
        # The order is that of the weights' seeds and of their places in checkpoints.
        return StepLayers(
            down=self.make_conv(hidden, inputs, strides=2),
            encoder_blocks=self.make_residuals(),
            prior=self.make_conv(2 * latent, hidden),
            compare=self.make_conv(hidden, 2 * hidden),
            posterior=self.make_conv(2 * latent, hidden, initializer=SmallInitializer),
            merge=self.make_conv(hidden, latent, kernel=1),
            decoder_blocks=self.make_residuals(),
            up=self.make_conv(4 * outputs, hidden),
            conditioning_layers={
                "down": self.make_conditioning_layer(hidden),
                "merge": self.make_conditioning_layer(hidden),
            }
            if self.context_width
            else {},
        )

    def make_residuals(self) -> keras.Sequential:
        """Return residual blocks for maps of any size."""
        return keras.Sequential(
            [
                keras.Input((None, None, self.hidden)),
                *(
                    Residual(
                        [self.make_conv(self.hidden, self.hidden) for _ in range(2)], "silu", dtype=self.dtype_policy
                    )
                    for _ in range(self.blocks)
                ),
            ]
        )

    def decode(self, sample_group: GroupSampler, count: int | tf.Tensor, context: tf.Tensor | None) -> tf.Tensor:
        """Return the decoder outputs [N, H, W, P]; the posterior of a level sees the decoder's map above it."""
        h = tf.tile(self.top[None], [count, 1, 1, 1])
        if self.global_latent is not None:
            h += self.global_latent.draw_map(sample_group, count, context)
        for t, level in enumerate(reversed(self.step_layers)):
            raw = level.apply_layer("prior", tf.nn.silu(h))
            mean, log_stddev = split_mean_and_log_stddev(raw, LOG_STDDEV_LIMIT)
            z = mean + tf.exp(log_stddev) * sample_group(t + self.first_map, h)
            h = level.apply_layer("decoder_blocks", h + level.apply_layer("merge", z, context))
            height, width = self.sides[-2 - t]
            h = tf.nn.depth_to_space(level.apply_layer("up", tf.nn.silu(h)), 2)[:, :height, :width]
        return h

    def make_posterior(self, x: tf.Tensor, samples: int, context: tf.Tensor | None) -> GroupPosterior:
        """Return a function (t, decoder's map) -> mean, log stddev of q(eps_t | eps_<t, x), [samples * B, h, w, c]."""
        encoder_maps = []  # finest first
        h = repeat_for_samples(x, samples) if self.context_width else x
        for level in self.step_layers:
            h = level.apply_layer("encoder_blocks", level.apply_layer("down", h, context))
            encoder_maps.append(h if self.context_width else repeat_for_samples(h, samples))

        def infer_group(t: int, decoder_map: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            if self.global_latent is not None and t < self.first_map:
                return self.global_latent.compute_posterior(encoder_maps[-1], context)
            index = self.first_map - 1 - t
            level = self.step_layers[index]
            both = tf.concat([encoder_maps[index], decoder_map], axis=-1)
            raw = level.apply_layer("posterior", tf.nn.silu(level.apply_layer("compare", both)))
            return split_mean_and_log_stddev(raw, LOG_STDDEV_LIMIT)

        return infer_group
