"""Folders of pictures: nesting, classes, cropping, damaged files."""

import pathlib
import struct
import zlib

import numpy as np
import pytest
from dataset_files import load_all_images
from PIL import Image

from tfvae import datasets
from tfvae.cli.arguments import parse_arguments, read_config
from tfvae.config import Config
from tfvae.datasets.splits import SPLITS
from tfvae.errors import DataError, UsageError
from tfvae.training import trainer


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
        datasets.load(f"folder:{folder}", bad_files="refuse")
    for bad_files in ("skip", None):
        images, labels = load_all_images(f"folder:{folder}", bad_files=bad_files)
        assert np.bincount(labels).tolist() == [2, 2] and len(images) == 4
        assert [pathlib.Path(path).name for path, _ in datasets.skipped_files] == ["bad.png"]
    assert "bad.png" in caplog.text


@pytest.mark.parametrize("bad_files", ["refuse", "skip", None])
def test_the_way_out_that_a_message_names_exists(folder, bad_files):
    for i in range(4):
        (folder / "cats" / f"bad{i}.png").write_bytes(b"no picture")
    name = f"folder:{folder},size=16"
    cases = {None: "at most 3 of the 8.*4, such as.*bad0.png", "refuse": "bad0.png to be a picture"}
    for choice, message in cases.items():
        with pytest.raises(DataError, match=f"{message}.*--bad-files skip.*folder:PATH,bad-files=skip"):
            datasets.load(name, bad_files=choice)
    # The name's own option goes before the argument, wherever it stands.
    assert len(load_all_images(f"folder:{folder},bad-files=skip,size=16", bad_files=bad_files)[0]) == 4
    datasets.check_name(f"{name},bad-files=skip")
    with pytest.raises(DataError, match="bad0.png"):
        datasets.load(f"{name},bad-files=refuse", bad_files=bad_files)
    settings = parse_arguments(["train", "elbo", "--dataset", name, "--bad-files", "skip"])
    config = read_config(settings)
    assert Config.from_dict(config.to_dict()).bad_files == "skip"
    assert [len(trainer.load_split(config, split)[0]) for split in SPLITS] == [2, 1, 1]
    for dataset in (f"{name},bad-files=refuse", "digits"):
        with pytest.raises(UsageError, match="bad_files only with a folder"):
            Config(dataset=dataset, bad_files="skip")
    for wrong in ("skp", ""):
        with pytest.raises(UsageError, match="bad-files"):
            datasets.check_name(f"folder:{folder},bad-files={wrong}")
    with pytest.raises(UsageError, match="bad-files once"):
        datasets.check_name(f"folder:{folder},bad-files=skip,bad-files=skip")


def test_one_in_a_hundred_is_skipped_and_more_are_refused(tmp_path, caplog):
    """Three, or 1 % where that is more: 5 of 500 go without an option, the sixth does not."""
    for i in range(500):
        save_picture(tmp_path / "f" / f"{i:03d}.png", np.full((2, 2), i % 256, np.uint8))
    for count in (5, 6):
        for i in range(count):
            (tmp_path / "f" / f"{i:03d}.png").write_bytes(b"")
        if count == 5:
            assert len(load_all_images(f"folder:{tmp_path}/f,size=2")[0]) == 495
            assert "skipped 5 of 500 pictures" in caplog.text and "004.png" in caplog.text
        else:
            with pytest.raises(DataError, match="at most 5 of the 500 .* Received: 6, such as .*000.png"):
                datasets.load(f"folder:{tmp_path}/f,size=2")


@pytest.mark.parametrize(
    "options, message",
    [
        (",sise=64", "'sise', and there is no .*its options are bad-files, channels, size. Did you mean 'size'"),
        (",sise=64,channels=1", "Did you mean 'size'"),
        (",size=8,chanels=1", "Did you mean 'channels'"),
        (", size=8", "expected an option|Did you mean 'size'"),
        (",Size=8,", "Did you mean 'size'"),
        (",size=8,size=9", "size twice"),
        (",size", "size without a value"),
        (",size=big", "a whole number"),
    ],
)
def test_a_typing_error_in_an_option_is_no_part_of_the_path(folder, options, message):
    with pytest.raises((UsageError, DataError), match=message):
        datasets.load(f"folder:{folder}{options}")


