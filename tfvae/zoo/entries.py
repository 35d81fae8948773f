"""Entries of the zoo: made from runs, measured from their own files, measured again to verify them."""

import pathlib
import re
import shutil

import numpy as np
import tensorflow as tf

from tfvae import datasets
from tfvae.export import exporter, savedmodel
from tfvae.models import latent_views
from tfvae.runtime import files, random_streams
from tfvae.training import trainer
from tfvae.zoo import index
from tfvae.config import Config
from tfvae.errors import IntegrityError, UsageError
from tfvae.evaluation import score
from tfvae.reports.run_figures import completion_grid, draw_points
from tfvae.plots import curves, grids

IMAGES, BOUND_IMAGES, SAMPLES = 1000, 200, 50  # of the test split: for the ELBO; for the bound, and its draws
SEED = (2026, 1)
TOLERANCE = 1e-3  # relative; machines round differently, and sums of thousands of float32 terms agree to 1e-5
UNITS = {
    "elbo": "nats per image", "rate": "nats per image", "distortion": "nats per image", "nll": "nats per image",
    "error": "|x - g(mean of q)|^2, summed over pixels in [0, 1]",
}  # fmt: skip


def live(folder):
    """The live model of an entry, from config.json and weights.npz.

    Raises:
        IntegrityError: the weights are not those of the config's model.
    """
    folder = pathlib.Path(folder)
    about = files.read_json(folder / "metrics.json")
    config = Config.from_dict(files.read_json(folder / "config.json"))
    model = trainer.build_model(config, tuple(about["image_shape"]), about["classes"])
    with np.load(folder / "weights.npz", allow_pickle=False) as stored:
        arrays = [stored[name] for name in sorted(stored.files)]
    if [array.shape for array in arrays] != [tuple(v.shape) for v in model.variables]:
        raise IntegrityError(f"Expected {folder / 'weights.npz'} to hold the weights of its config. Received: others.")
    for variable, array in zip(model.variables, arrays):
        variable.assign(array)
    return model


def held_out_images(config):
    """Test images as the SavedModel takes them, float32 in [0, 1], their labels, and the bytes."""
    images, labels = (array[:IMAGES] for array in datasets.load(config.dataset, "test", raw_dir=config.raw_dir))
    if config.binarize == "static":
        images = np.where(images > 127, 255, 0).astype(np.uint8)
    return (images.astype(np.float32) / 255 if images.dtype == np.uint8 else images), labels, images


def numbers_of(folder):
    """{name: value} measured from the shipped files: from the SavedModel, and the bound from the weights."""
    config = Config.from_dict(files.read_json(folder / "config.json"))
    x, labels, images = held_out_images(config)
    calls = tf.saved_model.load(str(savedmodel.find(folder / "saved_model"))).signatures
    model, found = live(folder), []
    given = conditions_of(model, labels, x)
    for start in range(0, len(x), 200):
        part = slice(start, start + 200)
        told = {} if given is None else {"condition": tf.constant(given[part])}
        pixels = tf.constant(x[part])
        means = calls["elbo"](x=pixels, seed=tf.constant(SEED), **told)
        error = tf.reduce_sum(tf.square(pixels - calls["reconstruct"](x=pixels, **told)["image"]), axis=[1, 2, 3])
        found.append([*(means[name].numpy() for name in ("elbo", "rate", "distortion")), error.numpy()])
    numbers = dict(zip(("elbo", "rate", "distortion", "error"), np.concatenate(found, axis=1).mean(1).tolist()))
    known = labels[:BOUND_IMAGES] if model.condition is not None and model.condition.name == "labels" else None
    bound = score(model, images[:BOUND_IMAGES], SAMPLES, seed=SEED[0], labels=known)["bound"]
    return numbers | {"nll": -float(bound.mean())}


def conditions_of(model, labels, x):
    """What each image's model is told: its label, itself, or the middle of the range; None without a condition."""
    if model.condition is None:
        return None
    if model.condition.name == "labels":
        return labels.astype(np.int32)
    own = model.condition.values_from_images(x)
    return model.condition.default_values(len(x)).numpy() if own is None else own


def compare(folder):
    """[(name, shipped, measured now, whether they agree)] of an entry."""
    shipped, now = files.read_json(folder / "metrics.json")["numbers"], numbers_of(folder)
    rows = []
    for name, entry in shipped.items():
        close = abs(now[name] - entry["value"]) <= entry["tolerance"] * max(1.0, abs(entry["value"]))
        rows.append((name, entry["value"], now[name], close))
    card = (folder / "card.md").read_text()
    same = card == card_text(folder)
    return [*rows, ("card.md as its numbers say", 1.0, float(same), same)]


def add_entry(root, name, run):
    """Make ``root/name`` of a finished run, and put it into the index: -> the folder, whole or not at all.

    Raises:
        UsageError: a bad or known name, or a run that is not finished.
    """
    root, source = pathlib.Path(root), run_folder.open_run(run)
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        raise UsageError(f"Expected a name of a-z, 0-9, - and _. Received: {name!r}.")
    if (root / name).exists():
        raise UsageError(f"Expected a new name. Received: {name!r}, which the zoo has. Delete its folder first.")
    if source.status != "finished":
        raise UsageError(f"Expected a finished run. Received: {source.path} ({source.status}).")
    files.write_folder(root / name, lambda folder: fill(folder, source))
    write_index(root)
    return root / name


