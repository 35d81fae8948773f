"""Every public method of a model refuses impossible images and labels in one line: none becomes a legal value."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.config import Config
from tfvae.errors import DataError, TfvaeError, UsageError
from tfvae.evaluation import score_images
from tfvae.exporting.loading import to_unit_range
from tfvae.models import conditions, latent_views
from tfvae.models.label_condition import LabelCondition
from tfvae.models.latent_statistics import encode_images

GREY = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 1)).astype(np.uint8)
UNIT = (GREY / 255).astype(np.float32)
NAN = np.where(np.arange(8)[:, None, None, None] == 3, np.float32(np.nan), UNIT)
BAD_IMAGES = {
    "grey levels": (GREY.astype(np.float32), "divide grey levels by 255"),
    "both sides": (2 * UNIT - 1, r"use \(x \+ 1\) / 2"),
    "a little beyond": (UNIT + 0.01, r"in \[0, 1\]"),
    "NaN": (NAN, "64 of them are NaN"),
    "infinite": (np.full_like(UNIT, np.inf), "infinite"),
    "int32": (GREY.astype(np.int32), "uint8"),
    "texts": (GREY.astype(str), "images|uint8"),
    "complex": (UNIT.astype(complex), "uint8"),
    "flat": (GREY.reshape(8, 64), r"\[N, 8, 8, 1\]"),
    "one image": (GREY[0], r"x\[None\]"),
    "other side": (GREY[:, :7], r"\[N, 8, 8, 1\]"),
    "channels first": (GREY.reshape(8, 1, 8, 8), r"\[N, 8, 8, 1\]"),
    "ragged": ([[1.0], [1.0, 2.0]], r"\[N, 8, 8, 1\]"),
    "half floats": (GREY.astype(np.float16), "divide grey levels"),
}


@pytest.fixture(scope="module")
def model():
    parts = {"likelihood": "gaussian:sigma=0.5", "arch": "mlp:widths=4,latent=2", "image_shape": (8, 8, 1)}
    model = tfvae.build("elbo", condition="labels", classes=3, class_names=["circle", "Square", "2"], **parts)
    model.compile("sgd", jit_compile=False, run_eagerly=True)
    return model


def list_calls(model):
    """Return {name: function of images} of whatever takes images."""
    return {
        "terms": model.terms,
        "encode": model.encode,
        "reconstruct": model.reconstruct,
        "call": model,
        "kl_per_dimension": model.kl_per_dimension,
        "optimize": lambda x: model.optimize(np.asarray(x)),
        "evaluate_batch": model.evaluate_batch,
        "fit": lambda x: model.fit(x, verbose=0),
        "validation": lambda x: model.fit(UNIT, validation_data=(x, None), verbose=0),
        "evaluate": lambda x: model.evaluate(x, verbose=0),
        "predict": lambda x: model.predict(x, verbose=0),
        "train_on_batch": model.train_on_batch,
        "test_on_batch": model.test_on_batch,
        "bound": lambda x: score_images(model, np.asarray(x), xla="off"),
        "encode_images": lambda x: encode_images(model, np.asarray(x)),
        "interpolate": lambda x: latent_views.interpolate(model, x, x, 2),
    }


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_impossible_images_are_refused_everywhere(model, case):
    x, message = BAD_IMAGES[case]
    for name, call in list_calls(model).items():
        if case in ("ragged", "texts") and name in ("call", "optimize", "bound", "encode_images", "interpolate"):
            continue  # which take arrays of numbers or tensors alone
        with pytest.raises(TfvaeError, match=message) as caught:
            call(x)
        assert "\n" not in str(caught.value), name


def test_bits_lists_and_every_float_are_the_same_images(model):
    bits = GREY > 99
    expected = model.encode(bits.astype(np.float32))[0]
    for same in (bits, bits.astype(np.float64), bits.astype(np.float16), bits * np.uint8(255), bits[..., 0]):
        np.testing.assert_allclose(model.encode(same)[0], expected, rtol=1e-3, atol=1e-3)  # of half floats
    np.testing.assert_array_equal(model.encode(bits.astype(float).tolist())[0], expected)
    np.testing.assert_array_equal(to_unit_range(bits), bits)


@pytest.mark.parametrize("x", [GREY.astype(np.int64), GREY.astype(np.float32), NAN], ids=["int64", "grey", "NaN"])
def test_an_exported_model_takes_the_same_images(x):
    with pytest.raises(DataError, match=r"in \[0, 1\]"):
        to_unit_range(x)


def test_a_likelihood_of_real_numbers_takes_them():
    model = tfvae.build("elbo", "gaussian:sigma=1,link=linear", "mlp:widths=4,latent=2", image_shape=(8, 8, 1))
    assert np.isfinite(model.terms(10 * UNIT - 5).log_px).all()
    with pytest.raises(DataError, match="NaN"):
        model.encode(NAN)


BAD_LABELS = {
    "beyond": (np.arange(8), "labels from 0 to 2"),
    "below": (np.arange(8) - 3, "labels from 0 to 2"),
    "halves": (np.full(8, 0.5), "labels from 0 to 2"),
    "NaN": (np.full(8, np.nan), "labels from 0 to 2"),
    "huge": (np.full(8, 2**40), "labels from 0 to 2"),
    "one-hot": (np.eye(3)[np.arange(8) % 3], r"argmax\(axis=1\)"),
    "columns": (np.zeros((8, 1), int), r"\[8\]"),
    "too few": (np.zeros(5, int), r"\[8\]"),
    "flags": (np.zeros(8, bool), r"\[8\]"),
    "ragged": ([[1], [1, 2]], "condition labels"),
    "unknown name": (["circle"] * 7 + ["circel"], "Did you mean 'circle'"),
}


@pytest.mark.parametrize("case", BAD_LABELS)
def test_impossible_labels_are_refused_everywhere(model, case):
    labels, message = BAD_LABELS[case]
    calls = [
        lambda: model.terms(UNIT, condition=labels),
        lambda: model.encode(UNIT, labels),
        lambda: model.reconstruct(UNIT, condition=labels),
        lambda: model.decode(np.zeros((8, 2)), condition=labels),
        lambda: model.sample(8, condition=labels),
        lambda: model.fit(UNIT, labels, verbose=0),
        lambda: model.fit(UNIT, validation_data=(UNIT, labels), verbose=0),
        lambda: model.evaluate(UNIT, labels, verbose=0),
        lambda: model.train_on_batch(UNIT, labels),
        lambda: score_images(model, UNIT, labels=labels, xla="off"),
    ]
    for call in calls:
        with pytest.raises(TfvaeError, match=message) as caught:
            call()
        assert "\n" not in str(caught.value)


class Batches(keras.utils.PyDataset):
    """Batches of one's own."""

    def __init__(self, *arrays):
        super().__init__()
        self.arrays = arrays

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return self.arrays


