"""The objectives: Terms -> loss [B], nats per image. Each class says only what differs from `VAE`."""

import math

import tensorflow as tf

from tfvae.distributions.divergences import mmd2, total_correlation
from tfvae.distributions.terms import elbo, importance_weighted_bound, log_weights, mean_over_samples, normal_log_prob
from tfvae.errors import UsageError
from tfvae.models.vae import OWN, VAE
from tfvae.objectives.geco.constraints import mean_violations, parse_constraints, stack_violations
from tfvae.objectives.geco.controllers import Multipliers
from tfvae.runtime import random_streams


def check_option(good, name, rule, value):
    if not good:
        raise UsageError(f"Expected {name} {rule}. Received: {name}={value}.")


class ELBO(VAE):
    """The evidence lower bound: KL(q||p) - E log p(x|z) (Kingma & Welling, 2014)."""

    def objective(self, terms):
        return -elbo(terms)


class BetaVAE(VAE):
    """beta * KL - E log p(x|z), with warm-up, cycles, or a capacity (Higgins et al., 2017; Burgess et al., 2018).

    Args:
        beta: weight of the KL, >= 0; 1 is the ELBO.
        warmup: steps over which beta (or the capacity) grows linearly from 0; 0: none.
        cycle: steps of one cycle: the first half grows, the second stays, then anew (Fu et al., 2019); 0: off.
        capacity: C in nats: beta * |KL - C| instead of beta * KL (Burgess et al., 2018, eq. 8); 0: off.
    """

    def __init__(self, *parts, beta=1.0, warmup=0, cycle=0, capacity=0.0, **context):
        for name, value in (("beta", beta), ("warmup", warmup), ("cycle", cycle), ("capacity", capacity)):
            check_option(value >= 0, name, ">= 0", value)
        super().__init__(*parts, **context)
        self.beta, self.warmup, self.cycle, self.capacity = beta, warmup, cycle, capacity

    supported_conditions = (*VAE.supported_conditions, "beta")

    def ramp(self):
        """Share of the final weight at this step, in [0, 1]."""
        step = tf.cast(self.step, tf.float32)
        share = tf.ones([])
        if self.warmup:
            share = tf.minimum(step / self.warmup, 1.0)
        if self.cycle:
            share *= tf.minimum(2.0 * tf.math.floormod(step, float(self.cycle)) / self.cycle, 1.0)
        return share

    def objective(self, terms):
        if self.capacity:
            return self.weight(terms) * tf.abs(terms.kl - self.capacity * self.ramp()) - mean_over_samples(terms.log_px)
        return self.weight(terms) * self.ramp() * terms.kl - mean_over_samples(terms.log_px)

    def loss_weight(self, terms):
        """1 / sqrt(beta) where beta is told: the same optimum at each, and no end of the range rules the step."""
        told = self.condition and self.condition.name == "beta"
        return tf.sqrt(self.condition.default_values(1) / terms.condition) if told else 1.0

    def weight(self, terms):
        """beta, or each image's own where it is the condition."""
        return terms.condition if self.condition and self.condition.name == "beta" else self.beta


class SigmaVAE(BetaVAE):
    """The ELBO with a calibrated Gaussian (Rybkin et al., 2021): beta is decoupled from sigma (seed 003).

    Its likelihood is ``gaussian:sigma=optimal`` unless another is asked for; sigma follows the error, not beta.
    """


