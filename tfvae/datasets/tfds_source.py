"""TensorFlow Datasets as a source. TensorFlow is imported only when a TFDS set is really read."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import pathlib
import queue
import socket
import sys
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from typing import Any

import numpy as np

from tfvae.datasets.catalogue import CATALOGUE, FACTORS
from tfvae.datasets.image_decoding import resize_images
from tfvae.datasets.source import Arrays, Source, parse_options
from tfvae.errors import DataError

TFDS_OPTIONS = {"size": 0}
PROBE_SECONDS = 3.0
BATCH_SIZE = 256


def find_tfds_package() -> pathlib.Path | None:
    """Return the folder of the installed TFDS without importing it, or None where it is not installed."""
    spec = importlib.util.find_spec("tensorflow_datasets")
    return pathlib.Path(spec.submodule_search_locations[0]) if spec and spec.submodule_search_locations else None


@functools.cache
def list_builders() -> frozenset[str]:
    """List the names of TFDS image builders and others, read off its files: its own listing imports TensorFlow."""
    root = find_tfds_package()
    if root is None:
        return frozenset()
    names = {path.parent.name for path in root.glob("*/*/checksums.tsv")}
    names |= {path.stem for path in root.glob("url_checksums/*.txt")}
    names |= {
        path.name for top in ("datasets", "image", "image_classification") for path in root.glob(f"{top}/[a-z]*/")
    }
    return frozenset(names)


def get_tfds_folder() -> pathlib.Path:
    """Return the folder where TFDS keeps what it prepared."""
    return pathlib.Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def list_download_hosts(name: str) -> set[tuple[str, int]]:
    """List the {(host, port)} that builder `name` downloads from, as its checksum file says."""
    name = name.partition("/")[0]
    root = find_tfds_package()
    files = [*root.glob(f"*/{name}/checksums.tsv"), root / "url_checksums" / f"{name}.txt"] if root else []
    hosts: set[tuple[str, int]] = set()
    for file in filter(pathlib.Path.is_file, files):
        for line in file.read_text().splitlines():
            url = urllib.parse.urlsplit(line.split("\t")[0].split(" ")[0])
            if url.hostname:
                hosts.add((url.hostname, url.port or (80 if url.scheme == "http" else 443)))
    return hosts


def is_reachable(hosts: set[tuple[str, int]], seconds: float = PROBE_SECONDS) -> bool:
    """Tell whether one of {(host, port)} accepts a connection in time.

    Behind an HTTP proxy the proxy is tried instead. Threads, because the look-up of a name cannot be timed out.

    Args:
        hosts: names or addresses with ports.
        seconds: the time limit, which includes the look-up of the name.
    """
    proxies = [
        urllib.parse.urlsplit(url) for scheme, url in urllib.request.getproxies().items() if scheme in ("http", "https")
    ]
    hosts = {(proxy.hostname, proxy.port or 80) for proxy in proxies if proxy.hostname} or hosts
    answers: queue.Queue[bool] = queue.Queue()

    def connect(host: tuple[str, int]) -> None:
        try:
            socket.create_connection(host, timeout=seconds).close()
            answers.put(True)
        except OSError:
            answers.put(False)

    for host in hosts:
        threading.Thread(target=connect, args=(host,), daemon=True).start()
    deadline = time.monotonic() + seconds
    for _ in hosts:
        try:
            if answers.get(timeout=max(0.0, deadline - time.monotonic())):
                return True
        except queue.Empty:
            return False
    return False


def find_tfds_source(name: str, items: Sequence[str], allow_download: bool) -> Source | None:
    """Return the source of a TFDS builder, or None where it is neither prepared on this disk nor within reach.

    Args:
        name: the builder, 'emnist' or 'emnist/letters'.
        items: texts 'option=value'; the option is size.
        allow_download: whether a builder that is not prepared may be downloaded and prepared now.

    Raises:
        DataError: the download or the preparation failed.
    """
    size = int(parse_options(name, items, TFDS_OPTIONS)["size"])
    is_online = functools.cache(lambda: allow_download and is_reachable(list_download_hosts(name)))
    if not (get_tfds_folder() / name).is_dir() and not is_online():
        return None
    # tfds reports on stdout, which belongs to the results of a command.
    with contextlib.redirect_stdout(sys.stderr):
        import tensorflow_datasets as tfds

        try:
            builder = tfds.builder(name, data_dir=get_tfds_folder())
            if not pathlib.Path(builder.data_dir, "dataset_info.json").is_file():
                if not is_online():
                    return None
                config = tfds.download.DownloadConfig(try_download_gcs=False)
                builder.download_and_prepare(download_config=config)
        except Exception as error:  # resolvers, servers, checksums and disks: tfds passes on their own errors
            reason = (str(error).splitlines() or [""])[0]
            raise DataError(
                f"Expected TFDS to prepare {name!r}. Received: {type(error).__name__}: {reason}."
            ) from error
    return _make_tfds_source(name, builder, size)


def _make_tfds_source(name: str, builder: Any, size: int) -> Source:
    """Make the source of a builder that is prepared."""
    splits = list(builder.info.splits)
    # A builder that was not really prepared (tfds.testing.mock_data) knows no splits; the catalogue does.
    entry = CATALOGUE.get(name)
    has_test_split = "test" in splits if splits else entry is None or entry.test > 0
    if splits and "train" not in splits:
        raise DataError(f"Expected {name!r} to have a split 'train'. Received: {', '.join(splits)}.")

    def read(part: str) -> Arrays:
        with contextlib.redirect_stdout(sys.stderr):
            return _read_split(name, builder, "train" if part == "all" else part, size)

    parts = ("train", "test") if has_test_split else ("all",)
    unlabelled_parts = () if _list_label_keys(name, builder.info.features) else parts
    origin = f"TFDS {builder.info.full_name}"
    return Source(parts, read, origin, is_slow_to_read=bool(splits), unlabelled_parts=unlabelled_parts)


def _list_label_keys(name: str, features: Any) -> list[str]:
    """List the features that hold the label, or the factors, of an image; none where a set has no labels."""
    keys = [f"label_{factor}" for factor in FACTORS.get(name, ())] or ["label"]
    return [key for key in keys if key in features and features[key].shape == ()]


def _read_split(name: str, builder: Any, split: str, size: int) -> Arrays:
    """Read a whole split and return images uint8 [N,H,W,C] and labels int64 [N]."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    features = builder.info.features
    image_keys = [key for key in features if isinstance(features[key], tfds.features.Image)]
    key = "image" if "image" in image_keys else next(iter(image_keys), None)
    if key is None:
        raise DataError(f"Expected {name!r} to be a set of images. Received: features {', '.join(features)}.")
    has_fixed_shape = None not in features[key].shape
    if not has_fixed_shape and not size:
        raise DataError(f"Expected one shape for all images of {name!r}. Received: mixed; use {name}:size=64.")
    _check_memory(name, builder, split, features[key].shape, size)
    label_keys = _list_label_keys(name, features)
    data = builder.as_dataset(split=split, shuffle_files=False)
    data = data.map(lambda x: (x[key], tuple(x[label] for label in label_keys)))
    images, labels = [], []
    try:
        for x, y in tfds.as_numpy(data.batch(BATCH_SIZE if has_fixed_shape else 1)):
            images.append(resize_images(x, size) if size else x)
            labels.append(_flatten_labels(name, y, len(x)))
    except tf.errors.OpError as error:
        raise DataError(f"Expected TFDS' copy of {name!r} to be readable. Received: {error.message}.") from error
    if not images:
        raise DataError(f"Expected images in split {split!r} of {name!r}. Received: none.")
    return _scale_to_bytes(name, np.concatenate(images)), np.concatenate(labels)


