"""The decoder in other formats: what was written is compared with the model before it is kept."""

import numpy as np
import pytest
import tensorflow as tf

import tfvae
from tfvae.cli.command_line import main
from tfvae.errors import UsageError
from tfvae.exporting import decoder_formats, decoder_writers
from tfvae.runtime import files


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_the_decoder_as_litert(run, tmp_path):
    file = decoder_writers.export_decoder(run, tmp_path, "litert")
    files.verify_folder(file.parent)
    interpreter = tf.lite.Interpreter(str(file))
    z = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    place = interpreter.get_input_details()[0]["index"]
    interpreter.resize_tensor_input(place, z.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(place, z)
    interpreter.invoke()
    result = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(result, tfvae.load(run).decode(tf.constant(z)), atol=1e-5)
    with pytest.raises(UsageError, match="exists"):
        decoder_writers.export_decoder(run, tmp_path, "litert")


def test_a_wrong_conversion_is_not_kept(run, tmp_path, monkeypatch):
    """Converters leave out ops that they do not know, and say so to nobody: the file is asked before it is kept."""
    monkeypatch.setattr(decoder_writers, "convert_decoder", lambda *_: None)
    for answer, message in ((lambda *_: np.zeros((2, 8, 8, 1)), "differ"), (lambda *_: 1 / 0, "division by zero")):
        monkeypatch.setitem(decoder_writers.PROBES, "litert", answer)
        with pytest.raises(UsageError, match=message):
            decoder_writers.export_decoder(run, tmp_path / "x", "litert")
    assert list((tmp_path / "x").iterdir()) == []


@pytest.mark.parametrize("name", ["onnx", "openvino"])
def test_a_missing_package_is_named(name, run, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(decoder_formats.importlib.util, "find_spec", lambda package: None)
    assert main(["export", str(run), str(tmp_path / "x"), "--format", name]) == 2
    err = capsys.readouterr().err
    assert f"pip install {decoder_formats.FORMATS[name][0]}" in err and len(err.splitlines()) == 1
    assert not (tmp_path / "x").exists()


def test_the_decoder_as_onnx(run, tmp_path):
    pytest.importorskip("tf2onnx")
    onnxruntime = pytest.importorskip("onnxruntime")
    file = decoder_writers.export_decoder(run, tmp_path, "onnx")
    session = onnxruntime.InferenceSession(str(file))
    z = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    (result,) = session.run(None, {session.get_inputs()[0].name: z})
    np.testing.assert_allclose(result, tfvae.load(run).decode(tf.constant(z)), atol=1e-5)
