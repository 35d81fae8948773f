"""SavedModels of models with a condition: they take it as the live model does, and refuse other values."""

import json
import pathlib
import runpy
import shutil
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from savedmodels import write_savedmodel

import tfvae
from tfvae import config
from tfvae.cli.command_line import main
from tfvae.errors import DataError, UsageError
from tfvae.exporting import decoder_writers, exporter, model_card, savedmodel
from tfvae.runtime import files
from tfvae.training import trainer
from tfvae.zoo import load

CLIENT = pathlib.Path(__file__).parents[2] / "export" / "clients" / "sample_savedmodel.py"
SHAPE, SEED, TEMPERATURE, N = (8, 8, 1), (3, -4), 0.7, 5
CASES = {
    "labels": ("elbo", {"condition": "labels", "classes": 3}, np.int32([2, -1, 0, 1, 2])),
    "kappa": ("geco", {"condition": "kappa:3.1-5.3"}, np.float32([3.1, 5.3, 4, 3.3, 4.7])),
    "upsample": ("elbo", {"condition": "upsample:2"}, np.random.default_rng(5).random((N, *SHAPE), np.float32)),
}
LABELS, KAPPA, UPSAMPLE = CASES
OPTIONS = {"likelihood": "gaussian:sigma=0.3", "arch": "mlp:widths=12,latent=3", "image_shape": SHAPE}


@pytest.fixture(scope="module")
def models():
    """One for each condition, and one without, every weight away from its initial value."""
    built = {name: tfvae.build(objective, **OPTIONS, **condition) for name, (objective, condition, _) in CASES.items()}
    built["none"] = tfvae.build("elbo", **OPTIONS)
    draw = np.random.default_rng(1)
    for model in built.values():
        for variable in model.arch.trainable_variables:
            variable.assign(variable + draw.normal(0, 0.1, variable.shape))
    return built