def _flatten_labels(name: str, y: tuple[np.ndarray, ...], count: int) -> np.ndarray:
    """Return one label int64 [N] for each of `count` images: 0, the label `y[0]`, or the flattened factors `y`."""
    if not y:
        return np.zeros(count, np.int64)
    if name in FACTORS:
        return np.ravel_multi_index(y, tuple(FACTORS[name].values())).astype(np.int64)
    return y[0].astype(np.int64)


def _scale_to_bytes(name: str, images: np.ndarray) -> np.ndarray:
    """Refuse images that are not uint8, and return those of 0 and 1 as 0 and 255."""
    if images.dtype != np.uint8:
        raise DataError(f"Expected {name!r} to hold 8-bit images. Received: {images.dtype}.")
    # dsprites and binarized_mnist store 0 and 1.
    return images * np.uint8(255) if images.max() <= 1 else images


def _check_memory(name: str, builder: Any, split: str, shape: tuple[int, ...], size: int) -> None:
    """Refuse, before hours of decoding, what cannot fit: all images at once, twice while they are joined."""
    splits = builder.info.splits
    if split not in splits or not hasattr(os, "sysconf"):
        return
    pixels = size * size * shape[-1] if size else int(np.prod(shape))
    needed = 2 * splits[split].num_examples * pixels
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if needed > memory:
        raise DataError(
            f"Expected {name!r} to fit into memory, {memory >> 30} GiB. Received: {needed >> 30} GiB; "
            f"use smaller images, {name}:size=64 or less."
        )
