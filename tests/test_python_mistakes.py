"""Mistakes that are made in Python: each gets one line that says what was expected, what came, and the way out."""

import numpy as np
import pytest

import tfvae
from tfvae.errors import TfvaeError

SHAPE = (8, 8, 1)
X = np.zeros((4, *SHAPE), np.uint8)
LABELS = np.array([0, 1, 2, 0])
ARCH = "mlp:widths=4,latent=2"


@pytest.fixture(scope="module")
def models():
    """{name: a tiny model}."""
    parts = {"arch": ARCH, "image_shape": SHAPE}
    return {
        "plain": tfvae.build("geco:kappa=2", **parts),
        "labels": tfvae.build("elbo", condition="labels", classes=3, **parts),
        "beta": tfvae.build("beta", condition="beta:0.1-10", **parts),
    }


# Words of tfvae's own, and of the data: no model is needed.
BUILDING = {
    "misspelt setting": (lambda: tfvae.train(epoch=3), "Received: 'epoch'. Did you mean 'epochs'?"),
    "misspelt setting of Config": (lambda: tfvae.Config(bach_size=3), "Did you mean 'batch_size'?"),
    "misspelt argument of resume": (lambda: tfvae.resume("run", epoch=3), "Did you mean 'epochs'?"),
    "misspelt option of build": (lambda: tfvae.build("geco", kapa=3), "Did you mean 'kappa'?"),
    "misspelt option of a class": (lambda: tfvae.OBJECTIVES["geco"](kapa=3), "Did you mean 'kappa'?"),
    "misspelt option of a likelihood": (
        lambda: tfvae.LIKELIHOODS["gaussian"](sgima=1, image_shape=SHAPE),
        "Did you mean 'sigma'?",
    ),
    "misspelt part": (lambda: tfvae.build("gecko"), "Did you mean 'geco'?"),
    "misspelt data set": (lambda: tfvae.datasets.load("digist"), "Did you mean 'digits'?"),
    "settings as a dict": (lambda: tfvae.train({"epochs": 3}), "tfvae.train(objective=..., epochs=...)"),
    "objective as the first argument": (lambda: tfvae.train("geco"), "or settings by name"),
    "config and settings": (lambda: tfvae.train(tfvae.Config(), epochs=3), "Received: both, epochs beside a config"),
    "a word for a number": (lambda: tfvae.train(epochs="3"), "Expected epochs to be a whole number. Received: '3'."),
    "an array as an architecture": (lambda: tfvae.build(arch=X), "Received: uint8 array of shape (4, 8, 8, 1)."),
    "an array as an objective": (lambda: tfvae.build(X), "Received: uint8 array of shape (4, 8, 8, 1)."),
    "an array as the data of a Config": (
        lambda: tfvae.Config(dataset=X),
        "Received: uint8 array of shape (4, 8, 8, 1).",
    ),
    "None as a likelihood": (lambda: tfvae.build(likelihood=None), "Expected likelihood to be a name with options"),
    "the base class as an objective": (lambda: tfvae.train(objective=tfvae.VAE), "Expected objective to be a name"),
    "a shape without channels": (lambda: tfvae.build(image_shape=(28, 28)), "Expected image_shape (H, W, C)"),
    "images that are none": (lambda: tfvae.train(dataset=3), "a tf.data.Dataset, or a function that returns such"),
    "images without labels' length": (lambda: tfvae.train(dataset=(X, [0, 1])), "to be 4 whole numbers"),
    "grey levels as floats": (lambda: tfvae.train(dataset=X + 255.0), "divide grey levels by 255"),
    "lists of several lengths": (lambda: tfvae.train(dataset=[[[1]], [[2, 3]]]), "to be one array"),
    "a batch larger than the data": (lambda: tfvae.train(dataset=X), "Expected batch_size <= the"),
    "progress as a word": (lambda: tfvae.train(dataset=X, progress="no"), "Expected progress to be True, False, or"),
    "a number for a function": (lambda: tfvae.train(dataset=X, watch=3), "Expected watch to be a function."),
    "a number for a folder": (
        lambda: tfvae.train(dataset=X, batch_size=2, arch=ARCH, progress=False, run_dir=3),
        "Expected the path of a folder for runs. Received: 3.",
    ),
    "a negative limit": (lambda: tfvae.evaluate("run", limit=-1), "Expected limit to be a whole number >= 0."),
    "half a sample": (lambda: tfvae.evaluate("run", samples=2.5), "Expected samples to be a whole number >= 1."),
    "a word for a limit": (lambda: tfvae.datasets.load("digits", limit="a"), "Expected limit >= 0. Received: 'a'."),
    "an array as a run": (lambda: tfvae.evaluate(X), "Expected a run or its folder."),
    "an array as a model": (lambda: tfvae.load(X), "Expected a run, zoo:NAME, or the path of a model."),
    "one run to compare": (lambda: tfvae.compare("runs/latest"), "Expected a list of runs."),
    "no runs to compare": (lambda: tfvae.compare([]), "Expected a list of runs."),
    "a folder that is no run": (lambda: tfvae.resume("nowhere"), "Expected a run folder"),
    "an array as the name of a data set": (lambda: tfvae.datasets.load(X), "Expected the name of a data set."),
}
CALLING = {
    "one image": (lambda m: m["plain"].encode(X[0]), "For one image give x[None]."),
    "images of another size": (lambda m: m["plain"].terms(np.zeros((4, 28, 28))), "Expected images [N, 8, 8, 1]."),
    "images as int64": (lambda m: m["plain"].reconstruct(X.astype(int)), 'x.astype("uint8")'),
    "images that are missing": (lambda m: m["plain"].fit(None), "Expected images, or a tf.data.Dataset of them."),
    "a name for images": (lambda m: m["plain"].fit("digits"), "Expected images, or a tf.data.Dataset of them."),
    "grey levels in encode": (lambda m: m["plain"].encode(X + 255.0), "divide grey levels by 255"),
    "one image to call": (lambda m: m["plain"](X[0]), "For one image give x[None]."),
    "misspelt argument of fit": (lambda m: m["plain"].fit(X, epoch=3), "Did you mean 'epochs'?"),
    "misspelt argument of compile": (lambda m: m["plain"].compile(optimiser="adam"), "Did you mean 'optimizer'?"),
    "a loss of Keras": (lambda m: m["plain"].compile("adam", loss="mse"), "a VAE's loss is its objective"),
    "a negative count": (lambda m: m["plain"].sample(-1), "Expected n to be a whole number >= 0. Received: -1."),
    "half an image": (lambda m: m["plain"].sample(2.5), "Received: 2.5."),
    "more than memory holds": (lambda m: m["plain"].sample(3_000_000_000_000), "which fit into memory"),
    "no samples": (lambda m: m["plain"].terms(X, samples=0), "Expected samples to be a whole number >= 1."),
    "a seed of three": (lambda m: m["plain"].sample(2, seed=(1, 2, 3)), "or a pair of them. Received: (1, 2, 3)."),
    "no seed": (lambda m: m["plain"].sample(2, seed=None), "Received: None."),
    "a word for a temperature": (lambda m: m["plain"].sample(2, temperature="warm"), "Expected temperature to be"),
    "codes of another width": (lambda m: m["plain"].decode(np.zeros((3, 5))), "Expected codes [N, 2]."),
    "one code": (lambda m: m["plain"].decode([0.0, 0.0]), "For one code give z[None]."),
    "a condition of a plain model": (lambda m: m["plain"].sample(2, condition=X), "Expected no condition"),
    "a condition in terms": (lambda m: m["plain"].terms(X, condition=3), "Expected no condition"),
    "one-hot labels": (lambda m: m["labels"].fit(X, np.eye(3)[LABELS]), "labels.argmax(axis=1)"),
    "images as labels": (lambda m: m["labels"].fit(X, X), "Expected one value of condition labels, or [4]."),
    "an unknown label": (lambda m: m["labels"].sample(2, condition=7), "Expected labels from 0 to 2"),
    "too few labels": (lambda m: m["labels"].terms(X, condition=[0, 1]), "or [4]. Received: [0, 1]."),
    "beta out of range": (lambda m: m["beta"].sample(2, condition=50), "Expected beta in [0.1, 10]."),
    "a model as an objective": (lambda m: tfvae.train(objective=m["plain"]), "Received: a model, <GECO"),
}


