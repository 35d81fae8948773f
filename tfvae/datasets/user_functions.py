"""A user's own function or class as a data set: ``my_package.my_module.make_points:n=100,noise=0.1``."""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tfvae import specs
from tfvae.datasets.image_arrays import check_images, check_labels
from tfvae.datasets.source import Arrays, Source
from tfvae.errors import DataError, UsageError
from tfvae.runtime.import_paths import find_entry_points, import_object, load_entry_point

# The arrays that may be returned: of each part (images, labels).
LAYOUTS = (
    {"all": ("images", "labels")},
    {"all": ("train_images", "train_labels")},
    {"train": ("train_images", "train_labels"), "test": ("test_images", "test_labels")},
)
EXPECTED_KEYS = "images, train_images, or train_images and test_images, and the labels of all these or of none"


def load_user_function(base: str) -> Callable[..., Any]:
    """Import the function or class that a data set's name means and return it.

    Args:
        base: an import path, or a name of the entry-point group ``tfvae.datasets``; without options.

    Raises:
        UsageError: it cannot be imported, or it cannot be called.
    """
    if specs.is_import_path(base):
        function = import_object(base)
    else:
        function = load_entry_point(find_entry_points(specs.ENTRY_POINT_GROUPS["dataset"])[base])
    if not callable(function):
        raise UsageError(
            f"Expected data set {base!r} to name a function or a class that returns arrays. "
            f"Received: a value of type {type(function).__name__}."
        )
    return function


def make_user_source(name: str) -> Source:
    """Call a user's own function or class and make the source of what it returns.

    It is called with the options of the name as keyword arguments and returns a mapping with the keys images
    [N,H,W,C] and perhaps labels [N], or train_images and perhaps test_images, with train_labels and test_labels.
    Images are uint8, or floats in [0,1], which stay real numbers (float32). Without test images a fixed tenth of the
    images is the test split. It is called once for all splits of a run; to draw at random it needs a seed of its own.

    Args:
        name: the import path or registered name with its options.

    Raises:
        UsageError: it cannot be imported, or does not have these options.
        DataError: it raised an error, or returned something else.
    """
    base, options = specs.parse_spec(name)
    function = load_user_function(base)
    options = check_user_options(base, function, options)
    arrays, has_labels = _call_user_function(base, function, tuple(sorted(options.items())))
    unlabelled_parts = () if has_labels else tuple(arrays)
    return Source(tuple(arrays), arrays.__getitem__, f"arrays made by {base}", unlabelled_parts=unlabelled_parts)


def check_user_options(base: str, function: Callable[..., Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Check options against the arguments of a user's function and return the keyword arguments of its call.

    Args:
        base: the data set's name, for messages.
        function: any callable; one without a signature takes everything.
        options: as `specs.parse_spec` gives them; 'none' becomes None where the default or the annotation allows it.

    Raises:
        UsageError: an unknown option, one of another type than its default or annotation, or a missing one.
    """
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # some functions written in C have no signature
        return dict(options)
    keywords = {p.name: p for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
    part = specs.PartSignature(base, options={name: _make_option(p) for name, p in keywords.items()})
    options = specs.translate_options(part, options)
    takes_any_option = any(p.kind is p.VAR_KEYWORD for p in parameters)
    checked_options = {key: options[key] for key in options if key in keywords or not takes_any_option}
    specs.check_options("data set", part, checked_options)
    for name, parameter in keywords.items():
        if parameter.default is parameter.empty and name not in options:
            raise UsageError(
                f"Data set {base!r}: expected the option {name}, which has no default. "
                f"Received: {', '.join(options) or 'no options'}; give it as in {base}:{name}=VALUE."
            )
    return options


def _make_option(parameter: inspect.Parameter) -> specs.Option:
    """Return what a spec may say about an argument; where its default is no number or word, anything."""
    default, annotation = parameter.default, parameter.annotation
    if not specs.is_option(parameter.name, default):
        default = None
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    return specs.make_option(parameter.name, default, "" if annotation is parameter.empty else text)


# One call serves the train, validation and test split of a run: a function without a seed would else mix them.
@functools.lru_cache(maxsize=1)
def _call_user_function(
    base: str, function: Callable[..., Any], options: tuple[tuple[str, Any], ...]
) -> tuple[dict[str, Arrays], bool]:
    """Call the user's function; return its checked arrays, {part: (images, labels)}, and whether it gave labels."""
    try:
        result = function(**dict(options))
    except Exception as error:  # a user's function may raise anything
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise DataError(
            f"Expected {base} to return images. Received: {type(error).__name__}: {error} "
            f"({frame.filename}, line {frame.lineno}); correct the function or its options."
        ) from error
    if not isinstance(result, Mapping):
        raise DataError(
            f"Expected {base} to return a mapping with {EXPECTED_KEYS}. Received: a {type(result).__name__}."
        )
    return read_mapping(base, result)


def read_mapping(base: str, result: Mapping[str, Any]) -> tuple[dict[str, Arrays], bool]:
    """Return checked arrays, {part: (images, labels)}, and whether there were labels.

    Args:
        base: what holds them, for messages.
        result: the arrays by the keys of `LAYOUTS`.

    Raises:
        DataError: other keys, or arrays of another type or shape.
    """
    layout = _select_layout(base, result)
    arrays = {part: _check_part(base, result, *keys) for part, keys in layout.items()}
    _check_same_form(base, arrays)
    return arrays, all(labels_key in result for _, labels_key in layout.values())


def _select_layout(base: str, result: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return the member of `LAYOUTS` whose arrays are those in `result`, with or without labels."""
    for layout in LAYOUTS:
        images_keys = {images_key for images_key, _ in layout.values()}
        labels_keys = {labels_key for _, labels_key in layout.values()}
        if set(result) in (images_keys, images_keys | labels_keys):
            return layout
    keys = ", ".join(map(str, result)) or "nothing"
    raise DataError(f"Expected {base} to be a mapping with {EXPECTED_KEYS}. Received: {keys}.")


def _check_part(base: str, result: Mapping[str, Any], images_key: str, labels_key: str) -> Arrays:
    """Check the arrays of one part; images become uint8 or float32, absent labels 0."""
    description = f"{images_key} of {base}"
    images = check_images(np.asarray(result[images_key]), description)
    images = images if images.dtype == np.uint8 else images.astype(np.float32)
    if labels_key not in result:
        return images, np.zeros(len(images), np.int64)
    return images, check_labels(np.asarray(result[labels_key]), len(images), f"{labels_key} of {base}")


def _check_same_form(base: str, arrays: Mapping[str, Arrays]) -> None:
    """Refuse training and test images of different shapes or types."""
    forms = {part: f"{images.dtype} {list(images.shape[1:])}" for part, (images, _) in arrays.items()}
    if len(set(forms.values())) > 1:
        raise DataError(
            f"Expected train_images and test_images of {base} to have one type and shape. "
            f"Received: {' and '.join(forms.values())}."
        )
