"""GECO: each controller against its simulation in NumPy float64, and all that must hold of its state."""

import math

import keras
import numpy as np
import pytest
import scipy.optimize
import tensorflow as tf

import tfvae
from tfvae.errors import UsageError
from tfvae.objectives.geco.constraints import parse_constraints
from tfvae.objectives.geco.controllers import (
    CONTROLLERS,
    ERROR_WINDOW,
    SLOW_AVERAGE_STEPS,
    WANTED_LAG,
    Multipliers,
)
from tfvae.runtime import random_streams
from tfvae.runtime.optimizers import LearningRateSchedule
from tfvae.training import checkpoints
from tfvae.training.engine import Engine
from tfvae.training.training_state import TrainingState

SCALES = [4.0, 0.5, 100.0]


def simulate(name, sequence, scale, rate, gain, decay, lam, warmup, ceiling, span=SLOW_AVERAGE_STEPS):
    """One multiplier: -> its values after each update, and pi's shares of its integral step beyond the window."""
    log_lam, average, slow, previous, shares, found = math.log(lam), None, None, 0.0, [], []

    def inverse(log_lam):  # v of a clipped lambda
        root = math.sqrt(min(max(math.exp(log_lam), 1e-6), 1e6))
        return root + math.log(-math.expm1(-root))

    v = inverse(log_lam)
    for t, violation in enumerate(sequence):
        average = violation if average is None else decay * average + (1 - decay) * violation
        e = average / scale
        if name == "log":
            new = log_lam + rate * min(max(e, -1), 1)
        elif name == "pi":
            log_e = math.log(e) if e > ERROR_WINDOW else math.log(ERROR_WINDOW)
            slow = log_e if slow is None else slow + (log_e - slow) / span
            share = 1.0
            if e > ERROR_WINDOW:
                share = min(max(1 - (slow - log_e) / WANTED_LAG, 0), 1)
                shares.append(share)
            if e > 0 and math.exp(log_lam) > ceiling:
                share *= 0.1
            p = min(max(e, -ERROR_WINDOW), ERROR_WINDOW)
            furthest = ERROR_WINDOW * SLOW_AVERAGE_STEPS / span
            new = log_lam + share * rate * min(max(e, -furthest), furthest) + gain * (p - previous)
            previous = p
        elif name == "paper":
            new = math.log(math.exp(log_lam) * min(max(math.exp(min(rate * average, 50)), 0.9), 1.1))
        else:  # the state is v itself, as in the authors' code
            moved = v + rate * average * 2 * np.logaddexp(0, v) / (1 + np.exp(-v))
            new = 2 * math.log(max(np.logaddexp(0, moved), 1e-9))
            v = moved if t >= warmup and 1e-6 < math.exp(new) < 1e6 else v if t < warmup else inverse(new)
        if t >= warmup:
            log_lam = min(max(new, math.log(1e-6)), math.log(1e6))
        found.append(math.exp(log_lam))
    return np.array(found), shares


def make(name, rate=None, gain=None, decay=0.99, lam=1.0, warmup=0, ceilings=(math.inf,) * 3):
    return Multipliers(
        len(ceilings),
        name,
        learning_rate=rate,
        proportional_gain=gain,
        decay=decay,
        initial=lam,
        warmup=warmup,
        ceilings=ceilings,
    )


def trace(multipliers, sequence, scale, jit=True):
    """lambda after each update of the library's, [T, J]."""
    update = tf.function(lambda v: multipliers.update(v, scale), jit_compile=jit)
    found = []
    for row in np.asarray(sequence, "float32"):
        update(tf.constant(row))
        found.append(multipliers.values.numpy())
    return np.array(found)


def violation_course(steps, seed=0):
    """[T, 3] violations in units of their scales: learning, a plateau, a relapse, satisfaction; noise all along."""
    t = np.linspace(0, 1, steps)[:, None]
    base = np.hstack([4 * np.exp(-8 * t) - 0.05, 0.3 * np.cos(9 * t), np.where(t < 0.5, 1.5 - 2 * t, 2.5 * t - 1.6)])
    return (base + 0.1 * np.random.default_rng(seed).standard_normal(base.shape)) * SCALES