def check_line(call, words, *arguments):
    with pytest.raises(TfvaeError) as caught:
        call(*arguments)
    line = str(caught.value)
    assert words in line and line.startswith("Expected") and "Received" in line
    assert "\n" not in line and len(line) < 500, line


@pytest.mark.parametrize(("call", "words"), BUILDING.values(), ids=BUILDING)
def test_mistakes_in_settings(call, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    check_line(call, words)
    assert not list(tmp_path.iterdir())  # nothing is written


@pytest.mark.parametrize(("call", "words"), CALLING.values(), ids=CALLING)
def test_mistakes_in_calls(call, words, models):
    check_line(call, words, models)


ACCEPTED = {
    "grey images without channels": lambda m: m["plain"].encode(X[..., 0])[0].shape == (4, 2),
    "lists of floats": lambda m: m["plain"].encode((X / 255.0).tolist())[0].shape == (4, 2),
    "lists of codes": lambda m: m["plain"].decode([[0, 0], [1, 1]]).shape == (2, 8, 8, 1),
    "NumPy's numbers": lambda m: m["plain"].sample(np.int64(2), np.int32(3), np.float32(1)).shape == (2, 8, 8, 1),
    "a list of labels": lambda m: m["labels"].sample(2, condition=[0, 1]).shape == (2, 8, 8, 1),
}


@pytest.mark.parametrize("call", ACCEPTED.values(), ids=ACCEPTED)
def test_what_cannot_be_misunderstood_is_taken(call, models):
    assert call(models)
