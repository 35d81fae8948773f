"""A value for each option of a part and each setting of a run, to be tried beside all others."""

from __future__ import annotations

from typing import Any

# What a training is that has no options: small, and whole in every setting.
BASE: dict[str, Any] = {"dataset": "digits", "limit": 48, "batch_size": 16, "epochs": 2, "arch": "mlp"}
# A value that differs from the default, or from that of the small parts, for each option and setting.
SETTINGS: dict[str, tuple[Any, ...]] = {
    "dataset": ("gaussians:images=200",),
    "condition": ("labels", "upsample:2", "inpaint:left", "beta:0.5-2", "kappa:1-3"),
    "epochs": (1,),
    "batch_size": (8,),
    "learning_rate": (0.01,),
    "schedule": ("cosine",),
    "learning_rate_warmup": (2, 1000),
    "clip_norm": (0.01,),
    "ema": (0.5,),
    "samples": (3,),
    "l2": (0.01,),
    "seed": (3,),
    "binarize": ("static", "dynamic"),
    "dequantize": (True,),
    "validation": (0.3,),
    "limit": (40, 10**6),
    "precision": ("bfloat16", "float16"),
    "xla": ("off", "on"),
    "feed": ("streamed", "resident"),
    "raw_dir": ("/no/such/folder",),
    "bad_files": ("skip",),
}
# What no training on one device shows, and why it is left to other tests.
ELSEWHERE = {
    "objective": "each is a group of its own",
    "likelihood": "likewise",
    "arch": "likewise",
    "prior": "likewise",
    "strategy": "n replicas learn what one device would: tests/training/test_scaleout.py",
    "replicas": "refused without a strategy",
}
OPTIONS: dict[str, tuple[Any, ...]] = {
    # of objectives
    "beta": (0.7, 0.0),
    "warmup": (2, 1000),
    "cycle": (4, 1000),
    "capacity": (1.5,),
    "kappa": (1.5, "0.2rms"),
    "kl": (2.0,),
    "constraints": ("kl<=2", "rmse<=0.2"),
    "controller": ("pi", "log", "softplus2"),
    "multiplier_learning_rate": (0.05, 0.0),
    "proportional_gain": (2.0, 0.0),
    "decay": (0.5,),
    "initial_multiplier": (3.0,),
    "k": (3, 1),
    "m": (2, 1),
    "gradient": ("stl", "dreg"),
    "stop_weights": (True,),
    "alpha": (0.5,),
    "mmd": (7.0, 0.0),
    "bandwidth": (0.5,),
    # of likelihoods
    "sigma": (0.5, "shared", "per-image", "per-pixel"),
    "link": ("linear",),
    "scale": ("shared",),
    # of priors, and of logistic-mixture
    "components": (4,),
    # of architectures
    "widths": ("6-5", None),
    "latent": (4,),
    "activation": ("tanh",),
    "conditioning": ("film", "mr"),
    "hidden": (5,),
    "kernel": (5,),
    "blocks": (3,),
    "steps": (3, 1),
    "shared": (False,),
    "vector": (2,),
    "relative": (True,),
    "levels": (1,),
}