def fill(folder, run):
    """Put everything of an entry but its manifest into `folder`."""
    model, environment = trainer.load_run(run.path), files.read_json(run.path / "env.json")
    files.write_json(folder / "config.json", dict(run.config.to_dict(), raw_dir=""))
    shutil.copy(run.path / "metrics.csv", folder)
    np.savez(folder / "weights.npz", **{f"{i:04d}": v.numpy() for i, v in enumerate(model.variables)})
    exporter.export_run(run.path, folder / "saved_model")
    about = {"image_shape": environment["image_shape"], "classes": environment.get("classes", 0)}
    about |= {"second_stage": "second_stage_of" in environment}
    about |= {"minutes": run.rows[-1]["seconds"] / 60, "images": IMAGES, "epochs": run.config.epochs}
    files.write_json(folder / "metrics.json", about)
    numbers = {name: {"value": value, "tolerance": TOLERANCE} for name, value in numbers_of(folder).items()}
    files.write_json(folder / "metrics.json", about | {"numbers": numbers})
    draw(folder, model, run)
    files.write_bytes(folder / "card.md", card_text(folder).encode())


def draw(folder, model, run):
    """samples.png or completions.png, reconstructions.png (points.png for points) and curves.png."""
    curves.training_curves(run.rows, folder / "curves.png", f"{run.config.objective} on {run.config.dataset}")
    x, labels, _ = held_out_images(run.config)
    if grids.is_points(model.image_shape):
        shutil.copy(draw_points(run, model, x, labels)[0], folder / "points.png")
        return
    if model.condition is not None and model.condition.map_shape:
        completion_grid(x[:8], latent_views.complete_images(model, x[:8], 8), folder / "completions.png")
    else:
        draw_samples(folder, model)
    shown = x[:40]
    given = conditions_of(model, labels[:40], shown)
    again = model.reconstruct(tf.constant(shown), SEED, **({} if given is None else {"condition": given}))
    grids.pair_grid(shown, again.numpy(), folder / "reconstructions.png")


def draw_samples(folder, model):
    """samples.png; of a model that is told a label, a row for each."""
    columns, told = None, {}
    if model.condition is not None and model.condition.name == "labels" and model.condition.width <= 10:
        columns, told = 8, {"condition": np.repeat(np.arange(model.condition.width), 8)}
    count = len(told["condition"]) if told else 64
    grids.image_grid(model.sample(count, random_streams.as_seed(SEED), **told).numpy(), folder / "samples.png", columns)


def card_text(folder):
    """card.md from config.json and metrics.json."""
    config = Config.from_dict(files.read_json(folder / "config.json"))
    about = files.read_json(folder / "metrics.json")
    rows = [f"| `{name}` | {entry['value']:.6g} | {entry['tolerance']:g} | {UNITS[name]} |"
            for name, entry in about["numbers"].items()]  # fmt: skip
    name = folder.name if not folder.name.startswith(".") else folder.name[1:].rpartition(".tmp-")[0]
    pictures = [p.name for p in sorted(folder.glob("*.png")) if p.name != "curves.png"]
    shown = "\n".join(f"![{file.removesuffix('.png')}]({file})" for file in [*pictures, "curves.png"])
    return f"""\
# {name}

`{config.objective}` on `{config.dataset}`, {config.arch}, likelihood {config.likelihood}, images \
{" x ".join(map(str, about["image_shape"]))}.

    {(chr(10) + "    ").join(index.commands_of(config, about["second_stage"]))}

{about["epochs"]} epochs, {about["minutes"]:.1f} minutes on two CPU cores.

## Measured from the shipped files

On the first {about["images"]} test images (`nll`: minus the bound from {SAMPLES} draws, first {BOUND_IMAGES} images). \
`tfvae zoo verify {name}` measures them again.

| number | value | tolerance, relative | unit |
|---|---|---|---|
{chr(10).join(rows)}

## Use

    tfvae sample zoo:{name} -n 64 --seed 1 -o grid.png
    tfvae zoo get {name} models/{name}      # a folder for tensorflow_model_server --model_base_path

or `tf.saved_model.load("zoo/{name}/saved_model/1").signatures["sample"]`; `saved_model/1/model_card.md` lists all
signatures and limits.

## Pictures

{shown}
"""


def write_index(root):
    """index.json of all entries."""
    found = {}
    for path in sorted(root.glob("*/manifest.json")):
        folder = path.parent
        config, about = files.read_json(folder / "config.json"), files.read_json(folder / "metrics.json")
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())
        numbers = {name: round(about["numbers"][name]["value"], 2) for name in ("elbo", "error")}
        kinds = {key: config[key] for key in ("dataset", "objective", "arch", "likelihood", "condition")}
        found[folder.name] = kinds | numbers | {"MB": round(size / 1e6, 1)}
    files.write_json(root / "index.json", found)
