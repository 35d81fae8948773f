"""All of a training's state in one folder: weights, optimizer, multipliers, averages, and the place in the data."""

import io
import pathlib
import shutil

import numpy as np

from tfvae.errors import DivergedError, IntegrityError
from tfvae.runtime import files

KEPT_CHECKPOINTS = 2  # the newest, and the one before in case the newest is damaged


def name_variables(model):
    """{name: variable}, named by position: Keras' own names count up within a process. No optimizer, none of its."""
    optimizer = getattr(model, "optimizer", None)
    if optimizer and not optimizer.built:
        optimizer.build(model.trainable_variables)  # or its moments would be passed over
    groups = {"model": model.variables, "optimizer": optimizer.variables if optimizer else ()}
    return {f"{group}/{i:04d}": v for group, items in groups.items() for i, v in enumerate(items)}


def read_variables(model):
    """{name: array} of the whole state.

    Raises:
        DivergedError: a number is not finite; such a state is never saved.
    """
    arrays = {}
    for name, variable in name_variables(model).items():
        arrays[name] = variable.numpy()
        scale = variable.path.endswith("dynamic_scale")  # float16's, which may meet infinity and recovers
        if np.issubdtype(arrays[name].dtype, np.floating) and not scale and not np.isfinite(arrays[name]).all():
            raise DivergedError(f"{variable.path} is not finite")
    return arrays


def save_checkpoint(root, model, position):
    """Write ``root/step-XXXXXXXX``; `position` is JSON: epoch, steps done in it, sums so far, seconds, rollbacks."""
    root = pathlib.Path(root)
    step = int(model.step.numpy())
    arrays = read_variables(model)

    def write(folder):
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        (folder / "state.npz").write_bytes(buffer.getvalue())
        files.write_json(folder / "position.json", position)

    rollbacks = position.get("rollbacks")
    folder = root / (f"step-{step:08d}" + (f"-r{rollbacks}" if rollbacks else ""))  # the same step at another rate
    if not folder.exists():
        files.write_folder(folder, write)
    for old in sorted(root.glob("step-*"))[:-KEPT_CHECKPOINTS]:
        shutil.rmtree(old)
    return folder


def restore_checkpoint(folder, model):
    """Put a verified checkpoint's state into `model` (its optimizer too, if it has one): -> position."""
    files.verify_folder(folder)
    with np.load(folder / "state.npz", allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    variables = name_variables(model)
    for name, variable in variables.items():
        found = arrays.get(name)
        if found is None or found.shape != tuple(variable.shape):
            raise IntegrityError(
                f"Expected {folder} to hold {variable.path} of shape {tuple(variable.shape)}. "
                f"Received: {'nothing' if found is None else found.shape}. Was it made by another version or config?"
            )
    step = next(int(arrays[name]) for name, variable in variables.items() if variable is model.step)
    if int(folder.name.split("-")[1]) != step:
        raise IntegrityError(f"Expected {folder} to hold the step of its name. Received: step {step}.")
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return files.read_json(folder / "position.json")


def restore_newest_checkpoint(root, model, say):
    """Restore the newest undamaged checkpoint: -> position, or None if there is none at all.

    Args:
        say: called with one line for each damaged checkpoint that is passed over.

    Raises:
        IntegrityError: checkpoints exist and none is intact.
    """
    folders = sorted(pathlib.Path(root).glob("step-*"), reverse=True)
    for folder in folders:
        try:
            return restore_checkpoint(folder, model)
        except (IntegrityError, OSError, ValueError) as error:
            say(f"checkpoint {folder.name} is damaged and passed over: {error}")
    if folders:
        raise IntegrityError(f"Expected an intact checkpoint in {root}. Received: {len(folders)}, all damaged.")
    return None
