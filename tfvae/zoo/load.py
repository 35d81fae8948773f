"""`tfvae.load`: a trained model from a run folder, or from a SavedModel after a look at what it may do."""

from __future__ import annotations

from tfvae.exporting import savedmodel
from tfvae.exporting.loading import SavedModel, check_trusted
from tfvae.models.vae import VAE
from tfvae.runtime import files
from tfvae.training import trainer
from tfvae.zoo.resolve import resolve_model_folder


def load(path: files.PathLike, trust: bool = False) -> VAE | SavedModel:
    """Load a trained model: the live model of a run folder, or a SavedModel.

    Both have `sample`, `decode`, `encode` and `reconstruct`.

        model = tfvae.load("zoo:fashion_mnist-geco-conv")
        images = model.sample(16, seed=1)

    Args:
        path: a run folder, the folder of a SavedModel or of one of its versions, or ``zoo:NAME``.
        trust: load a SavedModel that tfvae has not written, or that has been changed, or has ops that tfvae does not
            know to be harmless; or a run from elsewhere whose config names code of its own. Without it such a one is
            refused before anything of it runs.

    Raises:
        UsageError: the path is neither.
        IntegrityError: the files are damaged.
        UntrustedError: the SavedModel or the run's code is foreign, and `trust` is False.
    """
    folder = resolve_model_folder(path)
    if savedmodel.find_savedmodel(folder) != folder:
        return trainer.load_run(folder, trust_code=trust)
    if not trust:
        check_trusted(folder)
    return SavedModel(folder)
