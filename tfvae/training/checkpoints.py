"""Checkpoints: all of a training's state in one folder: weights, optimizer, multipliers, averages, `TrainingState`."""

from __future__ import annotations

import io
import pathlib
import shutil
from collections.abc import Callable
from typing import Any

import numpy as np

from tfvae.errors import DivergedError, IntegrityError
from tfvae.models.vae import VAE
from tfvae.runtime import files
from tfvae.safety.array_files import read_arrays
from tfvae.training.training_state import TrainingState

KEPT_CHECKPOINTS = 2  # the newest, and the one before in case the newest is damaged
ARRAYS_FILE, STATE_FILE = "state.npz", "position.json"


def name_variables(model: VAE) -> dict[str, Any]:
    """Return {name: variable} of a model and of its optimizer, if it has one.

    Names are by position: Keras' own names count up within a process.
    """
    optimizer = getattr(model, "optimizer", None)
    if optimizer and not optimizer.built:
        optimizer.build(model.trainable_variables)  # or its moments would be passed over
    groups = {"model": model.variables, "optimizer": optimizer.variables if optimizer else ()}
    return {f"{group}/{i:04d}": v for group, variables in groups.items() for i, v in enumerate(variables)}


def read_variables(model: VAE) -> dict[str, np.ndarray]:
    """Return {name: array} of the whole state.

    Raises:
        DivergedError: a number is not finite; such a state is never saved.
    """
    arrays = {}
    for name, variable in name_variables(model).items():
        arrays[name] = variable.numpy()
        is_scale = variable.path.endswith("dynamic_scale")  # float16's, which may meet infinity and recovers
        is_float = np.issubdtype(arrays[name].dtype, np.floating)
        if is_float and not is_scale and not np.isfinite(arrays[name]).all():
            raise DivergedError(f"{variable.path} is not finite")
    return arrays


def save_checkpoint(root: files.PathLike, model: VAE, state: TrainingState) -> pathlib.Path:
    """Write the checkpoint ``root/step-XXXXXXXX`` and return its folder; older ones but the last are removed.

    Raises:
        DivergedError: a number is not finite; nothing is written.
        StorageError: it cannot be written; older checkpoints stay.
    """
    root = pathlib.Path(root)
    step = int(model.step.numpy())
    arrays = read_variables(model)

    def write(folder: pathlib.Path) -> None:
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        (folder / ARRAYS_FILE).write_bytes(buffer.getvalue())
        files.write_json(folder / STATE_FILE, state.to_json())

    suffix = f"-r{state.rollbacks}" if state.rollbacks else ""  # the same step at another learning rate
    folder = root / f"step-{step:08d}{suffix}"
    if not folder.exists():
        files.write_folder(folder, write)
    for old in sorted(root.glob("step-*"))[:-KEPT_CHECKPOINTS]:
        shutil.rmtree(old)
    return folder


def restore_checkpoint(folder: pathlib.Path, model: VAE) -> TrainingState:
    """Put a checkpoint's arrays into `model`, and its optimizer if it has one, and return the training's state.

    Raises:
        IntegrityError: the checkpoint is damaged, or is not of this model.
    """
    files.verify_folder(folder)
    arrays = read_arrays(folder / ARRAYS_FILE)
    variables = name_variables(model)
    for name, variable in variables.items():
        array = arrays.get(name)
        if array is None or array.shape != tuple(variable.shape):
            raise IntegrityError(
                f"Expected {folder} to hold {variable.path} of shape {tuple(variable.shape)}. "
                f"Received: {'nothing' if array is None else array.shape}. Was it made by another version or config?"
            )
    step = next(int(arrays[name]) for name, variable in variables.items() if variable is model.step)
    if int(folder.name.split("-")[1]) != step:
        raise IntegrityError(f"Expected {folder} to hold the step of its name. Received: step {step}.")
    state = TrainingState.from_json(files.read_json(folder / STATE_FILE))
    for name, variable in variables.items():
        variable.assign(arrays[name])
    return state


def restore_newest_checkpoint(root: files.PathLike, model: VAE, say: Callable[[str], object]) -> TrainingState | None:
    """Restore the newest undamaged checkpoint and return the training's state, or None if there is none at all.

    Args:
        root: the folder of the checkpoints.
        model: what to restore.
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
