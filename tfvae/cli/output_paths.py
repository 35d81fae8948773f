"""Where verbs write with -o: what cannot be written there is said before any work."""

from __future__ import annotations

import argparse
import importlib.util
import os
import pathlib

PICTURE_SUFFIX = ".png"
ANIMATION_SUFFIX = ".gif"
CODE_SUFFIXES = (".csv", ".npz", ".parquet")
ARRAYS_SUFFIX = ".npz"


def check_parent_folder(path: pathlib.Path) -> None:
    """Refuse a path in a folder that does not exist, such as one with a typing error, or that cannot be written.

    Raises:
        argparse.ArgumentTypeError: as above.
    """
    parent = path.parent
    if not parent.is_dir():
        raise argparse.ArgumentTypeError(
            f"Expected a path in a folder that exists. Received: {path}. Create it first:  mkdir -p {parent}"
        )
    target = path if path.exists() else parent
    if not os.access(target, os.W_OK):
        raise argparse.ArgumentTypeError(f"Expected to write {path}. Received: no permission. Choose another place.")


def _check_file(path: pathlib.Path) -> None:
    """Refuse a folder, and what `check_parent_folder` refuses."""
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"Expected a file. Received: {path}, a folder.")
    check_parent_folder(path)


def parse_picture_or_animation_path(text: str) -> str:
    """Return the path of a PNG file, or of a GIF for an animation, that can be written.

    Raises:
        argparse.ArgumentTypeError: as `parse_picture_path`.
    """
    path = pathlib.Path(text)
    if path.suffix.lower() != ANIMATION_SUFFIX:
        return parse_picture_path(text)
    _check_file(path)
    return text


def parse_picture_path(text: str) -> str:
    """Return the path of a picture that can be written.

    Raises:
        argparse.ArgumentTypeError: it is not named as a PNG file, is a folder, or lies in a folder that does not exist.
    """
    path = pathlib.Path(text)
    if path.suffix.lower() != PICTURE_SUFFIX:
        raise argparse.ArgumentTypeError(
            f"Expected the name of a PNG file, such as {path.stem or 'picture'}{PICTURE_SUFFIX}. Received: {text!r}."
        )
    _check_file(path)
    return text


def parse_sheet_or_images_path(text: str) -> str:
    """Return the path of a PNG file for all images, or of a new folder or .npz file for each; all can be written.

    Raises:
        argparse.ArgumentTypeError: as `parse_picture_path` and `parse_images_path`.
    """
    suffix = pathlib.Path(text).suffix.lower()
    return parse_images_path(text) if suffix in ("", ARRAYS_SUFFIX) else parse_picture_path(text)


def parse_output_folder(text: str) -> str:
    """Return the path of a folder for results, which may be there already; '' stays ''.

    Raises:
        argparse.ArgumentTypeError: it is a file, or lies in a folder that does not exist.
    """
    path = pathlib.Path(text)
    if not text:
        return text
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"Expected a folder. Received: {text}, a file.")
    check_parent_folder(path)
    return text


def parse_csv_path(text: str) -> str:
    """Return the path of a CSV file that can be written.

    Raises:
        argparse.ArgumentTypeError: another suffix, a folder, or in a folder that does not exist.
    """
    path = pathlib.Path(text)
    if path.suffix.lower() != ".csv" or path.is_dir():
        raise argparse.ArgumentTypeError(f"Expected a file named .csv. Received: {text!r}.")
    check_parent_folder(path)
    return text


def parse_code_path(text: str) -> str:
    """Return the path of a file of codes that can be written.

    Raises:
        argparse.ArgumentTypeError: another suffix, Parquet without pyarrow, a folder, or in one that does not exist.
    """
    path = pathlib.Path(text)
    suffix = path.suffix.lower()
    if suffix not in CODE_SUFFIXES or path.is_dir():
        raise argparse.ArgumentTypeError(f"Expected a file named {', '.join(CODE_SUFFIXES)}. Received: {text!r}.")
    if suffix == ".parquet" and not importlib.util.find_spec("pyarrow"):
        raise argparse.ArgumentTypeError("Expected pyarrow for .parquet. Try  pip install pyarrow,  or write .csv.")
    check_parent_folder(path)
    return text


def parse_images_path(text: str) -> str:
    """Return the path of an .npz file, or of a new folder, that can be written.

    Raises:
        argparse.ArgumentTypeError: another suffix, a folder that exists, or in a folder that does not exist.
    """
    path = pathlib.Path(text)
    if path.suffix.lower() not in ("", ARRAYS_SUFFIX):
        raise argparse.ArgumentTypeError(f"Expected a folder, or a file named {ARRAYS_SUFFIX}. Received: {text!r}.")
    if path.exists() and (not path.suffix or path.is_dir()):
        raise argparse.ArgumentTypeError(f"Expected a folder that does not exist yet. Received: {text}.")
    check_parent_folder(path)
    return text
