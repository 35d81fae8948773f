"""Folders of pictures: nesting, classes, cropping, damaged files."""

import pathlib
import struct
import zlib

import numpy as np
import pytest
from dataset_files import load_all_images
from PIL import Image

from tfvae import datasets
from tfvae.errors import DataError


def save_picture(path, array, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "my,photos=2"
    grey = np.full((20, 30), 200, np.uint8)
    save_picture(root / "cats" / "a.png", grey)
    save_picture(root / "cats" / "deep" / "er" / "b.JPG", np.full((64, 40, 3), (200, 0, 0), np.uint8))
    save_picture(root / "dogs" / "c.webp", np.full((16, 16, 3), (0, 200, 0), np.uint8))
    save_picture(root / "dogs" / "d.bmp", np.full((8, 9, 3), (0, 0, 200), np.uint8))
    (root / "dogs" / "notes.txt").write_text("no picture")
    (root / ".hidden").mkdir()
    (root / ".hidden" / "e.png").write_bytes(b"no picture either")
    (root / "empty").mkdir()
    return root


def test_folder_reads_nested_mixed_pictures(folder):
    images, labels = load_all_images(f"folder:{folder},size=16")
    assert images.shape == (4, 16, 16, 3) and images.dtype == np.uint8
    # Constant pictures stay constant under any resizing; JPEG and WebP may move a level or two.
    means = sorted((int(label), *np.rint(image.mean((0, 1)) / 40).astype(int)) for image, label in zip(images, labels))
    assert means == [(0, 5, 0, 0), (0, 5, 5, 5), (1, 0, 0, 5), (1, 0, 5, 0)]
    assert datasets.info(f"folder:{folder},size=16")["counts"] == {"all": 4}


def test_folder_crops_the_centre_and_keeps_grey(tmp_path, rng):
    picture = rng.integers(256, size=(12, 20), dtype=np.uint8)
    for name in "abc":
        save_picture(tmp_path / "f" / f"{name}.png", picture)
    images, labels = datasets.load(f"folder:{tmp_path}/f,size=12,channels=1")
    # No change of scale, so the crop is exact; without sub-folders there is one class.
    np.testing.assert_array_equal(images[0, ..., 0], picture[:, 4:16])
    assert labels.tolist() == [0, 0]
    images, _ = datasets.load(f"folder:{tmp_path}/f,size=0,channels=1")
    np.testing.assert_array_equal(images[0, ..., 0], picture)


def test_folder_shrinks_without_aliasing(tmp_path):
    # A one-pixel checkerboard averages to mid grey; picking every n-th pixel would give black or white.
    board = (np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8)
    for name in "abc":
        save_picture(tmp_path / "f" / f"{name}.png", board)
    images, _ = datasets.load(f"folder:{tmp_path}/f,size=8,channels=1")
    assert np.abs(images.astype(int) - 127.5).max() < 12


def make_chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def make_bomb(side):
    """A small PNG whose header claims side x side pixels."""
    header = make_chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + make_chunk(b"IDAT", zlib.compress(bytes(1000))) + make_chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "bad, why",
    [(b"", ""), (b"no picture", ""), ("half", ""), (make_bomb(50_000), "pixels"), (make_bomb(10_000), "pixels")],
    ids=["empty", "text", "half", "huge bomb", "bomb"],
)
def test_a_bad_picture_is_named_or_skipped(folder, bad, why, caplog):
    half = (folder / "dogs" / "d.bmp").read_bytes()[:60]
    (folder / "cats" / "bad.png").write_bytes(half if bad == "half" else bad)
    # A bomb is refused for the size in its header, not for the data that it lacks.
    with pytest.raises(DataError, match=f"bad.png.*{why}"):
        datasets.load(f"folder:{folder}")
    images, labels = load_all_images(f"folder:{folder}", bad_files="skip")
    assert np.bincount(labels).tolist() == [2, 2] and len(images) == 4
    assert [pathlib.Path(path).name for path, _ in datasets.skipped_files] == ["bad.png"]
    assert "bad.png" in caplog.text


def test_folders_without_a_usable_picture(tmp_path, folder):
    (tmp_path / "void").mkdir()
    with pytest.raises(DataError, match="void"):
        datasets.load(f"folder:{tmp_path}/void")
    with pytest.raises(DataError, match="nowhere"):
        datasets.load(f"folder:{tmp_path}/nowhere")
    with pytest.raises(DataError, match="size=0"):
        datasets.load(f"folder:{folder},size=0")
    (tmp_path / "void" / "x.png").write_bytes(b"")
    with pytest.raises(DataError, match="x.png"):
        datasets.load(f"folder:{tmp_path}/void", bad_files="skip")
