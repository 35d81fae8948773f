"""Measuring trained models. `evaluate` is the door; each number is made by a pure function."""

from tfvae.evaluate.groups import evaluate
from tfvae.evaluate.scores import score

__all__ = ["evaluate", "score"]
