"""`PublishedModel`: a trained model outside of a run folder, which verbs open as they open a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tfvae.errors import IntegrityError
from tfvae.training.run_folder import Run


class PublishedModel(Run):
    """A trained model without checkpoints: an entry of the zoo, or an exported SavedModel.

    It has what a run needs to be measured and looked at: config, shape of the images, weights. It cannot be resumed,
    for the optimizer's state is not part of it. A subclass says where all this stands.

    Attributes:
        way_to_train: a sentence that says how it can be trained further.
    """

    way_to_train = ""

    @property
    def published_calibration(self) -> dict[str, Any] | None:
        """Return the scores of held-out images that were published with it, see `stored_calibration`; None: none."""
        return None

    @property
    def status(self) -> str:
        """Return "finished": nobody trains it."""
        return "finished"

    def read_weights(self, variables: Sequence[Any]) -> list[np.ndarray | None]:
        """Return the array of each of these variables, those of the model that the config describes; None: no array.

        Raises:
            IntegrityError: the weights are those of another model.
        """
        raise NotImplementedError

    def assign_weights(self, variables: Sequence[Any]) -> None:
        """Put the weights into the variables of the model that the config describes.

        Raises:
            IntegrityError: the weights are those of another model.
        """
        arrays = self.read_weights(variables)
        for variable, array in zip(variables, arrays):
            if array is not None and array.shape != tuple(variable.shape):
                raise IntegrityError(
                    f"Expected in {self.path} weights of shape {tuple(variable.shape)} for {variable.path}. "
                    f"Received: {array.shape}. Was it made by another version or config?"
                )
        for variable, array in zip(variables, arrays):
            if array is not None:
                variable.assign(array)
