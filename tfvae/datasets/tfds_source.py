"""TensorFlow Datasets as a source. TensorFlow is imported only when a TFDS set is really read."""

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

import numpy as np

from tfvae.datasets.catalogue import CATALOGUE, FACTORS
from tfvae.datasets.image_decoding import resize_batch
from tfvae.datasets.source import Source, parse_options
from tfvae.errors import DataError

OPTIONS = {"size": 0}
PROBE_SECONDS = 3.0
BATCH = 256


def package():
    """The folder of the installed TFDS, found without importing it, or None."""
    spec = importlib.util.find_spec("tensorflow_datasets")
    return pathlib.Path(spec.submodule_search_locations[0]) if spec else None


@functools.cache
def builders():
    """Names of TFDS image builders and others, read off its files: its own listing imports TensorFlow."""
    root = package()
    if root is None:
        return frozenset()
    names = {path.parent.name for path in root.glob("*/*/checksums.tsv")}
    names |= {path.stem for path in root.glob("url_checksums/*.txt")}
    names |= {
        path.name for top in ("datasets", "image", "image_classification") for path in root.glob(f"{top}/[a-z]*/")
    }
    return frozenset(names)


def data_dir():
    """Where TFDS keeps what it prepared."""
    return pathlib.Path(os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def hosts(name):
    """{(host, port)} that the builder downloads from, as its checksum file says."""
    name = name.partition("/")[0]
    root = package()
    files = [*root.glob(f"*/{name}/checksums.tsv"), root / "url_checksums" / f"{name}.txt"] if root else []
    found = set()
    for file in filter(pathlib.Path.is_file, files):
        for line in file.read_text().splitlines():
            url = urllib.parse.urlsplit(line.split("\t")[0].split(" ")[0])
            if url.hostname:
                found.add((url.hostname, url.port or (80 if url.scheme == "http" else 443)))
    return found


def reachable(places, seconds=PROBE_SECONDS):
    """Whether one of {(host, port)} accepts a connection within `seconds`, counting the look-up of its name.

    Behind an HTTP proxy the proxy is asked instead. Threads, because a look-up cannot be timed out.
    """
    proxies = [
        urllib.parse.urlsplit(p) for scheme, p in urllib.request.getproxies().items() if scheme in ("http", "https")
    ]
    places = {(p.hostname, p.port or 80) for p in proxies if p.hostname} or places
    answers = queue.Queue()

    def ask(place):
        try:
            socket.create_connection(place, timeout=seconds).close()
            answers.put(True)
        except OSError:
            answers.put(False)

    for place in places:
        threading.Thread(target=ask, args=(place,), daemon=True).start()
    end = time.monotonic() + seconds
    for _ in places:
        try:
            if answers.get(timeout=max(0.0, end - time.monotonic())):
                return True
        except queue.Empty:
            return False
    return False


def find(name, items, allow_download):
    """The Source of a TFDS builder, or None where it is neither prepared on this disk nor within reach.

    Raises:
        DataError: the download or the preparation failed.
    """
    size = parse_options(name, items, OPTIONS)["size"]
    online = functools.cache(lambda: allow_download and reachable(hosts(name)))
    if not (data_dir() / name).is_dir() and not online():
        return None
    # tfds reports on stdout, which belongs to the results of a command.
    with contextlib.redirect_stdout(sys.stderr):
        import tensorflow_datasets as tfds

        try:
            builder = tfds.builder(name, data_dir=data_dir())
            if not pathlib.Path(builder.data_dir, "dataset_info.json").is_file():
                if not online():
                    return None
                config = tfds.download.DownloadConfig(try_download_gcs=False)
                builder.download_and_prepare(download_config=config)
        except Exception as error:  # resolvers, servers, checksums and disks: tfds passes on their own errors
            reason = (str(error).splitlines() or [""])[0]
            raise DataError(
                f"Expected TFDS to prepare {name!r}. Received: {type(error).__name__}: {reason}."
            ) from error
    return _source(name, builder, size)


def _source(name, builder, size):
    splits = list(builder.info.splits)
    # A builder that was not really prepared (tfds.testing.mock_data) knows no splits; the catalogue does.
    entry = CATALOGUE.get(name)
    own_test = "test" in splits if splits else entry is None or entry.test > 0
    if splits and "train" not in splits:
        raise DataError(f"Expected {name!r} to have a split 'train'. Received: {', '.join(splits)}.")

    def read(part):
        with contextlib.redirect_stdout(sys.stderr):
            return _read(name, builder, "train" if part == "all" else part, size)

    origin = f"TFDS {builder.info.full_name}"
    return Source(("train", "test") if own_test else ("all",), read, origin, keep=bool(splits))


def _read(name, builder, split, size):
    """(uint8 [N,H,W,C], int64 [N]) of a whole split."""
    import tensorflow as tf
    import tensorflow_datasets as tfds

    features = builder.info.features
    pictures = [k for k in features if isinstance(features[k], tfds.features.Image)]
    key = "image" if "image" in pictures else next(iter(pictures), None)
    if key is None:
        raise DataError(f"Expected {name!r} to be a set of images. Received: features {', '.join(features)}.")
    fixed = None not in features[key].shape
    if not fixed and not size:
        raise DataError(f"Expected one shape for all images of {name!r}. Received: mixed; use {name}:size=64.")
    _check_memory(name, builder, split, features[key].shape, size)
    keys = [f"label_{factor}" for factor in FACTORS.get(name, ())] or ["label"]
    keys = [k for k in keys if k in features and features[k].shape == ()]
    data = builder.as_dataset(split=split, shuffle_files=False)
    data = data.map(lambda x: (x[key], tuple(x[k] for k in keys)))
    images, labels = [], []
    try:
        for x, y in tfds.as_numpy(data.batch(BATCH if fixed else 1)):
            images.append(resize_batch(x, size) if size else x)
            labels.append(_flatten(name, y, len(x)))
    except tf.errors.OpError as error:
        raise DataError(f"Expected TFDS' copy of {name!r} to be readable. Received: {error.message}.") from error
    if not images:
        raise DataError(f"Expected images in split {split!r} of {name!r}. Received: none.")
    return _to_bytes(name, np.concatenate(images)), np.concatenate(labels)


def _flatten(name, y, count):
    if not y:
        return np.zeros(count, np.int64)
    if name in FACTORS:
        return np.ravel_multi_index(y, tuple(FACTORS[name].values())).astype(np.int64)
    return y[0].astype(np.int64)


def _to_bytes(name, images):
    if images.dtype != np.uint8:
        raise DataError(f"Expected {name!r} to hold 8-bit images. Received: {images.dtype}.")
    # dsprites and binarized_mnist store 0 and 1.
    return images * np.uint8(255) if images.max() <= 1 else images


def _check_memory(name, builder, split, shape, size):
    """Refuse, before hours of decoding, what cannot fit: all images at once, twice while they are joined."""
    splits = builder.info.splits
    if split not in splits or not hasattr(os, "sysconf"):
        return
    pixels = size * size * shape[-1] if size else np.prod(shape)
    need, have = (
        2 * splits[split].num_examples * int(pixels),
        os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    )
    if need > have:
        raise DataError(
            f"Expected {name!r} to fit into memory, {have >> 30} GiB. Received: {need >> 30} GiB; "
            f"use smaller images, {name}:size=64 or less."
        )
