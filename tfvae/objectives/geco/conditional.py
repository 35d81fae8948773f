"""GECO for every kappa of a range in one model: the multiplier is a function of kappa that is learnt, too."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.distributions.terms import Terms, average_over_samples
from tfvae.errors import UsageError
from tfvae.models.conditions import RangeCondition
from tfvae.objectives.geco.geco import GECO
from tfvae.objectives.geco.water_filling import find_linear_optimum

KNOT_COUNT = 9


class KappaConditionedGECO(GECO):
    """min KL subject to |x - g(z, kappa)| <= kappa for each kappa of a range, drawn log-uniformly in training.

    log lambda(kappa) is linear between knots, equally spaced in log kappa. Each knot has a controller of its own,
    which sees the violations near it: those of images whose kappa lies between its neighbours, weighted by how near.
    """

    supported_conditions = ("kappa",)
    condition: RangeCondition

    def __init__(
        self,
        *parts: Any,
        kappa: float | str | None = None,
        kl: float | None = None,
        constraints: str | None = None,
        **context: Any,
    ) -> None:
        if constraints or kl is not None:
            received = f"constraints={constraints!r}" if constraints else f"kl={kl}"
            raise UsageError(f"Expected no other constraint with condition=kappa:LOW-HIGH. Received: {received}.")
        if kappa not in (None, self.implied_defaults["kappa"]):  # the default stands in files of version 0.1.0
            raise UsageError(
                f"Expected no kappa with condition=kappa:LOW-HIGH, which names them all. Received: {kappa}."
            )
        super().__init__(*parts, **context)
        self.constraints = []  # no single one

    def multiplier_targets(self) -> list[tuple[float, bool]]:
        """Return the squared kappa of each knot: each multiplier limits the pixels' error near one."""
        ratio = self.condition.high / self.condition.low
        self.knots = [self.condition.low * ratio ** (i / (KNOT_COUNT - 1)) for i in range(KNOT_COUNT)]
        return [(kappa**2, True) for kappa in self.knots]

    def starting_multipliers(self, spectrum: np.ndarray, contrast: float) -> list[float]:
        """Return where lambda starts at each knot, see `GECO.starting_multipliers`."""
        return [0.5 * find_linear_optimum(spectrum, kappa**2)[0] for kappa in self.knots]

    def knot_weights(self, kappa: tf.Tensor) -> tf.Tensor:
        """Return the weights of linear interpolation in log kappa, [B, knots], of kappa [B]; they sum to 1."""
        position = 0.5 * (self.condition.to_context(kappa) + 1.0) * (KNOT_COUNT - 1)  # [B, 1] in [0, knots - 1]
        return tf.nn.relu(1.0 - tf.abs(position - tf.range(KNOT_COUNT, dtype=tf.float32)))

    def multiplier_at(self, kappa: tf.Tensor) -> tf.Tensor:
        """Return lambda(kappa), [B]."""
        return tf.exp(tf.linalg.matvec(self.knot_weights(kappa), tf.math.log(self.multipliers.values)))

    def violation(self, terms: Terms) -> tf.Tensor:
        """Return |x - g(z)|^2 - kappa^2 of each image, [B]."""
        return average_over_samples(terms.sq_err) - tf.square(terms.condition)

    def objective(self, terms: Terms) -> tf.Tensor:
        """Return the Lagrangian of each image, [B], nats per image."""
        return terms.kl + self.multiplier_at(terms.condition) * self.violation(terms)

    def constraint_stats(self, terms: Terms) -> dict[str, tf.Tensor]:
        """Return the weighted violations and the weights near each knot, [knots] each."""
        weights, violation = self.knot_weights(terms.condition), self.violation(terms)
        return {
            "violations": tf.linalg.matvec(weights, violation, transpose_a=True),
            "weights": tf.reduce_sum(weights, 0),
        }

    def adapt(self, constraint_stats: dict[str, tf.Tensor]) -> None:
        """Move the multipliers; a knot without an image near it in this batch sees 0 / 0, and its average stays."""
        self.multipliers.update(constraint_stats["violations"] / constraint_stats["weights"], self.scales)

    def metric_columns(self, terms: Terms) -> dict[str, tf.Tensor]:
        """Return the columns of every objective, and the violation as a share of kappa^2, [B]."""
        relative = self.violation(terms) / tf.square(terms.condition)
        return super(GECO, self).metric_columns(terms) | {"constraint": relative}

    def state_logs(self) -> dict[str, tf.Tensor]:
        """Return the middle of log lambda, and the means of averages and forecasts, as shares of kappa^2."""
        columns = {
            "lambda": tf.exp(tf.reduce_mean(tf.math.log(self.multipliers.values))),
            "constraint_ma": tf.reduce_mean(self.multipliers.average / self.scales),
        }
        forecast = self.multipliers.forecast()
        if forecast is not None:
            mean, stddev = forecast
            columns |= {"constraint_at_end": tf.reduce_mean(mean), "constraint_at_end_stddev": tf.reduce_mean(stddev)}
        return columns
