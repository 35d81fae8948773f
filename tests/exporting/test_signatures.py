"""Signatures: in a process with TensorFlow alone they compute what the live model does, and refuse the same."""

import json
import os
import pathlib
import runpy
import shutil
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from savedmodels import build_perturbed_model, write_savedmodel
from small_parts import ARCHITECTURES, LIKELIHOODS, PRIORS

import tfvae
from tfvae import config
from tfvae.errors import DataError, UsageError
from tfvae.exporting import exporter, model_card, savedmodel, signatures
from tfvae.runtime import files
from tfvae.zoo import load

CLIENT = pathlib.Path(__file__).parents[2] / "export" / "clients" / "sample_savedmodel.py"
SHAPE, BATCHES, SEED, TEMPERATURE = (8, 8, 3), (1, 2, 7, 64), (3, -4), 0.7
MLP, STEPS = ARCHITECTURES["mlp"], 2  # of its ConvDraw
QUICK = ("mlp", "conv", "convdraw")
# Some architectures, each with a likelihood and a prior of its own. The whole product is under `slow`.
CASES = {
    f"{likelihood}-{arch}-{prior}": {
        "likelihood": LIKELIHOODS[likelihood],
        "arch": ARCHITECTURES[arch],
        "prior": PRIORS[prior],
    }
    for likelihood, arch, prior in zip(LIKELIHOODS, ARCHITECTURES, [*PRIORS, *reversed(PRIORS)])
    if arch in QUICK
}
FIRST = next(iter(CASES))
CASES["dynamic"] = {"likelihood": "bernoulli", "arch": MLP, "binarize": "dynamic"}
# One process reads all models, for TensorFlow takes seconds to start: folder/NAME/1 and folder/in.npz -> NAME.npz.
READER = """
import pathlib, sys
import numpy as np, tensorflow as tf
root, to = map(pathlib.Path, sys.argv[1:3])
given = np.load(root / "in.npz")
for folder in sorted(root.glob("*/1")):
    call = tf.saved_model.load(str(folder)).signatures
    z, seed, temperature = (tf.constant(given[key]) for key in ("z", "seed", "temperature"))
    z = z[:, : call["decode"].structured_input_signature[1]["z"].shape[-1]]
    found = {}
    for n in given["batches"]:
        x = tf.constant(given["x"][:n])
        asked = {"decode": {"z": z[:n]}, "serving_default": {"z": z[:n]}, "encode": {"x": x}, "reconstruct": {"x": x},
                 "sample": {"n": tf.constant(n), "seed": seed, "temperature": temperature},
                 "elbo": {"x": x, "seed": seed}, "score": {"x": x, "seed": seed}, "decode_png": {"z": z[:n]},
                 "sample_png": {"n": tf.constant(n), "seed": seed, "temperature": temperature}}
        if "draw" in call:
            asked["draw"] = asked["sample"]
        for name, inputs in asked.items():
            for key, value in call[name](**inputs).items():
                found[f"{name}/{key}/{n}"] = value.numpy()
    np.savez(to / f"{folder.parent.name}.npz", **found)
assert not [name for name in sys.modules if name.partition(".")[0] in ("tfvae", "tensorflow_probability")]
"""


