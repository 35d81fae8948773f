"""VAE: what every objective shares. A subclass says what it minimises; nothing else."""

import contextlib
import functools

import keras
import tensorflow as tf

from tfvae import specs
from tfvae.architectures import ARCHITECTURES
from tfvae.config import BINARIZE, PRECISIONS
from tfvae.distributions.likelihoods import LIKELIHOODS
from tfvae.distributions.priors import PRIORS
from tfvae.distributions.terms import Terms, elbo, mean_over_samples, twice_normal_kl_by_dimension
from tfvae.errors import DataError, UsageError, describe_unknown
from tfvae.models import conditions
from tfvae.runtime import random_streams, replicas
from tfvae.runtime.optimizers import GuardedAdam, unwrap_optimizer

# Streams of randomness below a model's seed; each use folds in its own number, so no two ever share a draw.
TRAIN, EVALUATE = 1, 2
PIXELS, POSTERIOR, OWN, CONDITION = 0, 1, 2, 3

# What every objective reports, means over images, in nats per image (sq_err: squared pixel units).
METRIC_NAMES = ("loss", "elbo", "rate", "distortion", "sq_err")


def sum_all(values):
    """The sum of all numbers, finite only if each is; by columns first, which XLA on a CPU does in one pass."""
    return tf.reduce_sum(tf.reduce_sum(tf.cast(values, tf.float32), axis=list(range(len(values.shape) - 1))))