class GECO(VAE):
    """min KL subject to constraints, by multipliers that find the trade-off (Rezende & Viola, 2018).

    loss = KL + sum_j lambda_j C_j; with a bound on the KL among the constraints, -E log p(x|z) takes KL's place.
    The gradient is that of the batch's C, the multipliers follow its moving average.

    Args:
        kappa: the accepted error |x - g(z)| (root of the sum over pixels in [0, 1]); the constraint ``re<=kappa``.
        constraints: instead of kappa, ``re<=4;kl<=20`` and the like (see `tfvae.objectives.geco.constraints`), or callables in Python.
        controller: ``log``, ``pi``, ``paper`` or ``softplus2`` (see `tfvae.objectives.geco.controllers`).
        rate, gain: of the controller; 0: its default.
        decay: of the moving average.
        lam: lambda at the start.
        warmup: steps during which lambda stays at ``lam``.
    """

    def __init__(self, *parts, kappa=4.0, constraints="", controller="pi", rate=0.0, gain=0.0, decay=0.99, lam=1.0,
                 warmup=0, **context):  # fmt: skip
        check_option(kappa > 0, "kappa", "> 0", kappa)
        super().__init__(*parts, **context)
        self.kappa, self.constraints, self.controller, self.rate = kappa, constraints, controller, rate
        self.gain, self.decay, self.lam, self.warmup = gain, decay, lam, warmup
        self.constraints = parse_constraints(constraints or f"re<={kappa}")
        self.rate_side = any(bound.rate_side for bound in self.constraints)
        half = 0.5 * math.prod(self.image_shape)
        targets = self.targets()
        ceilings = [half / scale if of_pixels else math.inf for scale, of_pixels in targets]
        self.scales = [scale for scale, _ in targets]
        self.multipliers = Multipliers(len(targets), controller, rate, gain, decay, lam, warmup, ceilings)

    def targets(self):
        """(scale, whether it bounds the pixel error) of what each multiplier sees to."""
        return [(bound.scale, bound.pixel_error) for bound in self.constraints]

    def lagrangian(self, terms):
        """sum_j lambda_j C_j, [K, B]."""
        return tf.tensordot(self.multipliers.values, stack_violations(self.constraints, terms), axes=1)

    def weighted_violations(self, terms):
        """The violations as the loss averages them over K, [J, K, B]."""
        return stack_violations(self.constraints, terms)

    def objective(self, terms):
        base = -mean_over_samples(terms.log_px) if self.rate_side else terms.kl
        return base + mean_over_samples(self.lagrangian(terms))

    def on_train_begin(self, steps):
        self.multipliers.on_train_begin(steps)

    def constraint_stats(self, terms):
        return {"violations": mean_violations(self.weighted_violations(terms))}

    def adapt(self, constraint_stats):
        self.multipliers.update(constraint_stats["violations"], self.scales)

    def metric_columns(self, terms):
        means = tf.reduce_mean(self.weighted_violations(terms), axis=1)  # [J, B]
        return super().metric_columns(terms) | {name: means[j] for j, name in enumerate(self.columns("constraint"))}

    def columns(self, stem):
        """'constraint', 'constraint_2', ...: one name a constraint, in their order."""
        return [stem] + [f"{stem}_{j}" for j in range(2, len(self.constraints) + 1)]

    def state_logs(self):
        names = self.columns("lambda") + self.columns("constraint_ma")
        values = tf.concat([self.multipliers.values, self.multipliers.average], axis=0)
        return {name: values[j] for j, name in enumerate(names)}