@pytest.mark.parametrize("name", list(CONTROLLERS))
@pytest.mark.parametrize("settings", [
    {},
    {"decay": 0.0, "lam": 3.0, "warmup": 40},
    {"rate": 0.2, "gain": 30.0, "decay": 0.8},  # far enough to meet the bounds
    {"rate": 0.2, "ceilings": (5.0, 300.0, math.inf)},
])  # fmt: skip
def test_controllers_follow_their_simulation(name, settings):
    """Three constraints at once: each moves as if it were alone."""
    if name == "forecast" and "rate" in settings:
        settings = {**settings, "rate": 1000 * settings["rate"]}  # its unit: 20 is as fast as pi's 0.02
    if name == "softplus2" and "rate" in settings:
        settings = {**settings, "rate": 0.002}  # 0.2 moves lambda by factors of 50 a step and magnifies rounding
    if name not in ("pi", "forecast"):
        settings = {key: value for key, value in settings.items() if key != "gain"}  # they have no proportional part
    rate, gain = (settings.get(key, default) for key, default in zip(("rate", "gain"), CONTROLLERS[name][1:]))
    decay, lam, warmup = settings.get("decay", 0.99), settings.get("lam", 1.0), settings.get("warmup", 0)
    sequence = violation_course(500)
    ceilings = settings.get("ceilings", (1e6,) * 3)
    found = trace(make(name, **settings), sequence, SCALES)
    for j, scale in enumerate(SCALES):
        # A forecast needs a plan of the training; without one it is pi.
        likeness, unit = ("pi", 0.001) if name == "forecast" else (name, 1)
        expected, shares = simulate(likeness, sequence[:, j], scale, rate * unit, gain, decay, lam, warmup, ceilings[j])
        # float32: log lambda, up to 14 in size, moves 500 times with rounding errors of up to 5e-7
        np.testing.assert_allclose(found[:, j], expected, rtol=1e-4)
        assert np.ptp(expected) > 0.01
        if warmup:
            np.testing.assert_allclose(found[:warmup, j], lam, rtol=1e-6)
        if name == "pi" and j == 0 and not settings:
            assert min(shares) == 0 and any(0 < share < 1 for share in shares)  # all sides of the rule were seen


@pytest.mark.parametrize(
    ("steps", "span"), [(10, 20), (936, 104), (8999, 999), (9000, SLOW_AVERAGE_STEPS), (10**6, SLOW_AVERAGE_STEPS)]
)
def test_pi_hurries_in_a_short_training(steps, span):
    """It spans a ninth of the steps, and goes as much further in one; a training of 9,000 steps or more is as ever."""
    multipliers = make("pi")
    multipliers.on_train_begin(steps)
    assert multipliers.slow_average_steps == span
    sequence = violation_course(500)
    found = trace(multipliers, sequence, SCALES)
    for j, scale in enumerate(SCALES):
        expected, _ = simulate("pi", sequence[:, j], scale, *CONTROLLERS["pi"][1:], 0.99, 1.0, 0, 1e6, span)
        np.testing.assert_allclose(found[:, j], expected, rtol=1e-4)


