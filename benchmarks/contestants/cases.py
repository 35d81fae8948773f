"""What every contestant gets: a network, a batch size and so many images an epoch. Nothing heavy is imported.

A new case is one line in `CASES`. A new kind of network is a kind in `Case.layers` and `Case.arch`, and its ops in the
contestants that build it; the others are left out of its table (see ``kinds`` in ``__init__.py``).
"""

import time
from typing import NamedTuple

import numpy as np

SIDE = 28
PIXELS = SIDE * SIDE


class Layer(NamedTuple):
    """A layer with weights; images are padded so that sides are halved, doubled or kept."""

    op: str  # dense; down or up: a convolution or a transposed one of stride 2; same: a convolution of stride 1
    inputs: int
    outputs: int
    side: int = 1  # of the smaller of its two images
    kernel: int = 1

    @property
    def products(self):
        """Return the multiplications for one image."""
        return self.inputs * self.outputs * (self.side * self.kernel) ** 2


class Case(NamedTuple):
    """One network and how it is trained."""

    kind: str  # mlp, conv or convdraw
    widths: tuple  # units, or channels of the halvings; convdraw: (hidden,)
    latent: int
    batch: int
    images: int = 60_000  # an epoch, the first of Fashion-MNIST's training split
    hidden: int = 256  # conv: units between the convolutions and z
    kernel: int = 4  # conv, convdraw: side of the filters
    steps: int = 1  # convdraw: how often its core runs

    @property
    def arch(self):
        """Return tfvae's spec of the network."""
        if self.kind == "convdraw":
            options = f"steps={self.steps},hidden={self.widths[0]},latent={self.latent},kernel={self.kernel}"
            return f"convdraw:{options}"
        widths = "-".join(map(str, self.widths))
        conv = f",hidden={self.hidden},kernel={self.kernel}" if self.kind == "conv" else ""
        return f"{self.kind}:widths={widths},latent={self.latent}{conv}"

    @property
    def layers(self):
        """Return encoder and decoder, lists of `Layer` with ReLU between them; of ConvDraw: stem and core."""
        if self.kind == "convdraw":
            return self.stem, self.core
        if self.kind == "mlp":
            down = [PIXELS, *self.widths, 2 * self.latent]
            up = [self.latent, *reversed(self.widths), PIXELS]
            return build_dense_layers(down), build_dense_layers(up)
        sides = [SIDE // 2 ** (i + 1) for i in range(len(self.widths))]
        flat = sides[-1] ** 2 * self.widths[-1]
        channels = zip([1, *self.widths], self.widths, sides)
        back = zip([self.widths[-1], *reversed(self.widths)], reversed(self.widths), reversed(sides))
        encoder = [Layer("down", a, b, side, self.kernel) for a, b, side in channels]
        decoder = [Layer("up", a, b, side, self.kernel) for a, b, side in back]
        encoder += build_dense_layers([flat, self.hidden, 2 * self.latent])
        return encoder, [
            *build_dense_layers([self.latent, self.hidden, flat]),
            *decoder,
            Layer("same", self.widths[0], 1, SIDE, 3),
        ]

    @property
    def stem(self):
        """Return what ConvDraw's encoder does with x once: two halvings, and their share of the gates."""
        hidden, half = self.widths[0], (self.widths[0] + 1) // 2
        side = SIDE // 4
        halvings = [Layer("down", 1, half, 2 * side, self.kernel), Layer("down", half, hidden, side, self.kernel)]
        return [*halvings, Layer("same", hidden, 4 * hidden, side, self.kernel)]

    @property
    def core(self):
        """Return ConvDraw's convolutions of one step: encode, decode, posterior, prior, write."""
        hidden, latent, patch, side = self.widths[0], self.latent, 16, SIDE // 4
        sizes = [(patch + 2 * hidden, 4 * hidden), (latent + patch + hidden, 4 * hidden), *[(hidden, 2 * latent)] * 2]
        same = [Layer("same", inputs, outputs, side, self.kernel) for inputs, outputs in sizes]
        return [*same, Layer("same", hidden, patch, side, 3)]

    @property
    def calls(self):
        """Return every layer as often as a forward pass runs it."""
        first, second = self.layers
        return first + second * self.steps

    @property
    def flops(self):
        """Return the operations of a training step's matrix products and convolutions, 2 for a multiply-add.

        Each layer takes part three times, forward and for the gradients of its input and its weights; the first
        needs no gradient of its input.
        """
        sizes = [2 * self.batch * layer.products for layer in self.calls]
        return 3 * sum(sizes) - sizes[0]


def build_dense_layers(sizes):
    """Return a stack of dense layers of these sizes."""
    return [Layer("dense", a, b) for a, b in zip(sizes[:-1], sizes[1:])]


CASES = {
    "mlp-32": Case("mlp", (512, 256), 32, 128),
    "mlp-200": Case("mlp", (512, 256), 200, 128),
    "mlp-200-large-batch": Case("mlp", (512, 256), 200, 2000),
    "conv": Case("conv", (32, 64), 32, 128, images=12_800),
    "convdraw": Case("convdraw", (32,), 2, 64, images=3_200, kernel=3, steps=8),
}


def permute_epochs(case, epochs):
    """Yield a permutation for each epoch, whole batches only: int64 [steps, batch]."""
    for epoch in range(epochs):
        order = np.random.default_rng([0, epoch]).permutation(case.images)
        yield order[: case.images // case.batch * case.batch].reshape(-1, case.batch)


def load_images(path, case):
    """Return the images of an epoch, uint8 [N, 28, 28, 1]."""
    with np.load(path) as archive:
        return archive["x_train"][: case.images]


def time_call(work):
    """Return the seconds of a call, and its result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def measure_rates(draw, batch, calls):
    """Return images/s of each of `calls` groups of calls of `draw` that last about 0.2 s, after the compilation."""
    draw()
    count = int(max(1, 0.2 / time_call(draw)[0]))
    return [batch * count / time_call(lambda: [draw() for _ in range(count)])[0] for _ in range(calls)]


def describe_epoch(seconds, loss, parameters):
    """Return a contestant's result of an epoch; `loss` is the mean over the epoch of |x - g(z)|^2 / 2 + KL."""
    return {"seconds": float(seconds), "loss": float(loss), "parameters": int(parameters)}