class VAE(keras.Model):
    """x -> q(z|x) -> z -> p(x|z), and one training step for all objectives.

    Args:
        arch, likelihood, prior: specs, ``mlp:latent=32``; likelihood ``auto``: bernoulli for binary data, or gaussian.
        image_shape: (H, W, C).
        seed: of weights and noise.
        l2: loss += l2 * sum of squared kernels.
        binarize: ``dynamic`` draws each pixel as Bernoulli(grey level) in every step; ``static``: it is so already.
        dequantize: train on (x + u) / 256 with u uniform in [0, 1) instead of x / 255.
        precision: ``float32``, ``bfloat16`` or ``float16`` of the networks; densities and KL are float32 always.
        samples: draws of z per image in training (the L of Kingma & Welling, 2014, eq. 7); IWAE and its kin set it.
        condition: what the model is told beside the image, see `tfvae.models.conditions`: ``labels``, ``beta:0.1-10``, ...
        classes: how many labels there are.

    Raises:
        UsageError: an unknown part or option, or a value out of range.
    """

    supported_conditions = ("labels", "upsample", "inpaint")  # what an objective can be conditioned on

    def __init_subclass__(cls, **kwargs):
        """Make every objective, a user's own too, known to Keras' loader."""
        super().__init_subclass__(**kwargs)
        keras.saving.register_keras_serializable("tfvae")(cls)

    def __init__(self, arch="mlp", likelihood="auto", prior="normal", image_shape=(28, 28, 1), seed=0, l2=0.0,
                 binarize="none", dequantize=False, precision="float32", samples=1, condition="", classes=0,
                 **kwargs):  # fmt: skip
        if precision not in PRECISIONS:
            raise UsageError(describe_unknown("precision", precision, PRECISIONS))
        if binarize not in BINARIZE:
            raise UsageError(describe_unknown("binarize", binarize, BINARIZE))
        if not samples >= 1:
            raise UsageError(f"Expected samples >= 1. Received: samples={samples}.")
        policy = precision if precision == "float32" else "mixed_" + precision
        super().__init__(dtype=policy, **kwargs)
        if likelihood == "auto":
            likelihood = "gaussian" if binarize == "none" else "bernoulli"
        self.image_shape, self.seed, self.l2 = tuple(image_shape), int(seed), float(l2)
        self.binarize, self.dequantize, self.precision, self.samples = binarize, dequantize, precision, int(samples)
        self.likelihood = specs.build_part("likelihood", LIKELIHOODS, likelihood, image_shape=self.image_shape)
        context = {"image_shape": self.image_shape, "seed": self.seed}
        self.condition = conditions.parse_condition(condition, classes, self.supported_conditions, self.image_shape)
        if self.condition and str(prior).startswith("vamp"):
            raise UsageError("Expected a prior other than vamp, whose pseudo-inputs have no condition.")
        of_arch = {"output_channels": self.likelihood.output_channels, "dtype": policy, **context}
        of_arch |= {"context": self.condition.width, "context_maps": self.condition.map_shape} if self.condition else {}
        self.arch = specs.build_part("arch", ARCHITECTURES, arch, **of_arch)
        self.prior = specs.build_part("prior", PRIORS, prior, latent=self.arch.latent, **context)
        self._parts = {"arch": arch, "likelihood": likelihood, "prior": prior}
        self.condition_spec, self.classes = condition, int(classes)
        self.step = self.add_weight(name="step", shape=(), dtype="int32", initializer="zeros", trainable=False)
        self.built = True  # every part made its weights in its constructor
        self._trackers = [keras.metrics.Mean(name=name) for name in METRIC_NAMES]

    # --- what a user calls -------------------------------------------------------------------------------------

    def terms(self, x, samples=None, seed=(0, 0), training=False, condition=None):
        """The unreduced numbers of `Terms` for images x [B, H, W, C] (uint8, or float in [0, 1]).

        Args:
            condition: label, beta or kappa, one number or [B]; without it labels are not known, others are drawn. Of
                images that are shown in part, the images [B, H, W, C]; without them, x.
        """
        x = self.prepare_pixels(x, random_streams.fold_in(seed, PIXELS), dequantize=training and self.dequantize)
        if self.condition and condition is None:
            condition = self.condition.values_from_images(x)
        told = self.condition and self.condition.resolve_values(
            condition, tf.shape(x)[0], random_streams.fold_in(seed, CONDITION), training
        )
        q = self.arch.infer(
            x,
            samples or self.samples,
            random_streams.fold_in(seed, POSTERIOR),
            conditions.make_context_of_values(self.condition, told),
        )
        log_pz = self.prior.distribution(self.arch.encode).log_prob(q.z)
        mean = self.likelihood.loc(q.decoder_outputs)
        return Terms(
            log_px=self.likelihood.log_prob(q.decoder_outputs, x, training=training),
            log_pz=log_pz,
            log_qz=q.log_qz,
            kl=self.prior.kl(q, log_pz),
            sq_err=tf.reduce_sum(tf.square(x - mean), axis=[-3, -2, -1]),
            x=x,
            mean=mean,
            z=q.z,
            q_mean=q.mean,
            q_log_stddev=q.log_stddev,
            condition=told,
        )

    def encode(self, x, condition=None):
        """Images -> mean and stddev of q(z|x), each [B, L]."""
        x = self.prepare_pixels(x, (0, 0))
        mean, log_stddev = self.arch.encode(x, conditions.make_context(self.condition, condition, tf.shape(x)[0], x))
        return mean, tf.exp(log_stddev)

    def decode(self, z, condition=None):
        """z [..., L] -> mean images [..., H, W, C] in [0, 1]; condition: one number, or one for each z [n, L]."""
        return self.likelihood.mean(
            self.arch.generate(z, conditions.make_context(self.condition, condition, tf.shape(z)[-2]))
        )

    def sample(self, n, seed=(0, 0), temperature=1.0, condition=None):
        """n mean images g(z) of z ~ p(z) (deviations from its centre times `temperature`), [n, H, W, C]."""
        return self.decode(
            temperature * self.prior.sample(n, random_streams.as_seed(seed), self.arch.encode), condition
        )

    def reconstruct(self, x, seed=(0, 0), condition=None):
        """g(z) of one draw z ~ q(z|x), [B, H, W, C] in [0, 1]."""
        x = self.prepare_pixels(x, random_streams.fold_in(seed, PIXELS))
        context = conditions.make_context(self.condition, condition, tf.shape(x)[0], x)
        return self.likelihood.mean(
            self.arch.infer(x, 1, random_streams.fold_in(seed, POSTERIOR), context).decoder_outputs
        )[0]

    def call(self, x, training=False):
        """As `reconstruct`, from the mean of q(z|x)."""
        return self.decode(self.encode(x)[0])

    # --- what a subclass says ----------------------------------------------------------------------------------

    def objective(self, terms):
        """The loss, [B], nats per image."""
        raise NotImplementedError(f"{type(self).__name__} must define objective(terms) -> [B]")

    def loss_weight(self, terms):
        """Each image's weight in the gradient, [B] or 1, where losses of images differ in scale by design."""
        return 1.0

    def on_train_begin(self, steps):
        """Hear how many steps the training has, before it is compiled."""

    def constraint_stats(self, terms):
        """What `adapt` goes by: means over the images of the batch, which replicas average before they adapt."""
        return {}

    def adapt(self, constraint_stats):
        """Move what is not trained by gradients (multipliers); called once per training step, never in validation."""

    def state_logs(self):
        """{column: scalar} of the state that `adapt` moves."""
        return {}

    # --- the one training step ---------------------------------------------------------------------------------

    def prepare_pixels(self, x, seed, dequantize=False):
        """Images as the dataset gives them -> float32 pixels in [0, 1]; floats are taken as they are."""
        if x.shape[1:] != self.image_shape:
            raise DataError(f"Expected images of shape {self.image_shape}. Received: {tuple(x.shape[1:])}.")
        grey = tf.cast(x, tf.float32)
        if x.dtype != tf.uint8:
            if not tf.as_dtype(x.dtype).is_floating:
                raise DataError(f"Expected uint8 images, or floats in [0, 1]. Received: {x.dtype}.")
            return grey
        if self.binarize == "dynamic":
            return tf.cast(random_streams.uniform(tf.shape(x), seed, axis=0) < grey / 255.0, tf.float32)
        if dequantize:
            return (grey + random_streams.uniform(tf.shape(x), seed, axis=0)) / 256.0
        return grey / 255.0

    def metric_columns(self, terms):
        """{column: [B]}: the numbers every objective reports alike."""
        return {
            "elbo": elbo(terms),
            "rate": terms.kl,
            "distortion": -mean_over_samples(terms.log_px),
            "sq_err": mean_over_samples(terms.sq_err),
        }

    def weight_penalty(self):
        """The weight penalty of seed 002: l2 * sum of squared kernels (biases go free)."""
        kernels = [v for v in self.trainable_variables if v.path.rpartition("/")[2] == "kernel"]
        return self.l2 * tf.add_n([tf.reduce_sum(tf.square(tf.cast(v, tf.float32))) for v in kernels])

    def compute_gradients(self, x, labels=None):
        """One forward and backward pass: -> (logs {column: [B]}, constraint_stats, gradients, whether all is finite).

        Each replica's gradient is its share of the batch's, so that their sum is the gradient of the whole batch.
        """
        seed = random_streams.fold_in(random_streams.fold_in((self.seed, 0), TRAIN), self.step)
        variables = self.trainable_variables
        with tf.GradientTape() as tape:
            terms = self.terms(x, seed=seed, training=True, **self.condition_kwargs(labels))
            loss = self.objective(terms)
            total = tf.reduce_mean(loss * self.loss_weight(terms))  # the one reduction over the batch
            if self.l2:
                total += self.weight_penalty()
            scaled = self.optimizer.scale_loss(total)  # a no-op unless float16
        gradients = tape.gradient(scaled, variables, unconnected_gradients=tf.UnconnectedGradients.ZERO)
        sound = tf.math.is_finite(total)
        if self.precision != "float16":  # whose loss scale meets infinities by itself, and shrinks
            sound &= tf.math.is_finite(tf.add_n([sum_all(g) for g in gradients]))
        # A weight that is NaN may pass unseen: outside of XLA, relu(NaN) is 0 on a CPU.
        sound &= tf.math.is_finite(tf.add_n([sum_all(v.value) for v in variables]))
        mse = tf.reduce_mean(terms.sq_err) / tf.size(x[0], out_type=tf.float32)
        constraint_stats = {"mse": mse, **self.constraint_stats(terms)}
        return {"loss": loss, **self.metric_columns(terms)}, constraint_stats, gradients, sound

    def condition_kwargs(self, labels):
        """The labels of a batch as an argument of `terms`, if this model wants to see them."""
        wanted = labels is not None and self.condition is not None and self.condition.name == "labels"
        return {"condition": labels} if wanted else {}

    def optimize(self, x, labels=None):
        """One optimisation step on images x: -> ({column: [B]}, the loss first; whether the step counted, bool).

        A step whose loss or gradients are not finite leaves every variable but the step number as it was, and its
        columns are 0. The choice is made by ``where`` inside the program: XLA drops asserts.
        """
        if not self.optimizer.built:
            with tf.init_scope():
                self.optimizer.build(self.trainable_variables)
        if replicas.count_replicas() > 1:
            logs, constraint_stats, gradients, sound = replicas.gather_gradients(self, x, labels)
        else:
            logs, constraint_stats, gradients, sound = self.compute_gradients(x, labels)
        with self.rollback_unless(sound):
            self.optimizer.apply(gradients, self.trainable_variables)
            self.likelihood.adapt(constraint_stats.pop("mse"))
            self.adapt(constraint_stats)
        self.step.assign_add(1)
        return {name: tf.where(sound, value, tf.zeros_like(value)) for name, value in logs.items()}, sound

    @contextlib.contextmanager
    def rollback_unless(self, sound):
        """Undo what the block assigns to any variable if `sound` is False; `GuardedAdam` sees to the big ones itself."""
        optimizer = unwrap_optimizer(self.optimizer)
        guarded = isinstance(optimizer, GuardedAdam)
        others = {id(v) for v in ([self.step, *optimizer.guarded_variables()] if guarded else [self.step])}
        variables = [v for v in (*self.variables, *self.optimizer.variables) if id(v) not in others]
        before = [tf.identity(tf.convert_to_tensor(v)) for v in variables]
        with optimizer.only_if(sound) if guarded else contextlib.nullcontext():
            yield
        for variable, old in zip(variables, before):
            variable.assign(tf.where(sound, tf.convert_to_tensor(variable), old))

    def evaluate_batch(self, x, index=0, labels=None):
        """The columns of `optimize` without learning; batch `index` of an evaluation has noise of its own."""
        seed = random_streams.fold_in(random_streams.fold_in((self.seed, 0), EVALUATE), index)
        terms = self.terms(x, seed=seed, **self.condition_kwargs(labels))
        return {"loss": self.objective(terms), **self.metric_columns(terms)}

    # --- Keras -------------------------------------------------------------------------------------------------

    def update_trackers(self, logs, sound=True):
        for tracker in self._trackers:
            values = logs[tracker.name]  # vectors [B], so that a short last batch weighs less
            tracker.update_state(values, sample_weight=tf.cast(sound, tf.float32) * tf.ones_like(values))
        return {tracker.name: tracker.result() for tracker in self._trackers} | self.state_logs()

    def train_step(self, data):
        x, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self.update_trackers(*self.optimize(x, labels))

    def test_step(self, data):
        x, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        seen = tf.cast(self._trackers[0].count, tf.int32)  # so that each batch has noise of its own
        logs = self.evaluate_batch(x, seen, labels)
        return self.update_trackers(replicas.gather_columns(logs) if replicas.count_replicas() > 1 else logs)

    @functools.cached_property
    def replica_gradients(self):
        """See `replicas.compiled_share`."""
        return replicas.compile_replica_gradients(self)

    def make_train_function(self, force=False):
        self.train_function = self._make_keras_function("train", force)

    def make_test_function(self, force=False):
        self.test_function = self._make_keras_function("test", force)

    def _make_keras_function(self, kind, force):
        function, step = getattr(self, f"{kind}_function"), getattr(self, f"{kind}_step")
        if function is not None and not force:
            return function
        if self.distribute_strategy.num_replicas_in_sync > 1:
            return replicas.make_keras_function(self.distribute_strategy, step, self.steps_per_execution)
        return self._make_function(step)

    def get_config(self):
        """Every constructor argument, parts as their specs, so that ``.keras`` files rebuild the model."""
        ordinary = (
            "image_shape",
            "seed",
            "l2",
            "binarize",
            "dequantize",
            "precision",
            "samples",
            "condition",
            "classes",
        )
        own = {name: getattr(self, name) for name in specs.list_keyword_options(type(self))}
        return {**self._parts, **{name: getattr(self, name) for name in ordinary}, **own}

    def kl_per_dimension(self, x):
        """KL of each latent dimension from N(0, 1), mean over x, [L]: what 'active units' counts."""
        mean, stddev = self.encode(x)
        return 0.5 * tf.reduce_mean(twice_normal_kl_by_dimension(mean, tf.math.log(stddev)), axis=0)
