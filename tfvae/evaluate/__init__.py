"""Measuring trained models. `evaluate` is the door; each number is made by a pure function."""

from tfvae.evaluate.scores import evaluate, score

__all__ = ["evaluate", "score"]