def read_all(root, to):
    """What a process with TensorFlow alone gets out of the models below `root`, {NAME: arrays}."""
    to.mkdir()
    command = [sys.executable, "-W", "error::UserWarning", "-c", READER, str(root), str(to)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    assert done.returncode == 0, done.stderr
    return {path.stem: dict(np.load(path, allow_pickle=True)) for path in to.glob("*.npz")}


def write_inputs(root, latent=512):
    """Images, and codes of which each model takes the first columns."""
    draw = np.random.default_rng(0)
    x = np.rint(255 * draw.uniform(size=(max(BATCHES), *SHAPE))).astype(np.uint8)
    z = draw.standard_normal((max(BATCHES), latent)).astype(np.float32)
    values = {"x": x.astype(np.float32) / 255, "z": z, "seed": np.int32(SEED), "temperature": np.float32(TEMPERATURE)}
    np.savez(root / "in.npz", batches=np.int32(BATCHES), **values)
    return x, z


def compute_outputs(model, x, z):
    """{signature/output: array} of the live model, eager, for byte images x and codes z of one batch."""
    mean, stddev = model.encode(x)
    terms = model.terms(x, seed=SEED)
    drawn = {"draw/frames": decode_steps(model, len(x))} if model.arch.draws_in_steps else {}
    numbers = model.metric_columns(terms)
    return {
        "decode/image": model.decode(z),
        "serving_default/image": model.decode(z),
        "encode/mean": mean,
        "encode/stddev": stddev,
        "reconstruct/image": model.decode(mean),
        "sample/image": model.sample(len(x), SEED, TEMPERATURE),
        **{f"elbo/{name}": numbers[name] for name in ("elbo", "rate", "distortion")},
        **{f"score/{name}": numbers[name] for name in ("elbo", "rate")},
        "score/map": (squares := (model.prepare_pixels(x, (0, 0)) - model.decode(mean)) ** 2).numpy().sum(-1),
        "score/error": squares.numpy().sum((1, 2, 3)),
        **drawn,
    }


def decode_steps(model, n):
    """The picture after each step, one by one, [n, S, H, W, C]."""
    z = TEMPERATURE * model.prior.sample(n, tf.constant(SEED), model.arch.encode)
    return np.stack([model.likelihood.mean(canvas) for canvas in model.arch.decode_canvases(z)], axis=1)


def check_equal(model, found, x, z):
    """All outputs for all batch sizes, and the PNG files."""
    for n in BATCHES:
        expected = compute_outputs(model, tf.constant(x[:n]), tf.constant(z[:n, : model.arch.latent]))
        for key, value in expected.items():
            # Nats are sums of hundreds of float32 terms, so rounding goes by their size; pixels are below 1.
            scale = max(1.0, float(np.max(np.abs(value))))
            assert np.max(np.abs(found[f"{key}/{n}"] - value)) <= 1e-5 * scale, (key, n)
        for name in ("decode", "sample"):
            pictures = np.stack([tf.io.decode_png(data).numpy() for data in found[f"{name}_png/png_bytes/{n}"]])
            # Both round to the nearest byte; near the middle of two, the float rounding of either graph decides.
            assert np.max(np.abs(pictures - 255 * found[f"{name}/image/{n}"])) <= 0.501


@pytest.fixture(scope="module")
def models():
    return {name: build_perturbed_model(**options) for name, options in CASES.items()}


@pytest.fixture(scope="module")
def exported(models, tmp_path_factory):
    """The folder with all of them, and what was put in."""
    root = tmp_path_factory.mktemp("exported")
    for name, model in models.items():
        write_savedmodel(model, root, name)
    return root, write_inputs(root)


@pytest.fixture(scope="module")
def read(exported, tmp_path_factory):
    """What another process got, and where it put it."""
    to = tmp_path_factory.mktemp("read") / "all"
    return read_all(exported[0], to), to


@pytest.mark.parametrize("name", CASES)
def test_tensorflow_alone_computes_what_the_live_model_does(name, models, exported, read):
    check_equal(models[name], read[0][name], *exported[1])


@pytest.mark.parametrize("name", list(CASES)[:-1])
def test_one_seed_gives_the_same_bytes_in_two_processes(name, exported, read):
    """Those of this process and of the other one; and another size of the batch does not change a sample."""
    there, here = read[0][name], load.load(exported[0] / name)
    for n in BATCHES:
        np.testing.assert_array_equal(there[f"sample/image/{n}"], here.sample(n, SEED, TEMPERATURE))
    np.testing.assert_allclose(there["sample/image/64"][:7], there["sample/image/7"], atol=1e-6)


def test_the_client_draws_a_grid(exported, tmp_path, monkeypatch):
    """5 images of 8x8x3 in 3 columns and 2 rows; a model that was changed is refused."""
    folder, grid = exported[0] / FIRST, tmp_path / "grid.png"
    monkeypatch.setattr(sys, "argv", [str(CLIENT), str(folder), "-n", "5", "-o", str(grid)])
    runpy.run_path(str(CLIENT), run_name="__main__")
    shutil.copytree(folder, tmp_path / "changed")
    (tmp_path / "changed" / "1" / "model_card.md").write_text("changed")
    monkeypatch.setattr(sys, "argv", [str(CLIENT), str(tmp_path / "changed")])
    with pytest.raises(SystemExit, match="4"):
        runpy.run_path(str(CLIENT), run_name="__main__")
    with Image.open(grid) as picture:
        assert picture.size == (24, 16) and picture.mode == "RGB" and np.asarray(picture).std() > 0


@pytest.mark.slow
@pytest.mark.parametrize("prior", PRIORS)
def test_every_combination(prior, tmp_path):
    """The full product of architecture, likelihood and prior."""
    built = {}
    for arch in ARCHITECTURES:
        for likelihood in LIKELIHOODS:
            name = f"{arch}+{likelihood}"
            built[name] = build_perturbed_model(
                likelihood=LIKELIHOODS[likelihood], arch=ARCHITECTURES[arch], prior=PRIORS[prior]
            )
            write_savedmodel(built[name], tmp_path, name)
            assert savedmodel.describe_savedmodel(tmp_path / name / "1")["trusted"]
    x, z = write_inputs(tmp_path)
    outputs = read_all(tmp_path, tmp_path / "read")
    for name, model in built.items():
        check_equal(model, outputs[name], x, z)


GOLDEN = {
    "decode": ({"z": ("float32", [None, 3])}, {"image": ("float32", [None, 8, 8, 3])}),
    "decode_png": ({"z": ("float32", [None, 3])}, {"png_bytes": ("string", [None])}),
    "elbo": (
        {"seed": ("int32", [2]), "x": ("float32", [None, 8, 8, 3])},
        {"distortion": ("float32", [None]), "elbo": ("float32", [None]), "rate": ("float32", [None])},
    ),
    "encode": (
        {"x": ("float32", [None, 8, 8, 3])},
        {"mean": ("float32", [None, 3]), "stddev": ("float32", [None, 3])},
    ),
    "reconstruct": ({"x": ("float32", [None, 8, 8, 3])}, {"image": ("float32", [None, 8, 8, 3])}),
    "sample": (
        {"n": ("int32", []), "seed": ("int32", [2]), "temperature": ("float32", [])},
        {"image": ("float32", [None, 8, 8, 3])},
    ),
    "sample_png": (
        {"n": ("int32", []), "seed": ("int32", [2]), "temperature": ("float32", [])},
        {"png_bytes": ("string", [None])},
    ),
    "score": (
        {"seed": ("int32", [2]), "x": ("float32", [None, 8, 8, 3])},
        {
            **{name: ("float32", [None]) for name in ("elbo", "error")},
            **{"map": ("float32", [None, 8, 8]), "rate": ("float32", [None])},
        },
    ),
    "serving_default": ({"z": ("float32", [None, 3])}, {"image": ("float32", [None, 8, 8, 3])}),
}


@pytest.mark.parametrize("name", CASES)
def test_signatures_are_golden(name, exported):
    """Names, types and shapes are what clients are written against; ConvDraw has one more."""
    outputs = savedmodel.describe_savedmodel(exported[0] / name / "1")["signatures"]
    if "-convdraw-" in name:
        draw = outputs.pop("draw")
        assert draw["inputs"] == outputs["sample"]["inputs"]
        assert draw["outputs"] == {"frames": {"dtype": "float32", "shape": [None, STEPS, *SHAPE]}}
    latent = outputs["decode"]["inputs"]["z"]["shape"][1]
    flat = {
        key: tuple({k: (v["dtype"], v["shape"]) for k, v in sides[side].items()} for side in ("inputs", "outputs"))
        for key, sides in outputs.items()
    }
    assert str(flat).replace(f"[None, {latent}]", "[None, 3]") == str(GOLDEN)


@pytest.mark.parametrize("name", CASES)
def test_only_the_forward_maths_is_inside(name, models, exported):
    """No function demands XLA, no op is off the list, and the variables are those of encoder, decoder and pixels."""
    report = savedmodel.describe_savedmodel(exported[0] / name / "1")
    assert report["must_compile"] == 0 and report["findings"] == [] and report["trusted"]
    model = models[name]
    inside = [v for part in (model.arch, model.likelihood, model.prior) for v in part.variables]
    sizes = sorted(int(np.prod(v.shape)) for v in inside if not v.path.endswith("/started"))  # of training only
    stored = tf.train.list_variables(str(exported[0] / name / "1" / "variables" / "variables"))
    assert sizes == sorted(int(np.prod(shape)) for key, shape in stored if not key.startswith("_CHECKPOINTABLE"))


def test_a_compiled_model_leaves_its_optimizer_and_multipliers_behind(tiny, images, tmp_path):
    model = tiny("geco:kappa=1", learning_rate=0.01)
    model.optimize(tf.constant(images()))
    folder = write_savedmodel(model, tmp_path, "m")
    names = tf.train.list_variables(str(folder / "variables" / "variables"))
    trained = sum(v.shape.num_elements() for v in model.arch.trainable_variables)
    assert sum(int(np.prod(shape)) for name, shape in names if "VARIABLE" in name) == trained
    assert savedmodel.describe_savedmodel(folder)["must_compile"] == 0
    compiled = tf.Module()
    compiled.f = tf.function(lambda x: 2.0 * x, input_signature=[tf.TensorSpec([])], jit_compile=True)
    tf.saved_model.save(compiled, str(tmp_path / "xla"), compiled.f.get_concrete_function())
    assert savedmodel.describe_savedmodel(tmp_path / "xla")["must_compile"] > 0


def test_it_is_a_reusable_saved_model(exported):
    """Called like a layer, with its variables and losses; a gradient step on a loaded decoder lowers an error."""
    model = tf.saved_model.load(str(exported[0] / FIRST / "1"))
    z, target = tf.ones([4, 3]), tf.zeros([4, *SHAPE])
    assert list(model.regularization_losses) == [] and len(model.variables) >= len(model.trainable_variables) > 0
    np.testing.assert_array_equal(model(z)["image"], model.decode(z)["image"])
    errors = []
    for _ in range(2):
        with tf.GradientTape() as tape:
            errors.append(tf.reduce_sum(tf.square(model(z)["image"] - target)))
        gradients = tape.gradient(errors[-1], model.trainable_variables)
        for variable, gradient in zip(model.trainable_variables, gradients):
            if gradient is not None:
                variable.assign_sub(1e-3 * gradient)
    assert errors[1] < errors[0]


def test_warm_up_covers_every_signature(exported):
    """The records parse as TF Serving's own messages, and each one runs."""
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2")
    folder = exported[0] / FIRST / "1"
    call = tf.saved_model.load(str(folder)).signatures
    seen = []
    for record in tf.data.TFRecordDataset(str(folder / "assets.extra" / "tf_serving_warmup_requests")):
        request = logs.PredictionLog.FromString(record.numpy()).predict_log.request
        assert request.model_spec.name == FIRST
        seen.append(request.model_spec.signature_name)
        outputs = call[seen[-1]](**{key: tf.constant(tf.make_ndarray(value)) for key, value in request.inputs.items()})
        assert all(value.shape[0] == 1 for value in outputs.values())
    assert sorted(seen) == sorted(GOLDEN)


def test_the_steps_of_a_drawing(models, exported):
    """They end with the sample of the same seed; n is bounded by images times steps; the warm-up has one."""
    (name,) = (name for name in CASES if "-convdraw-" in name)
    folder = exported[0] / name / "1"
    call = tf.saved_model.load(str(folder)).signatures
    inputs = {"seed": tf.constant(SEED), "temperature": tf.constant(TEMPERATURE)}
    frames = call["draw"](n=tf.constant(5), **inputs)["frames"].numpy()
    np.testing.assert_allclose(frames[:, -1], call["sample"](n=tf.constant(5), **inputs)["image"], atol=1e-6)
    assert np.abs(frames[:, 0] - frames[:, -1]).max() > 0.01
    most = signatures.compute_max_images(models[name]) // STEPS
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"1 <= n <= {most}"):
        call["draw"](n=tf.constant(most + 1), **inputs)
    records = b"".join(record.numpy() for record in tf.data.TFRecordDataset(str(folder / exporter.WARMUP_FILE)))
    assert b"draw" in records
    rest = {"config": config.Config(dataset="digits").to_dict(), "epoch": 1, "step": 1}
    text = model_card.format_model_card(files.read_json(folder / savedmodel.MANIFEST) | rest, {})
    assert f"| `draw` | input | `n` | int32 [] | images to draw, 1 to {most} |" in text
    assert "| `draw` | output | `frames` |" in text


