"""`tfvae.load`: a trained model from a run folder, or from a SavedModel after a look at what it may do."""

from tfvae.export import savedmodel
from tfvae.export.loading import SavedModel, check
from tfvae.training import trainer
from tfvae.zoo.resolve import resolve_model_folder


def load(path, trust=False):
    """The model of a run folder, live, or a `SavedModel`: both have `sample`, `decode`, `encode`, `reconstruct`.

    Args:
        path: a run folder, the folder of a SavedModel or of one of its versions, or ``zoo:NAME``.
        trust: load a SavedModel that tfvae has not written, or that has been changed, or has ops that tfvae does not
            know to be harmless. Without it such a one is refused before TensorFlow sees it.

    Raises:
        UsageError: neither. IntegrityError: damaged. UntrustedError: foreign, and `trust` is False.
    """
    folder = resolve_model_folder(path)
    if savedmodel.find(folder) != folder:
        return trainer.load_run(folder)
    if not trust:
        check(folder)
    return SavedModel(folder)
