"""The constraints of GECO: each is C(x, z) <= 0 per sample, with the scale that makes it dimensionless.

A text such as ``re<=4`` or ``re<=4;kl<=20`` names them; any Python callable of `Terms` is one too.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from tfvae.distributions.terms import Terms
from tfvae.errors import UsageError

Quantity = Callable[[Terms], tf.Tensor]


class Constraint:
    """C = fn(terms) - target (or target - fn(terms) for ``>=``), to be driven to C <= 0.

    Args:
        fn: Terms -> [K, B], [B] or a scalar.
        target: the limit of fn, in fn's units.
        text: how the constraint is written, for columns and messages.
        scale: the unit of C for the controller, > 0; None: |target|, or 1.
        upper: True for fn <= target, False for fn >= target.
        differentiable: False lets it drive lambda only, through a stopped gradient.
        rate_side: True if the objective must then minimise the distortion (a limit on the KL).
        pixel_error: True if fn is a squared error of pixels: no rate-distortion curve of D pixels is steeper than
            D / (2 error) (Shannon's lower bound), so a multiplier seldom needs to exceed D / (2 target).

    Example:
        >>> model = tfvae.build("geco", constraints=tfvae.Constraint(lambda terms: terms.kl, 20.0, rate_side=True))
    """

    def __init__(
        self,
        fn: Quantity,
        target: float,
        text: str = "",
        scale: float | None = None,
        upper: bool = True,
        differentiable: bool = True,
        rate_side: bool = False,
        pixel_error: bool = False,
    ) -> None:
        self.fn, self.target, self.text = fn, float(target), text or getattr(fn, "__name__", "constraint")
        self.scale = float(scale or abs(target) or 1.0)
        self.upper, self.differentiable = upper, differentiable
        self.rate_side, self.pixel_error = rate_side, pixel_error

    def __call__(self, terms: Terms) -> tf.Tensor:
        """Return the violation, [K, B]; at most 0 where the constraint holds."""
        value = tf.cast(self.fn(terms), tf.float32)
        if value.shape.rank < 2:
            value = tf.broadcast_to(value, tf.shape(terms.sq_err))
        violation = value - self.target if self.upper else self.target - value
        return violation if self.differentiable else tf.stop_gradient(violation)


def count_pixels(terms: Terms) -> int:
    """Return D = H * W * C."""
    return math.prod(terms.x.shape[1:])


def sq_err(terms: Terms) -> tf.Tensor:
    """Return |x - g(z)|^2, [K, B]: sum over pixels in [0, 1]."""
    return terms.sq_err


def mean_sq_err(terms: Terms) -> tf.Tensor:
    """Return |x - g(z)|^2 / D, [K, B]."""
    return terms.sq_err / count_pixels(terms)


def nll(terms: Terms) -> tf.Tensor:
    """Return -log p(x|z), [K, B], nats."""
    return -terms.log_px


def kl(terms: Terms) -> tf.Tensor:
    """Return KL(q(z|x) || p(z)), [B], nats."""
    return terms.kl


def ncc(terms: Terms) -> tf.Tensor:
    """Return the normalised cross-correlation of x and g(z), [K, B], in [-1, 1].

    1 means equal up to brightness and contrast.
    """
    axes = [-3, -2, -1]
    x = terms.x - tf.reduce_mean(terms.x, axes, keepdims=True)
    g = terms.mean - tf.reduce_mean(terms.mean, axes, keepdims=True)
    power = tf.reduce_sum(tf.square(x), axes) * tf.reduce_sum(tf.square(g), axes)
    return tf.reduce_sum(x * g, axes) * tf.math.rsqrt(power + 1e-6)  # 1e-6: a blank image correlates with nothing


def make_feature_distance(path: str) -> Quantity:
    """Return terms -> |f(x) - f(g(z))|^2, summed over features; f is a SavedModel's call or ``serving_default``.

    Raises:
        UsageError: `path` is no folder of a SavedModel.
    """
    try:
        loaded = tf.saved_model.load(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"Expected feature:PATH to be a SavedModel folder. Received: {path!r} ({error}).") from None
    call = loaded if callable(loaded) else lambda x: next(iter(loaded.signatures["serving_default"](x).values()))

    def distance(terms: Terms) -> tf.Tensor:
        shape = tf.shape(terms.mean)
        of_x = call(terms.x)
        of_g = call(tf.reshape(terms.mean, tf.concat([[-1], shape[2:]], 0)))
        of_g = tf.reshape(of_g, tf.concat([shape[:2], tf.shape(of_x)[1:]], 0))
        square = tf.square(of_g - of_x)
        return tf.reduce_sum(square, axis=list(range(2, square.shape.rank)))

    distance.model = loaded  # type: ignore[attr-defined]  # the functions above live only as long as the object they came from
    return distance


def square_target(text: str, target: float) -> float:
    """Return the square of an error's target, which must be positive and finite.

    Raises:
        UsageError: it is not.
    """
    if not (target > 0 and target**2 < math.inf):
        raise UsageError(f"Expected a target > 0, and finite. Received: {text!r}.")
    return target**2


def parse_constraint(text: str) -> Constraint:
    """Return the constraint that a text such as 're<=4' names.

    Raises:
        UsageError: an unknown quantity, the wrong sign, or a target out of range.
    """
    match = re.fullmatch(r"\s*(re|rmse|nll|ncc|kl|feature:.+?)\s*(<=|>=)\s*([-+.\deE]+)\s*", text)
    try:
        name, sign, target = match.group(1), match.group(2), float(match.group(3))  # type: ignore[union-attr]
    except (AttributeError, ValueError):
        raise UsageError(
            "Expected constraints such as re<=4, rmse<=0.1, nll<=200, ncc>=0.9, kl<=20 or feature:PATH<=1, "
            f"joined by ';'. Received: {text!r}."
        ) from None
    if (sign == ">=") != (name == "ncc"):
        raise UsageError(f"Expected {name} with {'>=' if name == 'ncc' else '<='}. Received: {text!r}.")
    if name == "re":
        return Constraint(sq_err, square_target(text, target), text, pixel_error=True)
    if name == "rmse":
        return Constraint(mean_sq_err, square_target(text, target), text, pixel_error=True)
    if name == "nll":
        return Constraint(nll, target, text)
    if name == "ncc":
        if not -1 < target < 1:
            raise UsageError(f"Expected a correlation between -1 and 1. Received: {text!r}.")
        return Constraint(ncc, target, text, scale=1.0 - target, upper=False)
    square_target(text, target)
    if name == "kl":
        return Constraint(kl, target, text, rate_side=True)
    return Constraint(make_feature_distance(name.partition(":")[2]), target, text)


def parse_constraints(texts: Any) -> list[Constraint]:
    """Return the constraints that a text names: 're<=4;kl<=20', a Constraint, a callable, or a list of these.

    A plain callable fn asks for fn(terms) <= 0.

    Raises:
        UsageError: there is none, or one cannot be read.
    """
    if isinstance(texts, str):
        texts = [part for part in texts.split(";") if part.strip()]
    elif isinstance(texts, Constraint) or callable(texts):
        texts = [texts]
    constraints = []
    for item in texts:
        if isinstance(item, Constraint):
            constraints.append(item)
        else:
            constraints.append(Constraint(item, 0.0) if callable(item) else parse_constraint(item))
    if not constraints:
        raise UsageError("Expected at least one constraint, such as re<=4. Received: none.")
    return constraints


def stack_violations(constraints: Sequence[Constraint], terms: Terms) -> tf.Tensor:
    """Return the violation of each constraint, [J, K, B]."""
    return tf.stack([constraint(terms) for constraint in constraints])


def mean_violations(violation: tf.Tensor) -> tf.Tensor:
    """Return the means over samples and images, [J], of violations [J, K, B]."""
    return tf.reduce_mean(violation, axis=[1, 2])