def simulate_forecast(sequence, scale, shares, ceiling, rate=20.0, gain=6.0):
    """One multiplier of ``forecast`` over a whole planned training, in float64."""
    log_lam = recent = older = variance = tau = previous = 0.0
    found = []
    for t, violation in enumerate(sequence):
        tau, left, e = tau + shares[t], shares[t + 1 :].sum(), violation / scale
        recent += min(1, 16 * shares[t] / tau) * (e - recent)
        older += min(1, 4 * shares[t] / tau) * (e - older)
        variance += min(1, 16 * shares[t] / tau) * ((e - recent) ** 2 - variance)
        at_end, slow, fast = (
            recent
            + max(0.0, (older - recent) / (4 / (4 - p) - 16 / (16 - p))) * ((tau / (tau + left)) ** p - 16 / (16 - p))
            for p in (0.7, 0.4, 1.0)
        )
        lever = ((tau / (tau + left)) ** 0.7 - 16 / 15.3) / (4 / 3.3 - 16 / 15.3)
        noise = variance * (16 * (1 - lever) ** 2 + 4 * lever**2) / (2 * tau)
        trusted = at_end**3 / (at_end**2 + 4 * (noise + (slow - fast) ** 2 / 16))
        least = min(max(0.1 * (tau + left), 30), 1000)
        step = rate * shares[t] * min(max(trusted, -0.25), 0.25) / max(left, least)
        if at_end > 0 and math.exp(log_lam) > ceiling:
            step *= 0.1
        p = min(max(at_end, -0.1), 0.1)
        log_lam += min(tau / (0.1 * (tau + left)), 1) * (step + gain * (p - previous))
        log_lam = min(max(log_lam, math.log(1e-6)), math.log(1e6))
        previous = p
        found.append(math.exp(log_lam))
    return np.array(found)


@pytest.mark.parametrize("schedule", ["constant", "cosine"])
def test_forecast_follows_its_simulation(schedule):
    """Under a plan, the learning rate's schedule included; one constraint stands above its ceiling for a while."""
    steps = 500  # as many knots as steps, so that the plan's table is exact
    learning_rate = LearningRateSchedule(0.01, schedule, steps)
    multipliers = make("forecast", ceilings=(1.5, 300.0, math.inf))
    multipliers.on_train_begin(steps, learning_rate)
    sequence = violation_course(steps)
    found = trace(multipliers, sequence, SCALES)
    shares = np.asarray(learning_rate(np.arange(steps)), np.float64) / 0.01 * np.ones(steps)
    for j, (scale, ceiling) in enumerate(zip(SCALES, (1.5, 300.0, math.inf))):
        expected = simulate_forecast(sequence[:, j], scale, shares, 3 * ceiling)  # 1500 / 500 steps
        # float32: tau is a sum of up to 500 shares; its last, tiny ones under a cosine do not matter
        np.testing.assert_allclose(found[:, j], expected, rtol=1e-3)
        assert np.ptp(expected) > 0.1


@pytest.mark.parametrize("plan_first", [True, False])
@pytest.mark.parametrize(
    "steps, starts", [(1500, (2, 90, 1)), (3000, (2, 90, 1)), (500, (18, 100, 1)), (50, (32, 100, 1))]
)
def test_a_short_training_starts_higher(plan_first, steps, starts):
    """By (1500 / steps)^2, up to the ceiling of pixel errors; other constraints have none, and start as they did."""
    multipliers = make("forecast", ceilings=(50.0, 100.0, math.inf))
    calls = [lambda: multipliers.on_train_begin(steps), lambda: multipliers.start_at((2.0, 90.0, 1.0))]
    for call in calls if plan_first else reversed(calls):
        call()
    np.testing.assert_allclose(multipliers.values, starts, rtol=1e-6)
    haste = min(max(1500 / steps, 1), 4)
    np.testing.assert_allclose(np.exp(multipliers.log_ceilings), [50 * haste, 100 * haste, math.inf], rtol=1e-6)
    multipliers.update(tf.constant([1.0, 1.0, 1.0]), [1.0, 1.0, 1.0])
    moved = multipliers.values.numpy()
    multipliers.on_train_begin(10 * steps)  # a training that is extended goes on where lambda is
    np.testing.assert_array_equal(multipliers.values, moved)


def test_other_controllers_and_a_start_of_ones_own_know_no_haste():
    """What the user chose stays: initial_multiplier, and the controllers that do not aim at the end."""
    for name in CONTROLLERS:
        multipliers = make(name, lam=3.0, ceilings=(50.0,))
        multipliers.on_train_begin(100)
        np.testing.assert_allclose(multipliers.values, 3.0, rtol=1e-6)
        assert (multipliers.haste > 1) == (name == "forecast")


