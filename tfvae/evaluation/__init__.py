"""Measures trained models: `evaluate` returns all metrics of a run; each number is made by a pure function.

One file holds one family of metrics; `metrics` is the registry of their names, units and definitions.
It may import export, training and what is below them.
"""

from tfvae.evaluation.bounds import score_images
from tfvae.evaluation.evaluator import evaluate
from tfvae.evaluation.metrics import EVALUATION_VERSION

__all__ = ["EVALUATION_VERSION", "evaluate", "score_images"]
