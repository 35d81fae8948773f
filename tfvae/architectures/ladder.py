"""A ladder of latent maps, coarse to fine: bottom-up features, top-down drawing (Sonderby et al., 2016).

The posterior of a level is told relative to its prior, as in NVAE (Vahdat & Kautz, 2020): its network gives mean and
log stddev of eps_t itself (see `tfvae.architectures.hierarchical`), so that zero outputs are the prior and cost no nats.
"""

import math

import keras
import tensorflow as tf

from tfvae.architectures.base import mean_and_log_stddev
from tfvae.architectures.conv import Residual
from tfvae.architectures.hierarchical import (
    LOG_STDDEV_BOUND,
    SMALL,
    Hierarchy,
    StepLayers,
    check_counts,
    repeat_for_samples,
)


class Ladder(Hierarchy):
    """A hierarchy of latent maps [H/2^l, W/2^l], each drawn given the coarser ones; any H and W.

    Args:
        levels: how many maps; each halves the sides of the one below, rounded up.
        hidden: channels of the features.
        latent: channels of each map.
        blocks: residual blocks of each level, on the way up and on the way down.
        kernel: side of the filters.
        vector: latents of a first group that belongs to no place; 0: none.
    """

    def __init__(self, *, levels=3, hidden=32, latent=4, blocks=1, kernel=3, vector=0, **common):
        check_counts(levels=levels, hidden=hidden, latent=latent, blocks=blocks, kernel=kernel)
        height, width, channels = common["image_shape"]
        sides = [(-(-height // 2**i), -(-width // 2**i)) for i in range(int(levels) + 1)]  # finest first
        groups = [(*side, int(latent)) for side in reversed(sides[1:])]
        super().__init__(groups=groups, vector=vector, kernel=kernel, **common)
        self.sides, self.hidden, self.blocks = sides, int(hidden), int(blocks)
        inputs = [channels] + [self.hidden] * (int(levels) - 1)
        outputs = [self.output_channels] + inputs[1:]
        self.rungs = [self.rung(*ends, int(latent)) for ends in zip(inputs, outputs)]  # finest first
        shape = (*sides[-1], self.hidden)
        self.top = self.add_weight(name="top", shape=shape, initializer="zeros", autocast=False)
        self.whole = self.global_latent(math.prod(shape), shape)

    def rung(self, inputs, outputs, latent):
        """The layers of one level, which takes `inputs` channels from below and gives `outputs` back."""
        hidden = self.hidden
        return StepLayers(
            down=self.conv(hidden, inputs, strides=2),
            rise=self.residuals(),
            prior=self.conv(2 * latent, hidden),
            compare=self.conv(hidden, 2 * hidden),
            posterior=self.conv(2 * latent, hidden, init=SMALL),
            merge=self.conv(hidden, latent, kernel=1),
            fall=self.residuals(),
            up=self.conv(4 * outputs, hidden),
            sites={"down": self.site(hidden), "merge": self.site(hidden)} if self.context else {},
        )

    def residuals(self):
        return keras.Sequential(
            [
                keras.Input((None, None, self.hidden)),
                *(
                    Residual([self.conv(self.hidden, self.hidden) for _ in range(2)], "silu", dtype=self.dtype_policy)
                    for _ in range(self.blocks)
                ),
            ]
        )

    def decode(self, sample_group, count, context):
        h = tf.tile(self.top[None], [count, 1, 1, 1])
        if self.whole is not None:
            h += self.whole.spread(sample_group, count, context)
        for t, rung in enumerate(reversed(self.rungs)):
            mean, log_stddev = mean_and_log_stddev(rung.apply_layer("prior", tf.nn.silu(h)), LOG_STDDEV_BOUND)
            z = mean + tf.exp(log_stddev) * sample_group(t + self.first, h)
            h = rung.apply_layer("fall", h + rung.apply_layer("merge", z, context))
            height, width = self.sides[-2 - t]
            h = tf.nn.depth_to_space(rung.apply_layer("up", tf.nn.silu(h)), 2)[:, :height, :width]
        return h

    def posterior(self, x, samples, context):
        features, h = [], repeat_for_samples(x, samples) if self.context else x
        for rung in self.rungs:
            h = rung.apply_layer("rise", rung.apply_layer("down", h, context))
            features.append(h if self.context else repeat_for_samples(h, samples))

        def q(t, state):
            if t < self.first:
                return self.whole.q(features[-1], context)
            level = self.first - 1 - t
            rung = self.rungs[level]
            both = tf.concat([features[level], state], axis=-1)
            raw = rung.apply_layer("posterior", tf.nn.silu(rung.apply_layer("compare", both)))
            return mean_and_log_stddev(raw, LOG_STDDEV_BOUND)

        return q