def test_average_starts_at_the_first_batch():
    """No pull towards 0, not even by one step; pitfall of averages that start at 0."""
    multipliers = make("log", decay=0.9, ceilings=(math.inf,) * 2)
    multipliers.update(tf.constant([50.0, -3.0]), [1.0, 1.0])
    np.testing.assert_allclose(multipliers.average, [50, -3], rtol=1e-6)
    multipliers.update(tf.constant([40.0, -3.0]), [1.0, 1.0])
    np.testing.assert_allclose(multipliers.average, [49, -3], rtol=1e-6)


@pytest.mark.parametrize(
    "name",
    [name if name in ("forecast", "paper") else pytest.param(name, marks=pytest.mark.slow) for name in CONTROLLERS],
)
def test_no_overflow_and_a_way_back(name):
    """C = 1e6 in raw units (pitfall 13) for long, then a feasible target: lambda stays in its bounds and returns."""
    rate = {"log": 0.1, "pi": 1.0, "forecast": 1000.0, "paper": 1e-3, "softplus2": 1e-3}[name]
    multipliers = make(name, rate, decay=0.9, ceilings=(math.inf,))
    up = trace(multipliers, np.full((300, 1), 1e6), [1.0])
    assert np.all(np.isfinite(up)) and np.all(np.diff(up[:, 0]) >= 0)
    np.testing.assert_allclose(up[-1], 1e6, rtol=1e-3)
    down = trace(multipliers, np.full((500, 1), -1e3), [1.0])
    assert np.all(np.isfinite(down)) and down[-1] < 1e-3 and np.all(down >= 0.999e-6)
    again = trace(multipliers, np.full((2500, 1), 1e3), [1.0])
    assert again[-1] > 1  # the lower bound is no trap either


