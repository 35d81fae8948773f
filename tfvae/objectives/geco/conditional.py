"""GECO for every kappa of a range in one model: the multiplier is a function of kappa that is learnt, too."""

import tensorflow as tf

from tfvae.distributions.terms import mean_over_samples
from tfvae.errors import UsageError
from tfvae.objectives.registry import GECO

KNOT_COUNT = 9


class KappaConditionedGECO(GECO):
    """min KL subject to |x - g(z, kappa)| <= kappa for each kappa that the model is told, log-uniform in a range.

    log lambda(kappa) is linear between knots, equally spaced in log kappa. Each knot has a controller of its own,
    which sees the violations near it: those of images whose kappa lies between its neighbours, weighted by how near.
    """

    supported_conditions = ("kappa",)

    def __init__(self, *parts, constraints="", **context):
        if constraints:
            raise UsageError(f"Expected no constraints with condition=kappa:LOW-HIGH. Received: {constraints!r}.")
        super().__init__(*parts, **context)
        self.constraints = []  # no single one

    def targets(self):
        ratio = self.condition.high / self.condition.low
        self.knots = [self.condition.low * ratio ** (i / (KNOT_COUNT - 1)) for i in range(KNOT_COUNT)]
        return [(kappa**2, True) for kappa in self.knots]

    def knot_weights(self, kappa):
        """[B] -> [B, KNOTS], the weights of linear interpolation in log kappa; they sum to 1."""
        place = 0.5 * (self.condition.to_context(kappa) + 1.0) * (KNOT_COUNT - 1)  # [B, 1] in [0, KNOTS - 1]
        return tf.nn.relu(1.0 - tf.abs(place - tf.range(KNOT_COUNT, dtype=tf.float32)))

    def multiplier_at(self, kappa):
        """lambda(kappa), [B]."""
        return tf.exp(tf.linalg.matvec(self.knot_weights(kappa), tf.math.log(self.multipliers.values)))

    def violation(self, terms):
        """|x - g(z)|^2 - kappa^2 of each image, [B]."""
        return mean_over_samples(terms.sq_err) - tf.square(terms.condition)

    def objective(self, terms):
        return terms.kl + self.multiplier_at(terms.condition) * self.violation(terms)

    def constraint_stats(self, terms):
        shares, violation = self.knot_weights(terms.condition), self.violation(terms)
        return {
            "violations": tf.linalg.matvec(shares, violation, transpose_a=True),
            "weights": tf.reduce_sum(shares, 0),
        }

    def adapt(self, constraint_stats):
        # A knot without an image near it in this batch sees 0 / 0, and its average stays.
        self.multipliers.update(constraint_stats["violations"] / constraint_stats["weights"], self.scales)

    def metric_columns(self, terms):
        relative = self.violation(terms) / tf.square(terms.condition)
        return super(GECO, self).metric_columns(terms) | {"constraint": relative}

    def state_logs(self):
        """The middle of log lambda, and the mean of the averages, as shares of kappa^2."""
        return {
            "lambda": tf.exp(tf.reduce_mean(tf.math.log(self.multipliers.values))),
            "constraint_ma": tf.reduce_mean(self.multipliers.average / self.scales),
        }
