"""How Keras finds tfvae's classes in ``.keras`` files after ``import tfvae`` alone, without loading them before.

``import tfvae`` loads neither Keras nor TensorFlow. As soon as something imports Keras, a `LateClass` is registered for
each objective: the real class is imported when a file is read that names it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

from tfvae import part_sources

PACKAGE = "tfvae"  # under which the classes are registered, as in ``tfvae>GECO``
HOME = "tfvae.objectives.build"  # which imports all objectives
UNLISTED = ("KappaConditionedGECO",)  # objectives that no spec names


class LateClass:
    """Stands for a class of tfvae until that is imported.

    Args:
        name: under which Keras knows the class.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def from_config(self, config: dict[str, Any]) -> Any:
        """Import the class and return the object that the config describes."""
        importlib.import_module(HOME)
        registry = importlib.import_module("keras").saving.get_custom_objects()
        return registry[self.name].from_config(config)


def register_late_classes(keras: ModuleType) -> None:
    """Register a `LateClass` for each objective whose class is not imported yet."""
    file, table = part_sources.TABLES["objective"]
    listed = part_sources.read_table(part_sources.PACKAGE / file, table).values()
    for name in (*listed, *UNLISTED):
        key = f"{PACKAGE}>{name}"
        keras.saving.get_custom_objects().setdefault(key, LateClass(key))


class KerasFinder:
    """A finder of modules that finds Keras as others do, and registers the classes once it is imported."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the spec of Keras, whose loader registers the classes at its end; None for other modules."""
        if name != "keras":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_register(module: ModuleType) -> None:
            execute(module)
            register_late_classes(module)

        spec.loader.exec_module = execute_and_register  # type: ignore[method-assign]
        return spec


def register_with_keras() -> None:
    """Register the classes now if Keras is imported, otherwise as soon as it is."""
    if "keras" in sys.modules:
        register_late_classes(sys.modules["keras"])
    else:
        sys.meta_path.insert(0, KerasFinder())
