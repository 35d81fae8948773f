"""Parts by their specs: built-in ones, those that packages register, and users' own by import path."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from tfvae import specs
from tfvae.errors import UsageError, describe_value
from tfvae.runtime import import_paths


def find_part_class(kind: str, name: str, table: Mapping[str, type], base: type | None = None) -> type:
    """Return the class of a part: from the table, by import path, or by the name that a package registers.

    Args:
        kind: objective, likelihood, arch or prior.
        name: ``geco``, ``my_package.my_module.FreeBits``, or a registered name.
        table: {name: class} of the built-in parts.
        base: the class that a part which is not built in must be derived from; None: any class.

    Raises:
        UsageError: there is no such part, it cannot be imported, or it has another base class.

    Example:
        >>> find_part_class("prior", "normal", {"normal": dict})
        <class 'dict'>
    """
    if name in table:
        return table[name]
    if specs.is_import_path(name):
        cls = import_paths.import_object(name)
    else:
        entry_points = import_paths.find_entry_points(specs.ENTRY_POINT_GROUPS[kind])
        if name not in entry_points:
            raise UsageError(specs.describe_unknown_part(kind, name, table))
        cls = import_paths.load_entry_point(entry_points[name])
    if not isinstance(cls, type) or base is not None and not issubclass(cls, base):
        received = "a class with other bases" if isinstance(cls, type) else f"a {type(cls).__name__}"
        expected = f"a subclass of {base.__module__}.{base.__qualname__}" if base is not None else "a class"
        raise UsageError(f"Expected {kind} {name!r} to be {expected}. Received: {received}.")
    return cls


def build_part(kind: str, table: Mapping[str, type], spec: Any, *, base: type | None = None, **context: Any) -> Any:
    """Make the part that `spec` names; an object that is not a string is returned as it is.

    Args:
        kind: objective, likelihood, arch or prior.
        table: {name: class} of the built-in parts.
        spec: ``name:option=value,...``, or a finished part. The options of 0.1.0 are understood.
        base: the base class of parts that are not built in, see `find_part_class`.
        **context: arguments that do not come from the spec.

    Raises:
        UsageError: an unknown part or option, a value of another kind, or an option that has no effect.

    Example:
        >>> build_part("prior", {"any": dict}, "any", latent=2)
        {'latent': 2}
    """
    if not isinstance(spec, str):
        if base is not None and not isinstance(spec, base):
            raise UsageError(_describe_other_part(kind, spec, f"an object of a subclass of tfvae.{base.__name__}"))
        return spec
    name, options = specs.parse_spec(spec)
    cls = find_part_class(kind, name, table, base)
    part = specs.describe_class(name, cls)
    values = specs.translate_options(part, options)
    specs.check_options(kind, part, values)
    if name not in table:
        check_signature(kind, name, cls, context | values)
    return cls(**context, **values)


def format_part(kind: str, table: Mapping[str, type], part: Any, base: type) -> str:
    """Return the spec of a part that is given in Python, so that a config can name it.

    Args:
        kind: objective, likelihood, arch or prior.
        table: {name: class} of the built-in parts.
        part: a spec, which is returned as it is; a class; or an object of one, of which the spec says the options.
        base: the class that it must be derived from.

    Raises:
        UsageError: something else, or a class that stands inside a function, so that it cannot be imported.
    """
    if isinstance(part, str):
        return part
    cls = part if isinstance(part, type) else type(part)
    if not issubclass(cls, base) or cls is base:
        raise UsageError(_describe_other_part(kind, part, f"a subclass of tfvae.{base.__name__}"))
    name = next((known for known, one in table.items() if one is cls), f"{cls.__module__}.{cls.__qualname__}")
    if "<" in name:
        raise UsageError(
            f"Expected {kind} to be a class that config.json can name. Received: {name}. Define it at the top level of "
            "a file or notebook."
        )
    if part is cls:
        return name
    values, options = part.get_config(), specs.list_keyword_options(cls)
    changed = {key: values[key] for key, one in options.items() if key in values and values[key] != one.default}
    return specs.format_spec(name, changed)


def _describe_other_part(kind: str, part: Any, otherwise: str) -> str:
    """Return the sentence for a value that is no part of the kind."""
    return f"Expected {kind} to be a name with options, or {otherwise}. Received: {describe_value(part)}."


def check_signature(kind: str, name: str, cls: type, arguments: Mapping[str, Any]) -> None:
    """Refuse a class of the user's own whose constructor does not take the arguments that the model hands to it.

    Raises:
        UsageError: as above.
    """
    try:
        inspect.signature(cls).bind(**arguments)
    except TypeError as error:
        raise UsageError(
            f"Expected {kind} {name!r} to take the arguments {', '.join(arguments)} by name; end its constructor with "
            f"**context and pass them on to its base class. Received: {error}."
        ) from None
