"""The constraints of GECO: each is C(x, z) <= 0 per sample, with the scale that makes it dimensionless.

A text such as ``re<=4`` or ``re<=4;kl<=20`` names them; any Python callable of `Terms` is one too.
"""

from __future__ import annotations

import math
import re
import types
from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from tfvae.distributions.terms import Terms
from tfvae.errors import UntrustedError, UsageError
from tfvae.option_values import AUTO_WORD, LARGEST_FLOAT, check_option, parse_number, parse_number_with_unit
from tfvae.runtime import trust
from tfvae.safety.image_features import SavedModelFeatures
from tfvae.safety.savedmodel_check import TRUST

PER_PIXEL = "rms"  # behind a kappa that is the root of a mean over pixels
SMALLEST_SQUARE = 1e-37  # the least number that float32 holds in full

Quantity = Callable[[Terms], tf.Tensor]


@keras.saving.register_keras_serializable("tfvae")
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

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments, fn by the name under which Keras knows it.

        Raises:
            UsageError: Keras does not know fn, so that no other process could load it.
        """
        name = keras.saving.get_registered_name(self.fn) if isinstance(self.fn, types.FunctionType) else ""
        if keras.saving.get_registered_object(name) is not self.fn:
            raise UsageError(
                f"Expected a function that Keras can save in the constraint {self.text!r}. Received: one without a "
                "registered name. Define it with def below @keras.saving.register_keras_serializable()."
            )
        names = ("target", "text", "scale", "upper", "differentiable", "rate_side", "pixel_error")
        return {"fn": name, **{name: getattr(self, name) for name in names}}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Constraint:
        """Return the constraint that `get_config` describes.

        Raises:
            UsageError: its function is not registered in this process.
        """
        fn = keras.saving.get_registered_object(config["fn"])
        if not isinstance(fn, types.FunctionType):
            raise UsageError(
                f"Expected the function {config['fn']!r} of a constraint to be registered with Keras. Received: none. "
                "Import the module that defines it first."
            )
        return cls(**{**config, "fn": fn})


def count_pixels(terms: Terms) -> int:
    """Return D = H * W * C."""
    return math.prod(terms.x.shape[1:])


@keras.saving.register_keras_serializable("tfvae")
def sq_err(terms: Terms) -> tf.Tensor:
    """Return |x - g(z)|^2, [K, B]: sum over pixels in [0, 1]."""
    return terms.sq_err


@keras.saving.register_keras_serializable("tfvae")
def mean_sq_err(terms: Terms) -> tf.Tensor:
    """Return |x - g(z)|^2 / D, [K, B]."""
    return terms.sq_err / count_pixels(terms)


@keras.saving.register_keras_serializable("tfvae")
def nll(terms: Terms) -> tf.Tensor:
    """Return -log p(x|z), [K, B], nats."""
    return -terms.log_px


@keras.saving.register_keras_serializable("tfvae")
def kl(terms: Terms) -> tf.Tensor:
    """Return KL(q(z|x) || p(z)), [B], nats."""
    return terms.kl


@keras.saving.register_keras_serializable("tfvae")
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
    """Return terms -> |f(x) - f(g(z))|^2, summed over features; f is a SavedModel's ``serving_default`` or its call.

    The SavedModel is checked also where the config is the user's own: its files may be somebody else's.

    Raises:
        UsageError: `path` is no folder of a SavedModel, or f does not fit images.
        UntrustedError: the SavedModel may do more than compute, and the user has not said ``--trust``.
    """
    try:
        call = SavedModelFeatures(path, trust.trusts_features(path))
    except UntrustedError as error:  # no flag of a training trusts what it loads
        way_out = "Give a function of Terms in Python instead, or --trust (trust=True) for a run that you have."
        raise UntrustedError(str(error).replace(TRUST, way_out)) from None

    def distance(terms: Terms) -> tf.Tensor:
        shape = tf.shape(terms.mean)
        of_x = call(terms.x)
        of_g = call(tf.reshape(terms.mean, tf.concat([[-1], shape[2:]], 0)))
        of_g = tf.reshape(of_g, tf.concat([shape[:2], tf.shape(of_x)[1:]], 0))
        square = tf.square(of_g - of_x)
        return tf.reduce_sum(square, axis=list(range(2, square.shape.rank)))

    return distance


def square_target(text: str, target: float) -> float:
    """Return the square of an error's target, which must be positive and within the numbers of float32.

    Raises:
        UsageError: it is not.
    """
    if not (target > 0 and SMALLEST_SQUARE <= target**2 <= LARGEST_FLOAT):
        raise UsageError(f"Expected a target > 0, whose square float32 can hold. Received: {text!r}.")
    return target**2


def parse_kappa(kappa: float | str | None, pixels: int) -> float | None:
    """Return kappa as the root of a sum over pixels; ``0.08rms`` is the root of their mean.

    Args:
        kappa: a number, or one with ``rms`` behind it; None: no limit.
        pixels: numbers in an image, H * W * C.

    Raises:
        UsageError: it is neither, or not positive.

    Example:
        >>> parse_kappa("0.1rms", 784)
        2.8
    """
    if kappa is None:
        return None
    if kappa == AUTO_WORD:
        raise UsageError(
            "Expected kappa to be a number: a model has no images to choose it by. Received: kappa=auto. Give "
            "kappa=tfvae.choose_kappa(images), or train a run."
        )
    if isinstance(kappa, str):
        per_pixel = parse_number_with_unit(kappa, PER_PIXEL)
        if per_pixel is None:
            raise UsageError(f"Expected kappa to be a number, or one per pixel such as 0.08rms. Received: {kappa!r}.")
        value = float(f"{per_pixel * math.sqrt(pixels):.6g}")
    else:
        value = kappa
    check_option(value > 0, "kappa", "> 0", kappa)
    return value


def parse_constraint(text: str) -> Constraint:
    """Return the constraint that a text such as 're<=4' names.

    Raises:
        UsageError: an unknown quantity, the wrong sign, or a target out of range.
    """
    match = re.fullmatch(r"\s*(re|rmse|nll|ncc|kl|feature:.+?)\s*(<=|>=)\s*([-+.\deE]+)\s*", text)
    target = parse_number(match.group(3)) if match else None
    if match is None or target is None:
        raise UsageError(
            "Expected constraints such as re<=4, rmse<=0.1, nll<=200, ncc>=0.9, kl<=20 or feature:PATH<=1, "
            f"joined by ';'. Received: {text!r}."
        )
    name, sign = match.group(1), match.group(2)
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


def split_constraints(given: Any) -> list[str | Constraint]:
    """Return a list of what 're<=4;kl<=20', a Constraint, a callable, or a list of these names.

    A plain callable fn asks for fn(terms) <= 0; a dict is a constraint that Keras saved.

    Raises:
        UsageError: something else.
    """
    if isinstance(given, str):
        return [part for part in given.split(";") if part.strip()]
    items = given if isinstance(given, (list, tuple)) else [given]
    constraints: list[str | Constraint] = []
    for item in items:
        item = keras.saving.deserialize_keras_object(item) if isinstance(item, dict) else item
        if not (isinstance(item, str) or callable(item)):
            raise UsageError(f"Expected constraints as texts, tfvae.Constraint or functions. Received: {type(item)}.")
        constraints.append(item if isinstance(item, (str, Constraint)) else Constraint(item, 0.0))
    return constraints


def save_constraints(given: Any) -> str | list[Any] | None:
    """Return constraints as JSON that `split_constraints` reads: texts as they are.

    Raises:
        UsageError: a function among them cannot be saved.
    """
    if given is None or isinstance(given, str):
        return given
    items = split_constraints(given)
    return [item if isinstance(item, str) else keras.saving.serialize_keras_object(item) for item in items]


def parse_constraints(given: Any) -> list[Constraint]:
    """Return the constraints that `split_constraints` reads.

    Raises:
        UsageError: there is none, or one cannot be read.
    """
    items = split_constraints(given)
    constraints = [parse_constraint(item) if isinstance(item, str) else item for item in items]
    if not constraints:
        raise UsageError("Expected at least one constraint, such as re<=4. Received: none.")
    return constraints


def stack_violations(constraints: Sequence[Constraint], terms: Terms) -> tf.Tensor:
    """Return the violation of each constraint, [J, K, B]."""
    return tf.stack([constraint(terms) for constraint in constraints])


def mean_violations(violation: tf.Tensor) -> tf.Tensor:
    """Return the means over samples and images, [J], of violations [J, K, B]."""
    return tf.reduce_mean(violation, axis=[1, 2])