def test_the_model_refuses_what_it_cannot_answer(exported):
    """Errors of the model itself, so any server gives them: TF Serving answers InvalidArgument with a 400."""
    model = load.load(exported[0] / FIRST)
    x, z = np.zeros((2, *SHAPE), np.float32), np.zeros((2, 3), np.float32)
    for ask, sentence in (
        (lambda: model.sample(0), "Expected 1 <= n <= 4096."),
        (lambda: model.sample(10**9), "Expected 1 <= n <= 4096."),
        (lambda: model.sample(2**32 + 1), "int32"),
        (lambda: model.sample(2, temperature=float("nan")), "temperature >= 0"),
        (lambda: model.sample(2, temperature=-1.0), "temperature >= 0"),
        (lambda: model.decode(z + np.float32("inf")), "finite z"),
    ):
        with pytest.raises(UsageError, match=sentence):
            ask()
    signatures_alone = tf.saved_model.load(str(exported[0] / FIRST / "1")).signatures  # as TF Serving has them
    for name, pixels in (("encode", x + np.float32("nan")), ("reconstruct", x + 255)):
        with pytest.raises(tf.errors.InvalidArgumentError, match=r"pixels x in \[0, 1\]"):
            signatures_alone[name](x=tf.constant(pixels))
        with pytest.raises(DataError, match=r"in \[0, 1\]"):
            getattr(model, name)(pixels)
    with pytest.raises(DataError, match=r"\[None, 8, 8, 3\]"):
        model.encode(x[:, :4])


