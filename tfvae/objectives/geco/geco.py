"""GECO: the least KL subject to constraints, by multipliers that find the trade-off (Rezende & Viola, 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from tfvae.distributions.terms import (
    Terms,
    average_over_samples,
    compute_importance_weighted_bound,
    compute_log_weights,
)
from tfvae.errors import UsageError
from tfvae.models.vae import VAE
from tfvae.objectives.geco.constraints import (
    Constraint,
    mean_sq_err,
    mean_violations,
    ncc,
    parse_constraints,
    parse_kappa,
    save_constraints,
    sq_err,
    stack_violations,
)
from tfvae.objectives.geco.controllers import Multipliers
from tfvae.objectives.geco.water_filling import compute_contrast, compute_spectrum, find_linear_optimum
from tfvae.option_values import check_option


class GECO(VAE):
    """min KL subject to constraints, by multipliers that find the trade-off (Rezende & Viola, 2018, arXiv 1810.00597).

    loss = KL + sum_j lambda_j C_j; with a constraint on the KL among them, -E log p(x|z) takes KL's place.
    The gradient is that of the batch's C, the multipliers follow its moving average.

    Args:
        kappa: the accepted error |x - g(z)|, > 0: the constraint ``re<=kappa``. It is the root of the sum over pixels
            in [0, 1]: 4 for 28 x 28 pixels is 0.143 a pixel, and ``0.143rms`` says that for any size. ``auto``, where
            a run is trained: `choose_kappa` of its images. None: 4, unless constraints or kl are given.
        kl: the accepted KL in nats per image, > 0: the constraint ``kl<=kl``, with which the error is minimised. None:
            no limit.
        constraints: instead of kappa, ``re<=4;kl<=20`` and the like (see `tfvae.objectives.geco.constraints`), or
            callables in Python. None: kappa alone.
        controller: ``forecast`` aims at the violation at the end of the training; ``pi``, ``log``, ``paper`` and
            ``softplus2`` answer the present one (see `tfvae.objectives.geco.controllers`).
        multiplier_learning_rate: step size of log lambda, >= 0. None: the controller's default.
        proportional_gain: of ``pi`` and ``forecast``, >= 0; 0 makes them pure integral ones. None: the default.
        decay: of the moving average, in [0, 1).
        initial_multiplier: lambda at the start, in [1e-6, 1e6]. None: 1; under ``forecast``, where a constraint limits
            the pixels' error, half the lambda of the best linear VAE of the training images.
        warmup: steps during which lambda stays at its initial value, >= 0.

    Example:
        >>> model = tfvae.build("geco:kappa=4", arch="mlp:latent=32")
    """

    option_aliases = {
        "rate": "multiplier_learning_rate",
        "gain": "proportional_gain",
        "lam": "initial_multiplier",
    }
    implied_defaults = {"kappa": 4.0}
    option_units = {"kappa": "rms"}
    option_words = {"kappa": ("auto",)}
    legacy_defaults = {"controller": "pi"}
    legacy_off = {"rate": 0.0, "gain": 0.0, "constraints": ""}
    option_requires = {
        "proportional_gain": {"controller": ("pi", "forecast")},
        "decay": {"controller": ("pi", "log", "paper", "softplus2")},
        "kappa": {"constraints": (None,), "kl": (None,)},
        "kl": {"constraints": (None,)},
    }

    def __init__(
        self,
        *parts: Any,
        kappa: float | str | None = None,
        kl: float | None = None,
        constraints: str | None = None,
        controller: str = "forecast",
        multiplier_learning_rate: float | None = None,
        proportional_gain: float | None = None,
        decay: float = 0.99,
        initial_multiplier: float | None = None,
        warmup: int = 0,
        **context: Any,
    ) -> None:
        check_option(kl is None or kl > 0, "kl", "> 0", kl)
        targets_given = {"kappa": kappa, "kl": kl, "constraints": constraints or None}
        both = [f"{name}={value!r}" for name, value in targets_given.items() if value is not None]
        if len(both) > 1:
            raise UsageError(
                f"Expected kappa, kl or constraints. Received: {' and '.join(both)}. "
                "Write all of them as constraints, such as re<=4;kl<=20."
            )
        super().__init__(*parts, **context)
        self.kappa = parse_kappa(self.implied_defaults["kappa"] if not both else kappa, math.prod(self.image_shape))
        self.kl = kl
        self.constraints_spec, self.controller, self.warmup = constraints, controller, warmup
        self.multiplier_learning_rate, self.proportional_gain = multiplier_learning_rate, proportional_gain
        self.decay, self.initial_multiplier = decay, initial_multiplier
        self.constraints: list[Constraint] = parse_constraints(
            constraints or (f"re<={self.kappa}" if kl is None else f"kl<={kl}")
        )
        self.rate_side = any(constraint.rate_side for constraint in self.constraints)
        half_pixels = 0.5 * math.prod(self.image_shape)
        targets = self.multiplier_targets()
        self.scales = [scale for scale, _ in targets]
        self.multipliers = Multipliers(
            len(targets),
            controller,
            learning_rate=multiplier_learning_rate,
            proportional_gain=proportional_gain,
            decay=decay,
            initial=1.0 if initial_multiplier is None else initial_multiplier,
            warmup=warmup,
            ceilings=[half_pixels / scale if is_pixel_error else math.inf for scale, is_pixel_error in targets],
        )

    def get_config(self) -> dict[str, Any]:
        """Return every constructor argument; see `tfvae.VAE.get_config`.

        Raises:
            UsageError: a constraint's function, or a part, that cannot be saved.
        """
        return super().get_config() | {"constraints": save_constraints(self.constraints_spec)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> VAE:
        """Rebuild a model from `get_config`; files of version 0.1.0 name a kappa beside constraints, without effect."""
        if config.get("constraints"):
            config = {**config, "kappa": None}
        return super().from_config(config, custom_objects)

    def multiplier_targets(self) -> list[tuple[float, bool]]:
        """Return (scale, whether it limits the pixels' error) of what each multiplier sees to."""
        return [(constraint.scale, constraint.pixel_error) for constraint in self.constraints]

    def lagrangian(self, terms: Terms) -> tf.Tensor:
        """Return sum_j lambda_j C_j, [K, B]."""
        return tf.tensordot(self.multipliers.values, stack_violations(self.constraints, terms), axes=1)

    def weighted_violations(self, terms: Terms) -> tf.Tensor:
        """Return the violations as the loss averages them over K, [J, K, B]."""
        return stack_violations(self.constraints, terms)

    def objective(self, terms: Terms) -> tf.Tensor:
        """Return the Lagrangian of each image, [B], nats per image."""
        base = -average_over_samples(terms.log_px) if self.rate_side else terms.kl
        return base + average_over_samples(self.lagrangian(terms))

    def on_train_begin(self, steps: int, learning_rate: Callable[[Any], Any] | None = None) -> None:
        """Let the controller fit its pace to the training."""
        self.multipliers.on_train_begin(steps, learning_rate)

    def calibrate(self, images: np.ndarray) -> None:
        """Start lambda at half that of the best linear VAE of the images, which a deep one needs less of."""
        if self.initial_multiplier is not None or self.controller != "forecast":
            return
        spectrum = compute_spectrum(images)
        if len(spectrum):  # else all images are the same
            self.multipliers.start_at(self.starting_multipliers(spectrum, compute_contrast(images)))

    def starting_multipliers(self, spectrum: np.ndarray, contrast: float) -> list[float]:
        """Return where each lambda starts: at 1, unless the images tell.

        Args:
            spectrum: variances of their principal components.
            contrast: mean squared deviation of an image from its own mean, summed over pixels.
        """
        return [self._starting_multiplier(constraint, spectrum, contrast) for constraint in self.constraints]

    def _starting_multiplier(self, constraint: Constraint, spectrum: np.ndarray, contrast: float) -> float:
        """Return lambda of one constraint: half that of the linear VAE with the squared error E that is its target.

        A quantity that is E / u has the multiplier u lambda_E. Of images of contrast s^2, whose reconstructions leave
        E, the cross-correlation is r = sqrt(1 - E / s^2), so dE = -2 r s^2 dr, and its multiplier is 2 r s^2 lambda_E.
        """
        error, factor = 0.0, 1.0
        if constraint.fn in (sq_err, mean_sq_err):
            factor = math.prod(self.image_shape) if constraint.fn is mean_sq_err else 1.0
            error = factor * constraint.target
        elif constraint.fn is ncc and constraint.target > 0:
            error, factor = (1.0 - constraint.target**2) * contrast, 2.0 * constraint.target * contrast
        return 0.5 * factor * find_linear_optimum(spectrum, error)[0] if error > 0 else 1.0

    def training_notes(self, steps: int) -> list[str]:
        """Say where lambda stays as it began, and where the likelihood's scale does."""
        notes = []
        stays = "lambda stays where it began, so no constraint is enforced, whatever"
        if self.warmup >= steps:
            reason = f"warmup of {self.warmup} steps is not shorter than this training of {steps} steps"
            notes.append(f"{reason}: {stays} multiplier_learning_rate, proportional_gain and decay say.")
        elif not self.multipliers.learning_rate and not self.multipliers.gain:
            notes.append(f"with multiplier_learning_rate=0: {stays} warmup and decay say.")
        has_scale = self.likelihood.outputs_per_channel > 1 or self.likelihood.trainable_weights
        if has_scale and not self.trains_log_prob():
            notes.append(
                f"no constraint is about log p(x|z), so only the mean of {type(self.likelihood).__name__} is trained: "
                "bits/dim and draws of pixels say little. Add a constraint such as nll<=200, or use gaussian."
            )
        return [f"note: {note}" for note in notes]

    def trains_log_prob(self) -> bool:
        """Tell whether the loss depends on log p(x|z); of constraints in Python it is not known, and supposed."""
        return self.rate_side or any(c.fn not in (sq_err, mean_sq_err, ncc) for c in self.constraints)

    def constraint_stats(self, terms: Terms) -> dict[str, tf.Tensor]:
        """Return the batch means of the violations, [J]."""
        return {"violations": mean_violations(self.weighted_violations(terms))}

    def check_sample_weight(self, sample_weight: Any) -> None:
        """Refuse weights of images: the constraints are about all of them alike.

        Raises:
            UsageError: there are weights.
        """
        if sample_weight is not None:
            raise UsageError(
                "Expected fit without sample_weight or class_weight: GECO's constraints hold for the mean image. "
                "Received: weights. Train another objective, such as beta, with weights."
            )

    def adapt(self, constraint_stats: dict[str, tf.Tensor]) -> None:
        """Move the multipliers."""
        self.multipliers.update(constraint_stats["violations"], self.scales)

    def metric_columns(self, terms: Terms) -> dict[str, tf.Tensor]:
        """Return the columns of every objective, and each constraint's violation, [B]."""
        violations = tf.reduce_mean(self.weighted_violations(terms), axis=1)  # [J, B]
        own = {name: violations[j] for j, name in enumerate(self.column_names("constraint"))}
        return super().metric_columns(terms) | own

    def column_names(self, stem: str) -> list[str]:
        """Return 'constraint', 'constraint_2', ...: one name a constraint, in their order."""
        return [stem] + [f"{stem}_{j}" for j in range(2, len(self.constraints) + 1)]

    def state_logs(self) -> dict[str, tf.Tensor]:
        """Return the multipliers, moving averages and forecasts of the violations, a scalar a column."""
        columns = {"lambda": self.multipliers.values, "constraint_ma": self.multipliers.average}
        forecast = self.multipliers.forecast()
        if forecast is not None:
            scales = tf.constant(self.scales, tf.float32)
            columns |= {"constraint_at_end": scales * forecast[0], "constraint_at_end_stddev": scales * forecast[1]}
        return {name: values[j] for stem, values in columns.items() for j, name in enumerate(self.column_names(stem))}


class GECOIWAE(GECO):
    """GECO under the importance-weighted posterior q~, which puts weight w~_i = w_i / sum w on sample i.

    loss = KL(q~ || p) + lambda E_q~ C = -L_k + sum_i w~_i log p(x|z_i) + lambda sum_i w~_i C(x, g(z_i)),
    because L_k = E_q~ log p(x|z) - KL(q~ || p). Public replications have signs and 1/k wrong. The gradient flows
    through w~ too: it is part of q~. k=1 is GECO, with its KL in closed form.

    Args:
        k: samples of z per image, >= 1.
        stop_weights: whether w~ is treated as constant.
    """

    option_ineffective_with = {"stop_weights": {"k": (1,)}}
    replaced_settings = {"samples": "k"}

    def __init__(self, *parts: Any, k: int = 5, stop_weights: bool = False, **context: Any) -> None:
        check_option(k >= 1, "k", ">= 1", k)
        super().__init__(*parts, **context)
        self.k, self.stop_weights, self.samples = int(k), stop_weights, int(k)

    def trains_log_prob(self) -> bool:
        """Tell whether the loss depends on log p(x|z): the weights do, if there are several samples."""
        return self.k > 1 or super().trains_log_prob()

    def importance_weights(self, terms: Terms) -> tf.Tensor:
        """Return w~ [K, B], which sums to 1 over K."""
        weights = tf.nn.softmax(compute_log_weights(terms), axis=0)
        return tf.stop_gradient(weights) if self.stop_weights else weights

    def objective(self, terms: Terms) -> tf.Tensor:
        """Return the Lagrangian of each image under q~, [B], nats per image."""
        if terms.log_px.shape[0] == 1:
            return super().objective(terms)
        weights = self.importance_weights(terms)
        distortion = -tf.reduce_sum(weights * terms.log_px, axis=0)
        base = (
            distortion
            if self.rate_side
            else -compute_importance_weighted_bound(compute_log_weights(terms)) - distortion
        )
        return base + tf.reduce_sum(weights * self.lagrangian(terms), axis=0)

    def weighted_violations(self, terms: Terms) -> tf.Tensor:
        """Return K w~ C, [J, K, B]: its mean over K is E_q~ C."""
        samples = tf.cast(tf.shape(terms.log_px)[0], tf.float32)
        return samples * self.importance_weights(terms) * super().weighted_violations(terms)
