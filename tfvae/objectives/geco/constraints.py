"""What GECO is told to keep: each constraint is C(x, z) <= 0 per sample, with the scale that makes it dimensionless.

A text such as ``re<=4`` or ``re<=4;kl<=20`` names them; any Python callable of `Terms` is one too.
"""

import math
import re

import tensorflow as tf

from tfvae.errors import UsageError


class Constraint:
    """C = fn(terms) - bound (or bound - fn(terms) for ``>=``), to be driven to C <= 0.

    Args:
        fn: Terms -> [K, B], [B] or a scalar.
        bound: the target of fn, in fn's units.
        text: how the constraint is written, for columns and messages.
        scale: the unit of C for the controller, > 0; default |bound|, or 1.
        upper: True for fn <= bound, False for fn >= bound.
        differentiable: False lets it drive lambda only, through a stopped gradient.
        rate_side: True if the objective must then minimise the distortion (a bound on the KL).
        pixel_error: True if fn is a squared error of pixels: no rate-distortion curve of D pixels is steeper than
            D / (2 error) (Shannon's lower bound), so a multiplier seldom needs to exceed D / (2 bound).
    """

    def __init__(
        self, fn, bound, text="", scale=None, upper=True, differentiable=True, rate_side=False, pixel_error=False
    ):
        self.fn, self.bound, self.text = fn, float(bound), text or getattr(fn, "__name__", "constraint")
        self.scale = float(scale or abs(bound) or 1.0)
        self.upper, self.differentiable = upper, differentiable
        self.rate_side, self.pixel_error = rate_side, pixel_error

    def __call__(self, terms):
        """The violation, [K, B]; at most 0 where the constraint holds."""
        value = tf.cast(self.fn(terms), tf.float32)
        if value.shape.rank < 2:
            value = tf.broadcast_to(value, tf.shape(terms.sq_err))
        violation = value - self.bound if self.upper else self.bound - value
        return violation if self.differentiable else tf.stop_gradient(violation)


def count_pixels(terms):
    """D = H * W * C."""
    return math.prod(terms.x.shape[1:])


def sq_err(terms):
    """|x - g(z)|^2, [K, B]: sum over pixels in [0, 1]."""
    return terms.sq_err


def mean_sq_err(terms):
    """|x - g(z)|^2 / D, [K, B]."""
    return terms.sq_err / count_pixels(terms)


def nll(terms):
    """-log p(x|z), [K, B], nats."""
    return -terms.log_px


def kl(terms):
    """KL(q(z|x) || p(z)), [B], nats."""
    return terms.kl


def ncc(terms):
    """Normalised cross-correlation of x and g(z), [K, B], in [-1, 1]; 1 means equal up to brightness and contrast."""
    axes = [-3, -2, -1]
    x = terms.x - tf.reduce_mean(terms.x, axes, keepdims=True)
    g = terms.mean - tf.reduce_mean(terms.mean, axes, keepdims=True)
    power = tf.reduce_sum(tf.square(x), axes) * tf.reduce_sum(tf.square(g), axes)
    return tf.reduce_sum(x * g, axes) * tf.math.rsqrt(power + 1e-6)  # 1e-6: a blank image correlates with nothing


def make_feature_distance(path):
    """|f(x) - f(g(z))|^2 summed over features, f a SavedModel's ``__call__`` or ``serving_default``."""
    try:
        loaded = tf.saved_model.load(path)
    except (OSError, ValueError) as error:
        raise UsageError(f"Expected feature:PATH to be a SavedModel folder. Received: {path!r} ({error}).") from None
    call = loaded if callable(loaded) else lambda x: next(iter(loaded.signatures["serving_default"](x).values()))

    def fn(terms):
        shape = tf.shape(terms.mean)
        of_x = call(terms.x)
        of_g = call(tf.reshape(terms.mean, tf.concat([[-1], shape[2:]], 0)))
        of_g = tf.reshape(of_g, tf.concat([shape[:2], tf.shape(of_x)[1:]], 0))
        square = tf.square(of_g - of_x)
        return tf.reduce_sum(square, axis=list(range(2, square.shape.rank)))

    fn.kept = loaded  # the functions above live only as long as the object they came from
    return fn


def square_target(text, bound):
    """A bound on an error becomes one on its square; it must be positive and finite."""
    if not (bound > 0 and bound**2 < math.inf):
        raise UsageError(f"Expected a bound > 0, and finite. Received: {text!r}.")
    return bound**2


def parse_constraint(text):
    """'re<=4' -> Constraint."""
    match = re.fullmatch(r"\s*(re|rmse|nll|ncc|kl|feature:.+?)\s*(<=|>=)\s*([-+.\deE]+)\s*", text)
    try:
        name, sign, bound = match.group(1), match.group(2), float(match.group(3))
    except (AttributeError, ValueError):
        raise UsageError(
            "Expected constraints such as re<=4, rmse<=0.1, nll<=200, ncc>=0.9, kl<=20 or feature:PATH<=1, "
            f"joined by ';'. Received: {text!r}."
        ) from None
    if (sign == ">=") != (name == "ncc"):
        raise UsageError(f"Expected {name} with {'>=' if name == 'ncc' else '<='}. Received: {text!r}.")
    if name == "re":
        return Constraint(sq_err, square_target(text, bound), text, pixel_error=True)
    if name == "rmse":
        return Constraint(mean_sq_err, square_target(text, bound), text, pixel_error=True)
    if name == "nll":
        return Constraint(nll, bound, text)
    if name == "ncc":
        if not -1 < bound < 1:
            raise UsageError(f"Expected a correlation between -1 and 1. Received: {text!r}.")
        return Constraint(ncc, bound, text, scale=1.0 - bound, upper=False)
    square_target(text, bound)
    if name == "kl":
        return Constraint(kl, bound, text, rate_side=True)
    return Constraint(make_feature_distance(name.partition(":")[2]), bound, text)


def parse_constraints(texts):
    """'re<=4;kl<=20', a Constraint, a callable, or a list of these -> list of Constraint.

    A plain callable fn asks for fn(terms) <= 0.
    """
    if isinstance(texts, str):
        texts = [part for part in texts.split(";") if part.strip()]
    elif isinstance(texts, Constraint) or callable(texts):
        texts = [texts]
    made = [Constraint(item, 0.0) if callable(item) and not isinstance(item, Constraint) else item for item in texts]
    found = [item if isinstance(item, Constraint) else parse_constraint(item) for item in made]
    if not found:
        raise UsageError("Expected at least one constraint, such as re<=4. Received: none.")
    return found


def stack_violations(constraints, terms):
    """[J, K, B]."""
    return tf.stack([constraint(terms) for constraint in constraints])


def mean_violations(violation):
    """[J, K, B] -> [J]."""
    return tf.reduce_mean(violation, axis=[1, 2])
