"""GECO for every kappa of a range in one model: the multiplier is a function of kappa that is learnt, too."""

import tensorflow as tf

from tfvae.distributions.terms import mean_k
from tfvae.errors import UsageError
from tfvae.objectives.registry import GECO

KNOTS = 9


class GECORange(GECO):
    """min KL subject to |x - g(z, kappa)| <= kappa for each kappa that the model is told, log-uniform in a range.

    log lambda(kappa) is linear between knots, equally spaced in log kappa. Each knot has a controller of its own,
    which sees the violations near it: those of images whose kappa lies between its neighbours, weighted by how near.
    """

    tellable = ("kappa",)

    def __init__(self, *parts, constraints="", **context):
        if constraints:
            raise UsageError(f"Expected no constraints with condition=kappa:LOW-HIGH. Received: {constraints!r}.")
        super().__init__(*parts, **context)
        self.bounds = []  # no single one

    def targets(self):
        ratio = self.told.high / self.told.low
        self.knots = [self.told.low * ratio ** (i / (KNOTS - 1)) for i in range(KNOTS)]
        return [(kappa**2, True) for kappa in self.knots]

    def shares(self, kappa):
        """[B] -> [B, KNOTS], the weights of linear interpolation in log kappa; they sum to 1."""
        place = 0.5 * (self.told.vector(kappa) + 1.0) * (KNOTS - 1)  # [B, 1] in [0, KNOTS - 1]
        return tf.nn.relu(1.0 - tf.abs(place - tf.range(KNOTS, dtype=tf.float32)))

    def lambda_of(self, kappa):
        """lambda(kappa), [B]."""
        return tf.exp(tf.linalg.matvec(self.shares(kappa), tf.math.log(self.multipliers.lam)))

    def violation(self, terms):
        """|x - g(z)|^2 - kappa^2 of each image, [B]."""
        return mean_k(terms.sq_err) - tf.square(terms.condition)

    def objective(self, terms):
        return terms.kl + self.lambda_of(terms.condition) * self.violation(terms)

    def signals(self, terms):
        shares, violation = self.shares(terms.condition), self.violation(terms)
        return {
            "violations": tf.linalg.matvec(shares, violation, transpose_a=True),
            "weights": tf.reduce_sum(shares, 0),
        }

    def adapt(self, signals):
        # A knot without an image near it in this batch sees 0 / 0, and its average stays.
        self.multipliers.update(signals["violations"] / signals["weights"], self.scales)

    def measures(self, terms):
        relative = self.violation(terms) / tf.square(terms.condition)
        return super(GECO, self).measures(terms) | {"constraint": relative}

    def state_logs(self):
        """The middle of log lambda, and the mean of the averages, as shares of kappa^2."""
        return {
            "lambda": tf.exp(tf.reduce_mean(tf.math.log(self.multipliers.lam))),
            "constraint_ma": tf.reduce_mean(self.multipliers.average / self.scales),
        }