@pytest.mark.parametrize("name", ["log", "softplus2"])
def test_a_target_that_the_model_can_reach_is_reached(name, tiny):
    """The exact model with 2 of 5 dimensions in z: |x - g(z)|^2 = 2 min(1, 1 / (2 lambda)) + floor, by hand.

    Variances are 1, 1, .3, .3, .3, so the floor is 0.9, and kappa^2 = 1.2 has its optimum at lambda = 10 / 3.
    """
    model = tiny(f"geco:kappa={1.2**0.5},controller={name},rate=0.05,decay=0.9", image_shape=(1, 5, 1))
    update = tf.function(lambda v: model.multipliers.update(v, model.scales))
    for _ in range(1500):
        lam = model.multipliers.values.numpy()
        update(2 * np.minimum(1, 1 / (2 * lam)) + 0.9 - 1.2)
    np.testing.assert_allclose(model.multipliers.values, 10 / 3, rtol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("way", ["keras", "weights", "checkpoint"])
def test_state_survives_saving(way, tiny, images, tmp_path):
    """Interrupted inside the warm-up and resumed = not interrupted, to the bit (pitfall 16)."""
    spec = "geco:constraints=re<=1;rmse<=0.2,warmup=6,rate=0.5,lam=2"

    def fresh():
        model = tiny(spec, learning_rate=1e-2)
        model.on_train_begin(12)
        model.optimizer.build(model.trainable_variables)
        return model

    def go_on(model, steps):
        learn = tf.function(model.optimize, jit_compile=True)
        for _ in range(steps):
            learn(tf.constant(images()))
        return model

    whole = go_on(fresh(), 12)
    part = go_on(fresh(), 4)
    if way == "keras":
        part.save(tmp_path / "model.keras")
        resumed = keras.models.load_model(tmp_path / "model.keras")
        resumed.on_train_begin(12)
    else:
        resumed = fresh()
        if way == "weights":
            part.save_weights(tmp_path / "model.weights.h5")
            resumed.load_weights(tmp_path / "model.weights.h5")
            resumed.optimizer = part.optimizer  # weights are all this format promises
        else:
            checkpoints.save_checkpoint(tmp_path, part, TrainingState(epoch=1))
            assert checkpoints.restore_newest_checkpoint(tmp_path, resumed, print) == TrainingState(epoch=1)
    names = {v.name for v in resumed.multipliers.variables}
    assert names == {"log_lam", "average", "previous", "slow", "updates", "recent", "older", "variance", "tau"}
    for v, stored in zip(resumed.multipliers.variables, part.multipliers.variables):
        np.testing.assert_array_equal(v, stored)
    assert resumed.multipliers._updates == 4 and resumed.step == 4
    if way == "weights":
        np.testing.assert_array_equal(resumed.arch.trainable_variables[0], part.arch.trainable_variables[0])
        return
    go_on(resumed, 8)
    assert np.any(whole.multipliers.values.numpy() != 2)
    for v, expected in zip(resumed.weights, whole.weights):
        np.testing.assert_array_equal(v, expected)


def test_validation_moves_nothing(tiny, images):
    """Neither lambda, nor the averages, nor the step (pitfall 12); `adapt` alone does."""
    model = tiny("geco:kappa=1", learning_rate=1e-3, jit=False, likelihood="gaussian:sigma=optimal")
    batches = tf.data.Dataset.from_tensor_slices(images(18)).batch(6)
    model.fit(batches, verbose=0, shuffle=False)
    before = [np.asarray(v) for v in model.weights]
    model.evaluate(batches, verbose=0)
    Engine(model, 6).evaluate(tf.constant(images()))
    model.objective(model.terms(images(), samples=3, seed=(1, 1)))
    for v, old in zip(model.weights, before):
        np.testing.assert_array_equal(v, old)
    model.fit(batches, verbose=0, shuffle=False, validation_data=batches)
    assert model.multipliers._updates == 6 and model.step == 6  # 3 batches, twice; none of validation


def test_models_do_not_share_state(tiny, images):
    """A second model starts at lambda = 1 although the first has moved (pitfall 7)."""
    first = tiny("geco:kappa=0.1", learning_rate=1e-3)
    first.optimize(images())
    second = tiny("geco:kappa=0.1")
    assert first.multipliers.values[0] != 1 and second.multipliers.values[0] == 1 and second.multipliers._updates == 0
    bounds = parse_constraints("re<=2")
    assert bounds is not parse_constraints("re<=2") and bounds[0].target == 4


def test_one_noise_for_gradient_and_multiplier(tiny, images):
    """The step's gradient and its violation come from the same draw of z (pitfall 14)."""
    model = tiny("geco:kappa=1,lam=3", arch="mlp:widths=12,latent=3")
    model.compile(optimizer=keras.optimizers.SGD(1.0))
    x, before = images(), [np.asarray(v) for v in model.trainable_variables]
    with tf.GradientTape() as tape:
        terms = model.terms(
            x,
            seed=random_streams.fold_in(random_streams.fold_in((0, 0), random_streams.SeedStream.TRAIN), 0),
            training=True,
        )
        loss = tf.reduce_mean(terms.kl + 3 * (terms.sq_err[0] - 1))
    gradients = tape.gradient(loss, model.trainable_variables)
    logs, _ = model.optimize(x)
    for v, old, g in zip(model.trainable_variables, before, gradients):
        np.testing.assert_allclose(old - np.asarray(v), g, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.multipliers.average, [np.mean(terms.sq_err) - 1], rtol=1e-5)
    np.testing.assert_allclose(logs["constraint"], terms.sq_err[0] - 1, rtol=1e-4)


def test_gradient_is_of_the_batch_whatever_the_average(tiny, random_terms):
    """d loss / d sq_err = lambda / K: no history in it, no decay factor (pitfall 11)."""
    terms, model = random_terms(samples=4), tiny("geco:kappa=2,lam=5", image_shape=(4, 6, 3))
    for _ in range(3):
        model.adapt(model.constraint_stats(terms))
    model.multipliers._average.assign([1e4])
    with tf.GradientTape() as tape:
        tape.watch(terms.sq_err)
        loss = tf.reduce_sum(model.objective(terms))
    np.testing.assert_allclose(tape.gradient(loss, terms.sq_err), np.full((4, 5), model.multipliers.values[0] / 4))


@pytest.mark.parametrize("options", ["kappa=0", "kappa=-1", "controller=pid", "rate=-1", "gain=-1", "lam=0",
                                     "controller=pi,decay=1", "warmup=-1", "constraints=re<=0"])  # fmt: skip
def test_impossible_options(options, tiny):
    with pytest.raises(UsageError, match="Expected"):
        tiny("geco:" + options)


DIGITS = tfvae.datasets.load("digits", "train")[0][:1024]


def train_digits(spec, seed, steps, **options):
    model = tfvae.build(
        spec, likelihood="gaussian:sigma=0.3", arch="mlp:widths=64,latent=8", image_shape=(8, 8, 1), seed=seed
    )
    model.on_train_begin(steps)
    model.compile(optimizer=keras.optimizers.Adam(3e-3))
    model.calibrate(DIGITS)
    order = np.random.default_rng(seed).integers(0, 1024, (steps, 64)).astype("int32")
    list(Engine(model, 64).train_blocks(tf.constant(DIGITS), order, count=1))
    return model


def test_where_lambda_starts():
    """Half of -d KL / d target of the linear VAE, by differences over its curve in bits of its own, in any unit."""
    model = tfvae.build(
        "geco:constraints=re<=1.2;rmse<=0.15;ncc>=0.9;nll<=50", arch="mlp:widths=8,latent=2", image_shape=(8, 8, 1)
    )
    model.calibrate(DIGITS)
    pixels = DIGITS.reshape(1024, 64)[np.sort(np.random.default_rng(0).permutation(1024)[:1000])] / 255.0
    spectrum = np.linalg.eigvalsh(np.cov(pixels.T, bias=True))
    contrast = np.square(pixels - pixels.mean(1, keepdims=True)).sum(1).mean()

    def measure_kl(error):
        level = scipy.optimize.brentq(lambda level: np.minimum(spectrum, level).sum() - error, 1e-9, spectrum.max())
        return 0.5 * np.log(np.maximum(spectrum / level, 1)).sum()

    curves = [(lambda re: measure_kl(re), 1.44), (lambda mean: measure_kl(64 * mean), 0.15**2),
              (lambda r: measure_kl((1 - r**2) * contrast), 0.9)]  # fmt: skip
    slopes = [(curve(1.001 * x) - curve(0.999 * x)) / (0.002 * x) for curve, x in curves]
    np.testing.assert_allclose(model.multipliers.values[:3], 0.5 * np.abs(slopes), rtol=1e-3)
    assert float(model.multipliers.values[3]) == 1


@pytest.mark.parametrize("spec, steps, seeds", [
    ("geco:kappa=1.2", 800, (0,)),
    pytest.param("geco:kappa=1.2", 800, (1, 2), marks=pytest.mark.slow),
    pytest.param("geco-iwae:k=3,kappa=1.2", 800, (0, 1, 2), marks=pytest.mark.slow),
    pytest.param("geco:kappa=1.2,controller=log,rate=0.01", 2500, (0, 1, 2), marks=pytest.mark.slow),
    # pi's integral rests while e falls by itself
    pytest.param("geco:kappa=1.2,controller=pi", 12000, (0, 1, 2), marks=pytest.mark.slow),
])  # fmt: skip
def test_constraint_is_met_on_digits(spec, steps, seeds):
    """Real 8x8 digits: the error ends within 5% of kappa^2, at a moderate lambda."""
    for seed in seeds:
        model = train_digits(spec, seed, steps)
        error = float(tf.reduce_mean(model.weighted_violations(model.terms(DIGITS, seed=(1, 2)))))
        assert abs(error) < 0.05 * 1.2**2, seed
        assert 1 < model.multipliers.values[0] < 20