def test_what_one_request_costs_is_bounded(models):
    """n times the decoder's outputs stay below 2**26, whatever the size of the images."""
    assert signatures.compute_max_images(models[FIRST]) == 4096
    large = tfvae.build("elbo", "categorical", "conv:widths=4,hidden=4,latent=2", image_shape=(64, 64, 3))
    assert signatures.compute_max_images(large) == 2**26 // (64 * 64 * 3 * 256) == 21


def test_binary_pixels_of_a_dynamic_model_stay(models, exported):
    """Grey levels are drawn as in training (see the equality test); zeros and ones pass as they are."""
    model, loaded = models["dynamic"], load.load(exported[0] / "dynamic")
    bits = np.random.default_rng(1).integers(0, 2, (6, *SHAPE)).astype(np.float32)
    np.testing.assert_allclose(loaded.encode(bits)[0], model.encode(tf.constant(bits))[0], atol=1e-6)
    np.testing.assert_allclose(loaded.encode(np.uint8(255 * bits))[0], loaded.encode(bits)[0])


# --- TensorFlow's C++ loader, without Python ----------------------------------------------------------------------

LOADER = """
import ctypes, json, os, struct, sys
place, folder, input, output, width = sys.argv[1:6]
tf = ctypes.CDLL(os.path.join(place, "libtensorflow_cc.so.2"), mode=ctypes.RTLD_GLOBAL)
for name in "Status SessionOptions Graph".split():
    getattr(tf, "TF_New" + name).restype = ctypes.c_void_p
for name in "TF_LoadSessionFromSavedModel TF_AllocateTensor TF_TensorData TF_GraphOperationByName".split():
    getattr(tf, name).restype = ctypes.c_void_p
tf.TF_Message.restype, tf.TF_TensorByteSize.restype = ctypes.c_char_p, ctypes.c_size_t
p = ctypes.c_void_p
class Output(ctypes.Structure):
    _fields_ = [("oper", p), ("index", ctypes.c_int)]
status, graph = p(tf.TF_NewStatus()), p(tf.TF_NewGraph())
def check():
    assert tf.TF_GetCode(status) == 0, tf.TF_Message(status)
tags = (ctypes.c_char_p * 1)(b"serve")
session = p(tf.TF_LoadSessionFromSavedModel(
    p(tf.TF_NewSessionOptions()), None, folder.encode(), tags, 1, graph, None, status))
check()
def place_of(name):
    op, _, index = name.partition(":")
    return Output(p(tf.TF_GraphOperationByName(graph, op.encode())), int(index))
width = int(width)
tensor = p(tf.TF_AllocateTensor(1, (ctypes.c_int64 * 2)(2, width), 2, ctypes.c_size_t(8 * width)))
ctypes.memmove(p(tf.TF_TensorData(tensor)), struct.pack(f"{2 * width}f", *[0.5] * 2 * width), 8 * width)
found = (p * 1)()
tf.TF_SessionRun(session, None, ctypes.byref(place_of(input)), ctypes.byref(tensor), 1, ctypes.byref(place_of(output)),
                 found, 1, None, 0, None, status)
check()
size = tf.TF_TensorByteSize(p(found[0])) // 4
print(json.dumps(struct.unpack(f"{size}f", ctypes.string_at(tf.TF_TensorData(p(found[0])), 4 * size))))
assert "tensorflow" not in sys.modules and "numpy" not in sys.modules
"""


@pytest.mark.slow
def test_the_c_loader_runs_it(models, exported):
    """TF Serving's loader, through the C API of the wheel, in a Python that imports neither TensorFlow nor NumPy."""
    place = pathlib.Path(tf.__file__).parent
    if not (place / "libtensorflow_cc.so.2").exists():
        pytest.skip("this TensorFlow ships no libtensorflow_cc.so.2")
    folder = exported[0] / FIRST / "1"
    signature = savedmodel.parse_savedmodel(folder).meta_graphs[0].signature_def["serving_default"]
    names = signature.inputs["z"].name, signature.outputs["image"].name
    command = [sys.executable, "-c", LOADER, str(place), str(folder), *names, "3"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"})
    assert done.returncode == 0, done.stderr
    expected = models[FIRST].decode(tf.fill([2, 3], 0.5))
    np.testing.assert_allclose(np.reshape(json.loads(done.stdout), expected.shape), expected, atol=1e-5)
