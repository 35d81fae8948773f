"""Parts that Keras can save as objects: they remember the arguments of their constructor."""

from __future__ import annotations

from typing import Any

import keras

from tfvae.errors import UsageError

PLAIN = (str, int, float, bool, type(None))


class SaveablePart(keras.layers.Layer):
    """A layer whose `get_config` returns the arguments of its constructor, and which Keras finds by its name.

    A subclass needs to define nothing, if its constructor takes numbers, words and shapes by name.
    """

    _arguments: dict[str, Any]

    def __init_subclass__(cls, **options: Any) -> None:
        """Make every part, a user's own too, known to Keras' loader."""
        super().__init_subclass__(**options)
        keras.saving.register_keras_serializable("tfvae")(cls)

    def __new__(cls, *values: Any, **arguments: Any) -> Any:
        """Return a new part that remembers its arguments."""
        part = super().__new__(cls, *values, **arguments)
        vars(part)["_arguments"] = arguments if not values else {"": values}
        return part

    def get_config(self) -> dict[str, Any]:
        """Return the arguments of the constructor.

        Raises:
            UsageError: they are more than numbers, words and shapes given by name.
        """
        for name, value in self._arguments.items():
            values = value if isinstance(value, (tuple, list)) else [value]
            if not name or not all(isinstance(one, PLAIN) for one in values):
                raise UsageError(
                    f"Expected numbers, words and shapes by name in the constructor of {type(self).__name__}, to save "
                    f"it. Received: {name or 'arguments without names'}. Define its get_config and from_config."
                )
        return dict(self._arguments)


def serialize_part(part: Any) -> Any:
    """Return the spec of a part as it is, and an object as the JSON that `deserialize_part` reads.

    Raises:
        UsageError: it cannot be saved.
    """
    return part if isinstance(part, str) else keras.saving.serialize_keras_object(part)


def deserialize_part(saved: Any) -> Any:
    """Return the part that `serialize_part` saved."""
    return keras.saving.deserialize_keras_object(saved) if isinstance(saved, dict) else saved
