"""The names that attributes had in tfvae 0.1, which its `.keras` files hold."""

from __future__ import annotations

from typing import Any


def make_legacy_name(attribute: str) -> Any:
    """Return a property that gives `attribute` the name it had in tfvae 0.1 too.

    Keras addresses a layer in a `.keras` file by the attributes that hold it, and tries their names in alphabetical
    order. It recovers from a wrong name, but not for layers that are nested deeper: where an attribute holds layers of
    layers, the new name must come after the old one.
    """
    return property(lambda layer: getattr(layer, attribute))
