"""The forecast of a violation: exact on the curves that it supposes, honest about its noise, right in float64."""

import numpy as np
import pytest
import tensorflow as tf

from tfvae.objectives.geco import forecast
from tfvae.objectives.geco.forecast import Course, LearningPlan
from tfvae.runtime.optimizers import LearningRateSchedule

ZERO = tf.zeros([])


def follow_all(violations, shares):
    """The course after all of the violations [T, J], by the library."""
    start = Course(*(tf.zeros([violations.shape[1]]) for _ in range(3)), ZERO)
    steps = tf.constant(violations, tf.float32), tf.constant(shares, tf.float32)
    courses = tf.scan(lambda course, step: forecast.update_course(course, *step), steps, start)
    return Course(*(values[-1] for values in courses))


def test_averages_follow_a_loop_in_float64():
    rng = np.random.default_rng(0)
    violations, shares = rng.standard_normal((300, 2)) + 3, rng.uniform(0, 1, 300)
    recent = older = variance = np.zeros(2)
    tau = 0.0
    for violation, share in zip(violations, shares):
        tau += share
        recent = recent + min(1, 16 * share / tau) * (violation - recent)
        older = older + min(1, 4 * share / tau) * (violation - older)
        variance = variance + min(1, 16 * share / tau) * ((violation - recent) ** 2 - variance)
    course = follow_all(violations, shares)
    for found, expected in zip(course, (recent, older, variance, tau)):
        np.testing.assert_allclose(found, expected, rtol=2e-5)  # 300 roundings of float32


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_end_of_a_power_law_is_foretold(schedule):
    """a + b tau^-0.7 in the middle of a training: its end, under any schedule, since tau counts the learning."""
    steps = 2000
    plan = LearningPlan(steps, LearningRateSchedule(1e-3, schedule, steps))
    shares = plan.compute_share(tf.range(steps // 2)).numpy()
    tau = np.cumsum(shares)
    levels, slopes = np.array([0.1, -0.2, 0.0]), np.array([20.0, 5.0, 0.0])
    course = follow_all(levels + slopes * tau[:, None] ** -0.7, shares)
    left = plan.compute_left(tf.constant(steps // 2))
    expected = levels + slopes * (tau[-1] + float(left)) ** -0.7
    # What is left of the first step in the averages is (1 / tau)^3.3 of it; the rest is that of sums for integrals.
    np.testing.assert_allclose(forecast.extrapolate_course(course, left), expected, atol=0.002)
    assert np.all(np.abs(course.recent[:2] - expected[:2]) > 0.005)  # to stay where it is would be wrong


def test_rising_course_is_foretold_to_stay():
    violations = np.linspace(0, 1, 200)[:, None]
    course = follow_all(violations, np.ones(200))
    np.testing.assert_allclose(forecast.extrapolate_course(course, tf.constant(800.0)), course.recent)


@pytest.mark.parametrize(("warmup", "schedule"), [(0, "constant"), (0, "cosine"), (300, "cosine")])
def test_plan_counts_the_learning_that_is_left(warmup, schedule):
    """Against the sum of the schedule itself, beyond the 1,024 knots of its table."""
    steps = 5000
    learning_rate = LearningRateSchedule(0.01, schedule, steps, warmup)
    plan = LearningPlan(steps, learning_rate)
    rates = np.asarray(learning_rate(np.arange(steps)), np.float64) * np.ones(steps)
    shares = rates / rates.max()
    for step in (0, 7, 300, 2501, 4999):
        np.testing.assert_allclose(plan.compute_left(tf.constant(step)), shares[step:].sum(), rtol=1e-3, atol=1e-2)
        np.testing.assert_allclose(plan.compute_share(tf.constant(step)), shares[step], rtol=0.02, atol=2e-3)
    assert float(plan.compute_left(tf.constant(steps))) == float(plan.compute_left(tf.constant(steps + 9))) == 0


def test_deviation_covers_the_noise_and_the_doubt():
    """4,000 noisy power laws, of exponents over the supposed range: the stated deviation is the error's, within half.

    The standard error of a standard deviation from 4,000 is 1.1%. A stated noise of 0, or a doubt of 0, fails.
    """
    rng = np.random.default_rng(1)
    tau = np.arange(1, 401.0)[:, None]
    for amplitude, noise in ((30.0, 0.5), (30.0, 0.02)):
        exponents = rng.uniform(0.4, 1.0, 4000)
        course = follow_all(amplitude * tau**-exponents + noise * rng.standard_normal((400, 4000)), np.ones(400))
        left = tf.constant(400.0)
        error = np.asarray(forecast.extrapolate_course(course, left)) - amplitude * 800.0**-exponents
        stated = np.sqrt(np.mean(np.square(forecast.compute_forecast_stddev(course, left))))
        assert 2 / 3 < stated / np.sqrt(np.mean(error**2)) < 1.5, (amplitude, noise)
