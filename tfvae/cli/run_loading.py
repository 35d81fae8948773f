"""How verbs open a run: it exists, and its config names no code that the user does not trust."""

from __future__ import annotations

import pathlib

from tfvae.errors import UsageError
from tfvae.runtime import files, trust
from tfvae.training.run_folder import Run, open_run
from tfvae.zoo import resolve


def open_trusted_run(path: Run | files.PathLike, trusted: bool) -> Run:
    """Return the run of a folder, or the published model that a path names; see `resolve.open_published_model`.

    Args:
        path: a run, or its folder, ``runs/latest`` included; the folder of a SavedModel; ``zoo:NAME``.
        trusted: whether the user said ``--trust``.

    Raises:
        UsageError: none of these.
        UntrustedError: it comes from elsewhere, and its config names code of its own.
    """
    run = open_run(path)
    trust.check_specs(run.config, run.environment, trusted)
    return run


def check_model_path(path: str, trusted: bool) -> None:
    """Check what names a model to be loaded by `tfvae.load`, before TensorFlow is.

    Raises:
        UsageError: neither a run folder, a SavedModel, ``zoo:NAME`` nor a ``.keras`` file.
        UntrustedError: as above.
    """
    if resolve.is_keras_path(path):
        if not pathlib.Path(path).is_file():
            raise UsageError(f"Expected a .keras file. Received: {path}, which does not exist.")
    else:
        check_model_folder(resolve.resolve_model_folder(path), trusted)


def check_model_folder(folder: pathlib.Path, trusted: bool) -> None:
    """Check a folder that may be a run folder as `open_trusted_run` does; SavedModels are checked when they are loaded.

    Raises:
        UntrustedError: as above.
    """
    if (folder / "config.json").is_file() and (folder / "env.json").is_file():
        open_trusted_run(folder, trusted)
