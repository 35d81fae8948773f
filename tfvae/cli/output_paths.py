"""Where verbs write with -o: what cannot be written there is said before any work."""

from __future__ import annotations

import argparse
import os
import pathlib

PICTURE_SUFFIX = ".png"


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
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"Expected a file. Received: {text}, a folder.")
    check_parent_folder(path)
    return text


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
