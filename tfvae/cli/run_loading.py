"""How verbs open a run: it exists, and its config names no code that the user does not trust."""

from __future__ import annotations

import pathlib

from tfvae.runtime import files, trust
from tfvae.training.run_folder import Run, open_run


def open_trusted_run(path: Run | files.PathLike, trusted: bool) -> Run:
    """Return the run of a folder.

    Args:
        path: a run, or its folder, ``runs/latest`` included.
        trusted: whether the user said ``--trust``.

    Raises:
        UsageError: not a run folder.
        UntrustedError: it comes from elsewhere, and its config names code of its own.
    """
    run = open_run(path)
    trust.check_specs(run.config, run.environment, trusted)
    return run


def check_model_folder(folder: pathlib.Path, trusted: bool) -> None:
    """Check a folder that may be a run folder as `open_trusted_run` does; SavedModels are checked when they are loaded.

    Raises:
        UntrustedError: as above.
    """
    if (folder / "config.json").is_file() and (folder / "env.json").is_file():
        open_trusted_run(folder, trusted)
