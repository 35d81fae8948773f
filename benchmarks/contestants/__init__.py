"""The contestants of the speed benchmarks: each does the same work on the same bytes in its own process.

``python -m contestants TASK NAME CASE PATH option=number ...`` prints JSON. Tasks: ``train`` a VAE (loss
|x - g(z)|^2 / 2 + KL, sigmoid output, Glorot weights, Adam 1e-3, float32, a new permutation each epoch); ``nll`` of
images, with given weights; ``sample`` images from the prior.
"""

from typing import NamedTuple


class Contestant(NamedTuple):
    """A contestant: the function named like the task in ``module``, called with (case, path, **options)."""

    module: str
    peer: bool = True  # lives in the peers' environment, not in tfvae's
    kinds: tuple = ("mlp", "conv", "convdraw")  # of networks that it builds
    options: dict = {}


TASKS = {
    "train": {
        "tfvae": Contestant("tfvae_", peer=False),
        "keras fit": Contestant("keras_", peer=False),
        "pytorch eager": Contestant("torch_", options={"compiled": False}),
        "pytorch compiled": Contestant("torch_", options={"compiled": True}),
        "jax scan": Contestant("jax_", kinds=("mlp",)),
        "pythae": Contestant("pythae_", kinds=("mlp", "conv")),
    },
    "nll": {
        "tfvae": Contestant("tfvae_", peer=False),
        "pythae": Contestant("pythae_"),
    },
    "sample": {
        "tfvae": Contestant("tfvae_", peer=False),
        "pytorch eager": Contestant("torch_", options={"compiled": False}),
        "pytorch compiled": Contestant("torch_", options={"compiled": True}),
        "jax jit": Contestant("jax_", kinds=("mlp", "conv")),
    },
}
