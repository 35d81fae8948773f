"""`encode` and `decode`: codes of any images, in Python and in files, and back."""

import csv

import numpy as np
import pytest
from PIL import Image

import tfvae
from tfvae.cli.command_line import main
from tfvae.cli.output_paths import CODE_SUFFIXES
from tfvae.errors import DataError, UsageError
from tfvae.inference import code_files
from tfvae.inference import codes as codes_module
from tfvae.training import trainer

SETTINGS = {"dataset": "digits", "epochs": 1, "limit": 64, "batch_size": 32}
ARCH = "mlp:widths=16,latent=3"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trainer.train(root=tmp_path_factory.mktemp("runs"), objective="elbo", arch=ARCH, **SETTINGS)


@pytest.fixture
def pictures(tmp_path):
    """Eight digits as PNG files in two folders, named as classes are."""
    images, _ = tfvae.datasets.load("digits", "test", limit=8)
    for number, pixels in enumerate(images):
        folder = tmp_path / "pictures" / ("odd" if number % 2 else "even")
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels[..., 0]).save(folder / f"{number}.png")
    return tmp_path / "pictures", images


def read_csv(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_codes_are_those_of_the_model(run, monkeypatch):
    """In batches, of which the last is smaller, as of one call."""
    monkeypatch.setattr(codes_module, "IMAGES_AT_ONCE", 27)
    images, labels = tfvae.datasets.load("digits", "test", limit=60)
    mean, stddev = trainer.load_run(run).encode(images)
    for given in ((), images, "digits"):
        found = tfvae.encode(run, given, limit=60)
        np.testing.assert_allclose(found.mean, mean, rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(found.stddev, stddev, rtol=1e-5, atol=1e-6)
        assert found.names == [str(number) for number in range(60)] and found.draws is None
    np.testing.assert_array_equal(tfvae.encode(run, limit=60).labels, labels)


def test_draws_have_the_mean_and_stddev(run):
    """Of 2,000 draws: within 5 standard errors, a false alarm in 1e4 runs; the seed tells them apart."""
    images, _ = tfvae.datasets.load("digits", "test", limit=20)
    found = tfvae.encode(run, images, draws=2000)
    error = found.stddev / np.sqrt(2000)
    assert found.draws.shape == (20, 2000, 3)
    assert np.all(np.abs(found.draws.mean(1) - found.mean) < 5 * error)
    assert np.all(np.abs(found.draws.std(1) - found.stddev) < 5 * error / np.sqrt(2))
    few = [tfvae.encode(run, images, draws=2, seed=seed).draws for seed in (0, 0, 1)]
    np.testing.assert_array_equal(few[0], few[1])
    assert not np.array_equal(few[0], few[2])


def test_pictures_in_files_and_folders(run, pictures):
    """A folder in the order of its names, with the classes of its folders; a file, an archive beside it."""
    folder, images = pictures
    order = [0, 2, 4, 6, 1, 3, 5, 7]
    mean = tfvae.encode(run, images).mean
    found = tfvae.encode(run, str(folder))
    np.testing.assert_allclose(found.mean, mean[order], rtol=1e-5, atol=1e-6)
    assert [name.rpartition("/")[2] for name in found.names] == [f"{n}.png" for n in order]
    np.testing.assert_array_equal(found.labels, [0] * 4 + [1] * 4)
    archive = folder.parent / "digits.npz"
    np.savez(archive, x_train=images[:1], x_test=images[5:7])
    several = tfvae.encode(run, [str(folder / "odd" / "3.png"), str(archive)])
    np.testing.assert_allclose(several.mean, mean[[3, 5, 6]], rtol=1e-5, atol=1e-6)
    assert several.labels is None and several.names[1:] == ["0", "1"]


@pytest.mark.parametrize("suffix", [".csv", ".npz"])
@pytest.mark.parametrize("draws", [0, 2])
def test_a_file_of_codes_comes_back_as_pictures(run, pictures, suffix, draws, tmp_path, capsys):
    """What `encode` writes, `decode` reads: to the bit in an archive, to float32 in nine digits."""
    folder, _ = pictures
    path, decoded = tmp_path / f"codes{suffix}", tmp_path / "decoded"
    assert main(["encode", str(run.path), str(folder), "-o", str(path), "--draws", str(draws)]) == 0
    assert str(path) in capsys.readouterr().out
    assert main(["decode", str(run.path), str(path), "-o", str(decoded)]) == 0
    found = tfvae.encode(run, str(folder), draws=draws)
    z = found.draws.reshape(-1, 3) if draws else found.mean
    expected = tfvae.decode(run, z)
    files = sorted(decoded.glob("*.png"))
    assert len(files) == len(z) == 8 * max(draws, 1)
    for file, image in zip(files, expected):
        assert np.abs(np.asarray(Image.open(file)) / 255 - image[..., 0]).max() <= 0.5 / 255 + 1e-5
    assert main(["decode", str(run.path), str(path), "-o", str(tmp_path / "images.npz")]) == 0
    np.testing.assert_allclose(np.load(tmp_path / "images.npz")["images"], expected, rtol=1e-5, atol=1e-6)


def test_columns_of_the_table(run, pictures, tmp_path, monkeypatch):
    """Names and classes beside the numbers, which are those of the function; a name with a comma stays one."""
    folder, _ = pictures
    (folder / "odd" / "1.png").rename(folder / "odd" / "1, the first.png")
    monkeypatch.chdir(tmp_path)
    assert main(["encode", str(run.path), str(folder)]) == 0
    rows, found = read_csv("codes.csv"), tfvae.encode(run, str(folder))
    assert [row["file"] for row in rows] == found.names and found.names[4].endswith("odd/1, the first.png")
    assert [int(row["label"]) for row in rows] == list(found.labels)
    for stem, values in {"mean": found.mean, "stddev": found.stddev}.items():
        table = np.array([[row[f"{stem}_{n}"] for n in range(3)] for row in rows], np.float32)
        np.testing.assert_array_equal(table, values)
    assert main(["encode", str(run.path), "digits", "--limit", "3", "--draws", "2", "-o", "draws.csv"]) == 0
    assert [(row["file"], row["draw"]) for row in read_csv("draws.csv")] == [(f, d) for f in "012" for d in "01"]


@pytest.mark.parametrize("draws", [0, 2])
def test_parquet_holds_the_table(run, pictures, draws, tmp_path, monkeypatch):
    """Where pyarrow is installed: the columns of the CSV file with the numbers to the bit, written in several parts."""
    parquet = pytest.importorskip("pyarrow.parquet")
    monkeypatch.setattr(codes_module, "IMAGES_AT_ONCE", 3)
    path = tmp_path / "codes.parquet"
    assert main(["encode", str(run.path), str(pictures[0]), "-o", str(path), "--draws", str(draws)]) == 0
    expected = code_files.make_table(tfvae.encode(run, str(pictures[0]), draws=draws))
    table = parquet.read_table(path)
    assert table.column_names == list(expected)
    for name, values in expected.items():
        np.testing.assert_array_equal(table[name].to_numpy(zero_copy_only=False), values)


def test_parquet_needs_pyarrow(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tfvae.cli.output_paths.importlib.util.find_spec", lambda name: None)
    assert main(["encode", str(run.path), "-o", str(tmp_path / "codes.parquet")]) == 2
    assert "pip install pyarrow" in capsys.readouterr().err


def test_labels_are_heeded(tmp_path, pictures):
    """A model told the label is told that of the data, not of a folder."""
    told = trainer.train(root=tmp_path, objective="elbo", arch=ARCH, condition="labels", **SETTINGS)
    images, labels = tfvae.datasets.load("digits", "test", limit=9)
    model = trainer.load_run(told)
    np.testing.assert_allclose(tfvae.encode(told, limit=9).mean, model.encode(images, labels)[0], rtol=1e-5, atol=1e-6)
    folder, files = pictures
    unknown = model.encode(files[[0, 2, 4, 6]])[0]
    np.testing.assert_allclose(tfvae.encode(told, str(folder)).mean[:4], unknown, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
def test_images_without_labels_get_none(tmp_path):
    """A data set's images whose labels nobody knows are not of class 0: nothing is written, no condition is given."""
    images, labels = tfvae.datasets.load("digits", limit=64)
    np.savez(tmp_path / "plain.npz", images=images)
    np.savez(tmp_path / "labelled.npz", images=images, labels=labels)
    plain, labelled = str(tmp_path / "plain.npz"), str(tmp_path / "labelled.npz")
    told = trainer.train(root=tmp_path, objective="elbo", arch=ARCH, condition="labels", **SETTINGS)
    own = trainer.train(root=tmp_path, objective="elbo", arch=ARCH, **SETTINGS | {"dataset": f"npz:{plain}"})
    for model, given in ((told, [plain]), (own, ()), (own, [plain])):
        assert tfvae.encode(model, given).labels is None
    unknown = tfvae.encode(told, [plain]).mean  # of all images, though a training would hold a tenth out
    np.testing.assert_allclose(unknown, trainer.load_run(told).encode(images)[0], rtol=1e-5, atol=1e-5)
    assert np.abs(unknown - tfvae.encode(told, [labelled]).mean).max() > 1e-3


def test_the_files_that_the_command_line_takes_can_be_written():
    assert tuple(code_files.WRITERS) == CODE_SUFFIXES


def test_ranges_are_heeded(tmp_path):
    """A model told kappa sees the one asked for, in both directions."""
    images, _ = tfvae.datasets.load("digits", "test", limit=9)
    spread = trainer.train(root=tmp_path, objective="geco", arch=ARCH, condition="kappa:1-3", **SETTINGS)
    model = trainer.load_run(spread)
    found = tfvae.encode(spread, images, condition=1.5).mean
    np.testing.assert_allclose(found, model.encode(images, 1.5)[0], rtol=1e-5, atol=1e-6)
    assert not np.allclose(found, tfvae.encode(spread, images).mean)
    shown = tfvae.decode(spread, found, condition=1.5)
    np.testing.assert_allclose(shown, model.decode(found, 1.5), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["encode", "{run}", "{tmp}/none.png"], "does not exist"),
        (["encode", "{run}", "{tmp}/none"], "does not exist"),
        (["encode", "{run}", "{tmp}/broken.png"], "to be a picture"),
        (["encode", "{run}", "{tmp}/empty"], "Expected pictures"),
        (["encode", "{run}", "square"], "shape"),
        (["encode", "{run}", "no_such_set"], "no_such_set"),
        (["encode", "{run}", "-o", "{tmp}/codes.txt"], ".csv, .npz, .parquet"),
        (["encode", "{run}", "-o", "{tmp}/nowhere/codes.csv"], "mkdir -p"),
        (["encode", "{run}", "--kappa", "2"], "--condition kappa"),
        (["encode", "{run}", "--draws", "-1"], ">= 0"),
        (["encode", "{tmp}/empty"], "run folder"),
        (["decode", "{run}", "{tmp}/none.csv"], "does not exist"),
        (["decode", "{run}", "{tmp}/words.csv"], "Expected numbers"),
        (["decode", "{run}", "{tmp}/other.csv"], "z_0 or mean_0"),
        (["decode", "{run}", "{tmp}/torn.csv"], "line 3"),
        (["decode", "{run}", "{tmp}/wide.csv"], "[N, 3]"),
        (["decode", "{run}", "{tmp}/nan.csv"], "finite"),
        (["decode", "{run}", "{tmp}/header.csv"], "N >= 1"),
        (["decode", "{run}", "{tmp}/broken.npz"], ".npz archive"),
        (["decode", "{run}", "{tmp}/other.npz"], "draws, z or mean"),
        (["decode", "{run}", "{tmp}/flat.npz"], "[N, L]"),
        (["decode", "{run}", "{tmp}/words.csv", "-o", "{tmp}/empty"], "does not exist yet"),
        (["decode", "{run}", "{tmp}/words.csv", "--label", "all"], "one class"),
    ],
)
def test_mistakes_get_one_line_and_leave_nothing(run, arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n cut")
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 cut")
    head = "z_0,z_1,z_2\n"
    texts = {"words": "a,b,c\n", "torn": "1,2,3\n1,2\n", "nan": "1,nan,3\n", "header": ""}
    for name, text in texts.items():
        (tmp_path / f"{name}.csv").write_text(head + text)
    (tmp_path / "wide.csv").write_text("z_0,z_1,z_2,z_3\n1,2,3,4\n")
    (tmp_path / "other.csv").write_text("x,y\n1,2\n")
    np.savez(tmp_path / "other.npz", x=np.zeros((2, 3)))
    np.savez(tmp_path / "flat.npz", z=np.zeros(3))
    before = sorted(tmp_path.rglob("*"))
    code = main([part.format(run=run.path, tmp=tmp_path) for part in arguments])
    assert code in (2, 3)  # usage, data
    captured = capsys.readouterr()
    assert words in captured.err and len(captured.err.strip().splitlines()) == 1 and not captured.out
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_that_turns_out_damaged_leaves_what_was_there(run, pictures, tmp_path):
    """The third batch fails; the file of an earlier day stays, and nothing lies beside it."""
    folder, _ = pictures
    path = tmp_path / "codes.csv"
    path.write_text("earlier")
    (folder / "zz.png").write_bytes(b"no picture")
    assert main(["encode", str(run.path), str(folder), "-o", str(path)]) == 3
    assert path.read_text() == "earlier" and sorted(tmp_path.iterdir()) == [path, folder]


def test_python_refuses_too(run):
    with pytest.raises(UsageError, match="no images|Expected images"):
        tfvae.encode(run, np.zeros((2, 9, 9, 1), np.uint8))
    with pytest.raises(UsageError, match="finite"):
        tfvae.decode(run, np.full((1, 3), np.nan))
    with pytest.raises(UsageError, match="split"):
        tfvae.encode(run, split="tset")
    with pytest.raises(DataError, match="folder|picture"):
        tfvae.encode(run, "folder:/nowhere")