def test_a_path_that_looks_like_options_is_a_path_where_it_exists(folder, tmp_path):
    (tmp_path / "x,sise=64").symlink_to(folder)
    assert len(load_all_images(f"folder:{tmp_path}/x,sise=64,size=8")[0]) == 4
    np.savez(tmp_path / "a,limit=3", x=np.zeros((6, 4, 4), np.uint8))
    assert len(load_all_images(f"npz:{tmp_path}/a,limit=3.npz")[0]) == 6
    with pytest.raises(UsageError, match="'limit', and there is no .*it has no options"):
        datasets.load(f"npz:{tmp_path}/b.npz,limit=3")


def test_many_damaged_pictures_are_counted_and_the_first_named(folder, caplog):
    for i in range(30):
        (folder / "cats" / f"bad{i:02d}.png").write_bytes(b"")
    datasets.load(f"folder:{folder},bad-files=skip")
    assert "bad09.png" in caplog.text and "bad10.png" not in caplog.text
    assert "skipped 30 of 34 pictures" in caplog.text and len(datasets.skipped_files) == 30


FORMATS = {"gif": "GIF", "tif": "TIFF", "tiff": "TIFF", "jfif": "JPEG", "jpe": "JPEG", "pgm": "PPM", "ppm": "PPM"}
FORMATS |= {"pnm": "PPM", "dib": "DIB", "GIF": "GIF"}


@pytest.mark.parametrize("end", FORMATS)
def test_pictures_of_all_formats_are_read(tmp_path, end):
    for level in (0, 100, 200):
        path = tmp_path / "f" / f"{level}.{end}"
        save_picture(path, np.full((8, 8), level, np.uint8), format=FORMATS[end])
    images, _ = load_all_images(f"folder:{tmp_path}/f,size=8,channels=1")
    assert sorted(int(image.mean()) for image in images) == [0, 100, 200]


def test_of_several_frames_the_first_is_read(tmp_path):
    frames = [Image.fromarray(np.full((8, 8), level, np.uint8)) for level in (50, 250)]
    for end in ("gif", "tif"):
        (tmp_path / end).mkdir()
        for name in "ab":
            frames[0].save(tmp_path / end / f"{name}.{end}", save_all=True, append_images=frames[1:])
        images, _ = load_all_images(f"folder:{tmp_path}/{end},size=8,channels=1")
        assert (images == 50).all()


def test_bits_are_black_and_white_and_real_pixels_are_refused(tmp_path):
    bits = np.indices((8, 8)).sum(0) % 2 > 0
    for name in "ab":
        save_picture(tmp_path / "bits" / f"{name}.pbm", bits)
        save_picture(tmp_path / "real" / f"{name}.tif", bits.astype(np.float32))
    images, _ = load_all_images(f"folder:{tmp_path}/bits,size=8,channels=1")
    np.testing.assert_array_equal(images[0, ..., 0], bits * 255)
    with pytest.raises(DataError, match="beside .*tif.*real"):
        datasets.load(f"folder:{tmp_path}/real,size=8")


def test_what_is_left_out_is_counted_by_kind(folder, tmp_path, caplog):
    """Files of other kinds, and links: nothing outside the folder is read, nothing vanishes without a word."""
    save_picture(tmp_path / "outside" / "secret.png", np.zeros((8, 8), np.uint8))
    (folder / "cats" / "link.png").symlink_to(tmp_path / "outside" / "secret.png")
    (folder / "cats" / "broken.png").symlink_to(tmp_path / "gone.png")
    (folder / "cats" / "inside.png").symlink_to(folder / "cats" / "a.png")
    (folder / "more").symlink_to(tmp_path / "outside")
    (folder / "cats" / "raw").write_bytes(b"")
    (folder / "cats" / "x.a\x1b[31m").write_bytes(b"")
    for name in "ab":
        (folder / "dogs" / f"{name}.HEIC").write_bytes(b"")
    images, labels = load_all_images(f"folder:{folder},size=8")
    assert np.bincount(labels).tolist() == [3, 2] and len(images) == 5
    for part in ("2 .heic files", "1 .txt files", "1 files without a suffix", "1 links to folders", "1 broken links"):
        assert part in caplog.text
    assert "1 links that lead out of the folder" in caplog.text and "\x1b" not in caplog.text
    (tmp_path / "only").mkdir()
    (tmp_path / "only" / "a.heic").write_bytes(b"")
    with pytest.raises(DataError, match="Received: 1 .heic files"):
        datasets.load(f"folder:{tmp_path}/only")


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