def test_data_sets_are_looked_at_batch_by_batch(model):
    late = UNIT.copy()
    late[6] = 2.0
    labels, late_labels = np.zeros(8, int), np.where(np.arange(8) == 6, 7, 0)
    data = tf.data.Dataset.from_tensor_slices
    for x, message in (
        (data(late).batch(2), "others in a later one"),
        (data((UNIT, late_labels)).batch(2), "labels that the model knows"),
        (data((late, labels)).batch(2), r"\[0, 1\]"),
        (data(GREY.astype(np.float32)).batch(2), "divide grey levels"),
        (data(UNIT), r"\[N, 8, 8, 1\]"),
        (data(UNIT[:0]).batch(2), "at least one batch"),
        (Batches(GREY.astype(np.float32), labels), "divide grey levels"),
        (Batches(UNIT, labels + 9), "labels from 0 to 2"),
    ):
        with pytest.raises(TfvaeError, match=message):
            model.fit(x, shuffle=False, verbose=0)
    with pytest.raises(DataError, match="labels that the model knows"):
        model.evaluate(data((UNIT, late_labels)).batch(4), verbose=0)
    good = model.evaluate(data((UNIT, labels)).batch(8), verbose=0, return_dict=True)
    assert good == model.evaluate(UNIT, labels, batch_size=8, verbose=0, return_dict=True)
    assert good == model.evaluate(Batches(UNIT, labels), verbose=0, return_dict=True)