class IWAE(VAE):
    """-log mean_k w_k, the importance-weighted bound (Burda et al., 2016); k=1 is the ELBO's one-sample estimate.

    Args:
        k: samples of z per image, >= 1.
        gradient: ``standard``; ``stl`` drops the score of q (Roeder et al., 2017); ``dreg`` is doubly
            reparametrised (Tucker et al., 2019), whose signal does not fade as k grows.
    """

    def __init__(self, *parts, k=5, gradient="standard", **context):
        check_option(k >= 1, "k", ">= 1", k)
        check_option(gradient in ("standard", "stl", "dreg"), "gradient", "standard, stl or dreg", gradient)
        super().__init__(*parts, **context)
        rule = "standard with an architecture that draws z in steps"  # q's parameters carry z's path there
        check_option(gradient == "standard" or not self.arch.is_hierarchical, "gradient", rule, gradient)
        self.k, self.gradient, self.samples = int(k), gradient, int(k)

    def terms(self, x, samples=None, seed=(0, 0), training=False, **told):
        if self.gradient != "dreg" or not training:
            return super().terms(x, samples, seed, training, **told)
        with tf.GradientTape() as tape:
            terms = super().terms(x, samples, seed, training, **told)
            log_w = self.log_w(terms)
        return terms._replace(extra=tape.gradient(log_w, terms.z))  # d log w_k / d z_k, [K, B, L]

    def log_w(self, terms):
        """log w [K, B]; ``stl`` and ``dreg`` keep z's path through q but stop that through q's parameters."""
        if self.gradient == "standard":
            return log_weights(terms)
        mean, log_stddev = tf.stop_gradient(terms.q_mean), tf.stop_gradient(terms.q_log_stddev)
        return log_weights(terms._replace(log_qz=normal_log_prob(terms.z, mean, log_stddev)))

    def bound(self, terms, log_w):
        """The bound that is raised, [B]."""
        return importance_weighted_bound(log_w)

    def objective(self, terms):
        log_w = self.log_w(terms)
        loss = -self.bound(terms, log_w)
        if terms.extra is None:
            return loss
        # dreg: z's path wants weight w~^2, the decoder's wants w~; add what z lacks, with value 0.
        share = tf.stop_gradient(tf.nn.softmax(log_w, axis=0))
        pull = tf.stop_gradient((share**2 - share)[..., None] * terms.extra)
        return loss - tf.reduce_sum(pull * (terms.z - tf.stop_gradient(terms.z)), axis=[0, 2])


class MIWAE(IWAE):
    """mean over m groups of the k-sample bound (Rainforth et al., 2018): tighter than ELBO, steadier than IWAE.

    Args:
        m: groups, >= 1; m * k samples in all.
    """

    def __init__(self, *parts, m=5, k=5, gradient="standard", **context):
        check_option(m >= 1, "m", ">= 1", m)
        check_option(gradient != "dreg", "gradient", "standard or stl for miwae", gradient)
        super().__init__(*parts, k=k, gradient=gradient, **context)
        self.m, self.samples = int(m), int(m) * int(k)

    def bound(self, terms, log_w):
        if (log_w.shape[0] or self.m) % self.m:
            raise UsageError(f"Expected samples in {self.m} equal groups. Received: samples={log_w.shape[0]}.")
        groups = tf.reshape(log_w, [self.m, -1, tf.shape(log_w)[1]])
        return mean_over_samples(
            tf.reduce_logsumexp(groups, axis=1) - tf.math.log(tf.cast(tf.shape(groups)[1], tf.float32))
        )


class CIWAE(IWAE):
    """beta * ELBO + (1 - beta) * IWAE_k (Rainforth et al., 2018).

    Args:
        beta: share of the ELBO, in [0, 1].
    """

    def __init__(self, *parts, beta=0.5, k=5, gradient="standard", **context):
        check_option(0 <= beta <= 1, "beta", "in [0, 1]", beta)
        check_option(gradient != "dreg", "gradient", "standard or stl for ciwae", gradient)
        super().__init__(*parts, k=k, gradient=gradient, **context)
        self.beta = beta

    def bound(self, terms, log_w):
        return self.beta * mean_over_samples(log_w) + (1.0 - self.beta) * importance_weighted_bound(log_w)


