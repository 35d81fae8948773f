"""Measuring trained models. `evaluate` is the door; each number is made by a pure function."""

from tfvae.evaluation.bounds import score
from tfvae.evaluation.metric_groups import evaluate

__all__ = ["evaluate", "score"]