@pytest.fixture(scope="module")
def root(models, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported")
    for name, model in models.items():
        write_savedmodel(model, folder, name)
    return folder


def images():
    return np.rint(255 * np.random.default_rng(0).uniform(size=(N, *SHAPE))).astype(np.uint8)


def close(found, known):
    # Nats are sums of 64 float32 terms, so rounding goes by their size; pixels and codes are of order 1.
    np.testing.assert_allclose(found, known, atol=1e-5 * max(1.0, float(np.max(np.abs(known)))))


@pytest.mark.parametrize("name", CASES)
def test_every_signature_computes_what_the_live_model_does(name, models, root):
    """TensorFlow alone, one value an image, the ends of the range, no float32 numbers, among them."""
    model, condition_values = models[name], CASES[name][2]
    call = tf.saved_model.load(str(root / name / "1")).signatures
    x, z = images(), np.random.default_rng(2).standard_normal((N, 3)).astype(np.float32)
    pixels, codes, condition = tf.constant(x / np.float32(255)), tf.constant(z), tf.constant(condition_values)
    mean, stddev = model.encode(tf.constant(x), condition_values)
    numbers = model.metric_columns(model.terms(tf.constant(x), seed=SEED, condition=condition_values))
    drawn = {"n": tf.constant(N), "seed": tf.constant(SEED), "temperature": tf.constant(TEMPERATURE)}
    sample = model.sample(N, SEED, TEMPERATURE, condition_values)
    for key, inputs, expected in (
        ("encode", {"x": pixels}, {"mean": mean, "stddev": stddev}),
        ("decode", {"z": codes}, {"image": model.decode(z, condition_values)}),
        ("serving_default", {"z": codes}, {"image": model.decode(z, condition_values)}),
        ("reconstruct", {"x": pixels}, {"image": model.decode(mean, condition_values)}),
        ("sample", drawn, {"image": sample}),
        ("elbo", {"x": pixels, "seed": drawn["seed"]}, {k: numbers[k] for k in ("elbo", "rate", "distortion")}),
    ):
        outputs = call[key](**inputs, condition=condition)
        assert outputs.keys() == expected.keys()
        for output, value in expected.items():
            close(outputs[output], value)
    files = call["sample_png"](**drawn, condition=condition)["png_bytes"]
    # Both round to the nearest byte; near the middle of two, the float rounding of either graph decides.
    assert np.max(np.abs([tf.io.decode_png(file) for file in files] - 255 * sample)) <= 0.501
    reversed_sample = model.sample(N, SEED, TEMPERATURE, condition_values[::-1])
    assert np.max(np.abs(sample - reversed_sample)) > 1e-3  # the condition matters


@pytest.mark.parametrize("name", CASES)
def test_the_loaded_object_takes_it_as_the_live_model_does(name, models, root):
    """One number, one for each image, or nothing: the default, for all methods; `condition` says what there is."""
    model, loaded, each = models[name], tfvae.load(root / name), CASES[name][2]
    assert (
        type(loaded.condition) is type(model.condition)
        and loaded.condition.metadata == model.condition.metadata
        and loaded.condition.name == name
    )
    x, z = images(), np.ones((N, 3), np.float32)
    for told in (None, each[-1], each):
        close(loaded.decode(z, told), model.decode(z, told))
        close(loaded.sample(N, SEED, TEMPERATURE, told), model.sample(N, SEED, TEMPERATURE, told))
        mean, stddev = model.encode(tf.constant(x), told)
        close(loaded.encode(x, told), [mean, stddev])
        own = (
            model.condition.values_from_images(x / np.float32(255)) if told is None else told
        )  # a picture is told by x itself
        close(loaded.reconstruct(x, told), model.decode(mean, own))


def test_other_values_of_the_condition_are_refused(root):
    """By the graph itself, so by any server; the number of values, too."""
    labels, kappa, none, visible = (load.load(root / name) for name in (LABELS, KAPPA, "none", UPSAMPLE))
    x, z = images(), np.zeros((N, 3), np.float32)
    for ask, sentence in (
        (lambda: labels.sample(2, condition=3), "labels from 0 to 2"),
        (lambda: labels.encode(x, -2), "labels from 0 to 2"),
        (lambda: labels.decode(z, [0, 1, 2, 0, 3]), "labels from 0 to 2"),
        (lambda: labels.decode(z, 1.5), "labels from 0 to 2"),
        (lambda: kappa.reconstruct(x, 3.09), r"kappa in \[3.1, 5.3\]"),
        (lambda: kappa.sample(2, condition=5.31), r"kappa in \[3.1, 5.3\]"),
        (lambda: kappa.sample(2, condition=float("nan")), r"kappa in \[3.1, 5.3\]"),
        (lambda: kappa.decode(z, float("inf")), r"kappa in \[3.1, 5.3\]"),
        (lambda: kappa.decode(z, [4, 4]), "as many values"),
        (lambda: kappa.decode(z, [4]), "as many values"),
        (lambda: labels.sample(3, condition=[0, 1]), "as many values"),
        (lambda: labels.sample(10**9, condition=0), "Expected 1 <= n <= 4096."),
        (lambda: none.sample(2, condition=0), "trained without"),
        (lambda: visible.decode(z, x / np.float32(127)), r"upsample in \[-1, 1\]"),
        (lambda: visible.decode(z, np.zeros((2, *SHAPE))), "as many values"),
    ):
        with pytest.raises(UsageError, match=sentence):
            ask()


@pytest.mark.parametrize(("name", "dtype"), [(LABELS, "int32"), (KAPPA, "float32")])
def test_one_more_input_and_no_other_change(name, dtype, root):
    """`condition` [n] in every signature; it is trusted, needs no XLA, and a model without one has none."""
    report, plain = (savedmodel.describe_savedmodel(root / key / "1") for key in (name, "none"))
    assert report["trusted"] and report["must_compile"] == 0
    for signature in report["signatures"].values():
        assert signature["inputs"].pop("condition") == {"dtype": dtype, "shape": [None]}
    assert report["signatures"] == plain["signatures"]


@pytest.mark.parametrize("name", CASES)
def test_warm_up_has_a_condition_that_is_accepted(name, root):
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    folder = root / name / "1"
    call, seen = tf.saved_model.load(str(folder)).signatures, set()
    for record in tf.data.TFRecordDataset(str(folder / exporter.WARMUP_FILE)):
        request = logs.PredictionLog.FromString(record.numpy()).predict_log.request
        seen.add(request.model_spec.signature_name)
        inputs = {key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()}
        assert inputs["condition"].shape[0] == 1
        call[request.model_spec.signature_name](**inputs)
    assert seen == set(call)


def test_manifest_and_card_name_the_condition(root):
    about = {name: files.read_json(root / name / "1" / savedmodel.MANIFEST) for name in (*CASES, "none")}
    assert about[LABELS]["condition"] == {"name": "labels", "spec": "labels", "classes": 3}
    assert about[UPSAMPLE]["condition"] == {"name": "upsample", "spec": "upsample:2", "shape": list(SHAPE)}
    assert about[KAPPA]["condition"] == {"name": "kappa", "spec": "kappa:3.1-5.3", "low": 3.1, "high": 5.3}
    assert "condition" not in about["none"]
    rest = {"config": config.Config(dataset="digits").to_dict(), "epoch": 1, "step": 1}
    cards = {name: model_card.format_model_card(manifest | rest, {}) for name, manifest in about.items()}
    assert "It takes a condition: label of each image, 0 to 2; -1: not known." in cards[LABELS]
    assert "It takes a condition: kappa of each image, 3.1 to 5.3." in cards[KAPPA]
    assert "| `encode` | input | `condition` | float32 [free] | kappa of each image, 3.1 to 5.3 |" in cards[KAPPA]
    assert "condition" not in cards["none"]


@pytest.mark.parametrize("name", [*CASES, "none"])
def test_the_code_on_the_card_runs(name, root):
    """As printed, for this model's folder."""
    about = files.read_json(root / name / "1" / savedmodel.MANIFEST)
    code = model_card.format_loading_code(about).partition("```python\n")[2].partition("```")[0]
    scope = {}
    exec(code.replace("DIR/1", str(root / name / "1")), scope)
    assert scope["again"].shape == scope["images"].shape == (16, *SHAPE)


def test_a_trusted_model_with_a_strange_manifest(root, tmp_path):
    """The condition is then unknown; its signatures are refused by name, and TensorFlow may still be asked."""
    for text in ("[]", "{", '{"condition": 3}', '{"condition": {"spec": "labels", "classes": "x"}}'):
        place = tmp_path / "1"
        shutil.copytree(root / LABELS / "1", place, dirs_exist_ok=True)
        (place / savedmodel.MANIFEST).write_text(text)
        with pytest.raises(DataError, match="signature decode"):
            load.load(place, trust=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    root = tmp_path_factory.mktemp("run")
    settings = dict(dataset="digits", arch="mlp:widths=8,latent=2", condition="labels", limit=200, epochs=1, xla="off")
    return trainer.train(run_dir=str(root / "run"), root=str(root), **settings).path


def test_command_line(run, root, tmp_path, monkeypatch, capsys):
    """Export a run, sample all classes: the picture is that of the run, byte for byte; ten rows of one class each."""
    monkeypatch.chdir(tmp_path)
    assert main(["export", str(run), "m"]) == 0
    assert json.loads((tmp_path / "m" / "1" / "manifest.json").read_text())["condition"]["classes"] == 10
    assert "0 to 9; -1: not known" in (tmp_path / "m" / "1" / "model_card.md").read_text()
    for place, name in ((str(run), "run.png"), ("m", "exported.png")):
        assert main(["sample", place, "-n", "20", "--seed", "1", "--label", "all", "-o", name]) == 0
    assert pathlib.Path("run.png").read_bytes() == pathlib.Path("exported.png").read_bytes()
    with Image.open("run.png") as picture:
        assert 4.5 < picture.size[1] / picture.size[0] <= 5  # two columns, with gaps
    assert main(["sample", str(root / KAPPA), "-n", "4", "--kappa", "3.5", "-o", "kappa.png"]) == 0
    capsys.readouterr()
    for place, flag, text in (
        ("m", ["--label", "10"], "0 to 9"),
        ("m", ["--kappa", "3"], "one with --condition labels"),
        (str(root / KAPPA), ["--kappa", "6"], "[3.1, 5.3]"),
        (str(root / "none"), ["--label", "1"], "no --condition"),
    ):
        assert main(["sample", place, *flag]) == 2
        assert text in capsys.readouterr().err


@pytest.mark.slow
def test_the_client_asks_for_a_condition(root, tmp_path, monkeypatch, capsys):
    """It draws what the live model does for that label, and says when one is missing or too many."""
    pictures = {}
    for label in "0", "2", "-1":
        file = tmp_path / f"{label}.png"
        argv = [str(CLIENT), str(root / LABELS), "-n", "4", "--seed", "1", "--condition", label, "-o", str(file)]
        monkeypatch.setattr(sys, "argv", argv)
        runpy.run_path(str(CLIENT), run_name="__main__")
        with Image.open(file) as picture:
            pictures[label] = np.asarray(picture)
    expected = 255 * tfvae.load(root / LABELS).sample(4, 1, condition=2).numpy()
    grid = expected.reshape(2, 2, 8, 8).swapaxes(1, 2).reshape(16, 16)
    assert np.max(np.abs(pictures["2"] - grid)) <= 0.501
    assert not np.array_equal(pictures["0"], pictures["2"]) and not np.array_equal(pictures["-1"], pictures["2"])
    for name, more, text in ((KAPPA, [], "needs --condition"), ("none", ["--condition", "1"], "no condition")):
        monkeypatch.setattr(sys, "argv", [str(CLIENT), str(root / name), *more])
        with pytest.raises(SystemExit):
            runpy.run_path(str(CLIENT), run_name="__main__")
        assert text in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_decoder_alone_is_that_of_an_unknown_label(run, tmp_path):
    """LiteRT's answer is compared with the live model's before it is kept; here, with the condition named."""
    file = decoder_writers.export_decoder(run, tmp_path, "litert")
    z = np.random.default_rng(0).standard_normal((3, 2)).astype(np.float32)
    close(decoder_writers.probe_litert(str(file), z), tfvae.load(run).decode(z, -1))