def test_other_conditions_have_ranges_and_shapes_too(model):
    part = conditions.parse_condition("inpaint:right", image_shape=(8, 8, 1))
    beta = conditions.parse_condition("beta:0.1-10")
    for condition, values in (
        (beta, [0.05, 11.0, np.nan, -1.0, [1.0, 2.0, 3.0], [[1.0], [2.0]], "1", True]),
        (part, [GREY[:2], 2 * UNIT[:2], NAN[2:4], UNIT[:3], UNIT[:2, :7], 0.5, "x"]),
    ):
        for value in values:
            with pytest.raises(UsageError, match=condition.name):
                condition.resolve_values(value, 2, (0, 0), False)
    np.testing.assert_allclose(beta.resolve_values(np.float32([0.1, 10.0]), 2, (0, 0), False), [0.1, 10.0])
    assert part.resolve_values(-np.ones((8, 8, 1)), 2, (0, 0), False).shape == (2, 8, 8, 1)


# --- names of labels -----------------------------------------------------------------------------------------------


def test_labels_have_names(model, tmp_path):
    for name, label in (("circle", 0), ("square", 1), ("Square", 1), ("0", 0), ("name:2", 2), ("number:1", 1)):
        np.testing.assert_array_equal(model.sample(2, condition=name), model.sample(2, condition=label))
    both = model.sample(2, condition=["square", "circle"])
    np.testing.assert_array_equal(both, model.sample(2, condition=[1, 0]))
    assert model.get_config()["class_names"] == ("circle", "Square", "2")
    model.save(tmp_path / "a.keras")
    assert keras.saving.load_model(tmp_path / "a.keras").condition.find_label("circle") == 0


def test_names_that_mean_no_class_or_several():
    """Folders named by numbers: their names are not their labels."""
    shifted = LabelCondition(3, ["1", "2", "3"])
    with pytest.raises(UsageError, match=r"'1', which means 0 \('1'\) or 1 \('2'\). Say number:1 or name:1"):
        shifted.find_label("1")
    assert (shifted.find_label("name:1"), shifted.find_label("number:1"), shifted.find_label("3")) == (0, 1, 2)
    same = LabelCondition(3, ["0", "1", "2"])
    assert [same.find_label(text) for text in "012"] == [0, 1, 2]
    with pytest.raises(UsageError, match=r"means 0 \('cat'\) or 1 \('CAT'\)"):
        LabelCondition(2, ["cat", "CAT"]).find_label("Cat")
    with pytest.raises(UsageError, match="from 0 to 1. Received: 'cat'"):
        LabelCondition(2).find_label("cat")
    with pytest.raises(UsageError, match="and 980 more. Received: 'x'"):
        LabelCondition(1000, [f"class {i}" for i in range(1000)]).find_label("x")
    with pytest.raises(UsageError, match="3 class names"):
        LabelCondition(3, ["a", "b"])
    with pytest.raises(UsageError, match="the data set says how many"):
        conditions.parse_condition("labels:3", 3)


def test_published_sets_have_names():
    assert tfvae.datasets.class_names("fashion_mnist")[9] == "Ankle boot"
    assert tfvae.datasets.class_names("cifar10:size=16")[0] == "airplane"
    assert tfvae.datasets.class_names(Config(dataset="digits").dataset) == ()