class GECOIWAE(GECO):
    """GECO under the importance-weighted posterior q~, which puts weight w~_i = w_i / sum w on sample i.

    loss = KL(q~ || p) + lambda E_q~ C = -L_k + sum_i w~_i log p(x|z_i) + lambda sum_i w~_i C(x, g(z_i)),
    because L_k = E_q~ log p(x|z) - KL(q~ || p). Seed 001's slides have signs and 1/k wrong. The gradient flows
    through w~ too: it is part of q~. k=1 is GECO, with its KL in closed form.

    Args:
        k: samples of z per image, >= 1.
        stop_weights: True treats w~ as constants.
    """

    def __init__(self, *parts, k=5, stop_weights=False, **context):
        check_option(k >= 1, "k", ">= 1", k)
        super().__init__(*parts, **context)
        self.k, self.stop_weights, self.samples = int(k), stop_weights, int(k)

    def importance_weights(self, terms):
        """w~ [K, B]: sums to 1 over K."""
        share = tf.nn.softmax(log_weights(terms), axis=0)
        return tf.stop_gradient(share) if self.stop_weights else share

    def objective(self, terms):
        if terms.log_px.shape[0] == 1:
            return super().objective(terms)
        share = self.importance_weights(terms)
        distortion = -tf.reduce_sum(share * terms.log_px, axis=0)
        base = distortion if self.rate_side else -importance_weighted_bound(log_weights(terms)) - distortion
        return base + tf.reduce_sum(share * self.lagrangian(terms), axis=0)

    def weighted_violations(self, terms):
        samples = tf.cast(tf.shape(terms.log_px)[0], tf.float32)
        return (
            samples * self.importance_weights(terms) * super().weighted_violations(terms)
        )  # the weights have mean 1 over K


class TCVAE(VAE):
    """KL + (beta - 1) * TC: the total correlation of q(z) weighs beta, the rest of the KL 1 (Chen et al., 2018).

    TC = E log q(z) - sum_d E log q(z_d), with q(z) the mean of q(z|x_j) over the batch (their eq. 5 with constants
    that do not move the gradient left out), so that its value is that of the batch as a whole data set.

    Args:
        beta: weight of the total correlation, >= 0; 1 is the ELBO.
    """

    def __init__(self, *parts, beta=6.0, **context):
        check_option(beta >= 0, "beta", ">= 0", beta)
        super().__init__(*parts, **context)
        name = self.arch.__class__.__name__  # q(z_i|x_j) for all i, j costs B more passes where z is drawn in steps
        check_option(
            not self.arch.is_hierarchical, "arch", "that draws all of z at once, for the total correlation", name
        )
        self.beta = beta

    def objective(self, terms):
        return -elbo(terms) + (self.beta - 1.0) * total_correlation(terms)


class InfoVAE(VAE):
    """-E log p(x|z) + (1 - alpha) KL + mmd * MMD^2(q(z), p(z)) (Zhao et al., 2019, with a Gaussian kernel).

    Args:
        alpha: weight of the mutual information, <= 1; 1 leaves MMD alone to match the prior.
        mmd: weight of MMD^2, >= 0, nats.
        bandwidth: kernel width; 0 takes sqrt(L), the scale of distances under N(0, I).
    """

    def __init__(self, *parts, alpha=0.0, mmd=100.0, bandwidth=0.0, **context):
        check_option(alpha <= 1, "alpha", "<= 1", alpha)
        check_option(mmd >= 0, "mmd", ">= 0", mmd)
        check_option(bandwidth >= 0, "bandwidth", ">= 0", bandwidth)
        super().__init__(*parts, **context)
        self.alpha, self.mmd, self.bandwidth = alpha, mmd, bandwidth

    def terms(self, x, samples=None, seed=(0, 0), **told):
        terms = super().terms(x, samples, seed, **told)
        of_prior = self.prior.sample(tf.shape(terms.kl)[0], random_streams.fold_in(seed, OWN), self.arch.encode)
        return terms._replace(extra=of_prior)

    def objective(self, terms):
        width = self.bandwidth or math.sqrt(terms.z.shape[-1])
        distance = mmd2(terms.z[0], terms.extra, width)
        return -mean_over_samples(terms.log_px) + (1.0 - self.alpha) * terms.kl + self.mmd * distance


OBJECTIVES = {
    "elbo": ELBO,
    "beta": BetaVAE,
    "sigma": SigmaVAE,
    "geco": GECO,
    "iwae": IWAE,
    "miwae": MIWAE,
    "ciwae": CIWAE,
    "geco-iwae": GECOIWAE,
    "tc": TCVAE,
    "info": InfoVAE,
}
