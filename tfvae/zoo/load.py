"""`tfvae.load`: a trained model from a run, the zoo, a SavedModel or a ``.keras`` file, after a look at it."""

from __future__ import annotations

import pathlib

from tfvae.errors import DataError, TfvaeError, UsageError
from tfvae.exporting import savedmodel
from tfvae.exporting.loading import SavedModel
from tfvae.models.vae import VAE
from tfvae.objectives.registry import OBJECTIVES
from tfvae.runtime import files
from tfvae.safety.foreign_text import escape_text
from tfvae.safety.model_loading import load_keras_model
from tfvae.training import trainer
from tfvae.zoo import index, resolve


def load(path: files.PathLike, trust: bool = False) -> VAE | SavedModel:
    """Load a trained model: the live model of a run, a zoo entry or a ``.keras`` file; or a SavedModel.

    Both have `sample`, `decode`, `encode` and `reconstruct`. A live model can be trained further:

        model = tfvae.load("zoo:fashion_mnist-geco-conv")
        images = model.sample(16, seed=1)
        model.compile("adam")
        model.fit(my_images)

    Args:
        path: a run folder, ``zoo:NAME``, a ``.keras`` file, or the folder of a SavedModel or of one of its versions.
        trust: load a SavedModel that tfvae has not written, or that has been changed, or has ops that tfvae does not
            know to be harmless; or a model from elsewhere whose config names code of its own. Without it such a one is
            refused before anything of it runs.

    Raises:
        UsageError: the path is none of these.
        IntegrityError, DataError: the files are damaged.
        UntrustedError: the model or its code is foreign, and `trust` is False.
    """
    folder = files.check_path(path, "a run, zoo:NAME, or the path of a model")
    if resolve.is_keras_path(folder):
        return load_keras_file(folder, trust)
    if str(path).startswith(index.PREFIX) or resolve.is_entry_folder(folder):
        return trainer.load_run(path, trust_code=trust)
    folder = resolve.resolve_model_folder(path)
    if savedmodel.find_savedmodel(folder) != folder:
        return trainer.load_run(folder, trust_code=trust)
    return SavedModel(folder, trust)


def load_keras_file(path: pathlib.Path, trust: bool = False) -> VAE:
    """Load the model of a ``.keras`` file that Keras' `save` wrote, compiled as it was.

    Args:
        path: of the file.
        trust: load whatever code it names.

    Raises:
        UsageError: there is no such file, or it holds another model.
        DataError: Keras cannot load it.
        UntrustedError: it names code of its own, and `trust` is False.
    """
    if not path.is_file():
        raise UsageError(f"Expected a .keras file. Received: {path}, which does not exist.")
    try:
        model = load_keras_model(path, trust)
    except TfvaeError:
        raise
    except Exception as error:  # Keras raises almost anything on what it does not know
        reason = escape_text((str(error).splitlines() or [""])[0], 300)
        raise DataError(
            f"Expected Keras to load {path}. Received: {reason}. Import the modules of your own classes first."
        ) from None
    if not isinstance(model, VAE):
        raise UsageError(f"Expected a model of tfvae, such as {', '.join(list(OBJECTIVES)[:3])}. Received: {path}.")
    return model
