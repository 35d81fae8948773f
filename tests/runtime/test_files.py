"""Folders with manifests: what no hash covers is refused."""

import os

import pytest

from tfvae.errors import IntegrityError, UsageError
from tfvae.runtime import files


@pytest.fixture
def folder(tmp_path):
    def write(beside):
        (beside / "inside").mkdir()
        (beside / "inside" / "data").write_bytes(b"data")

    files.write_folder(tmp_path / "folder", write)
    return tmp_path / "folder"


def test_a_whole_folder_passes(folder):
    files.verify_folder(folder)


@pytest.mark.parametrize("target", ["/etc", "/etc/passwd", "inside/data", "nowhere"])
@pytest.mark.parametrize("place", ["link", "inside/link"])
def test_links_are_refused(folder, target, place):
    """A link to a folder is no file that a manifest could list; what it points to would be copied and served."""
    (folder / place).symlink_to(target)
    with pytest.raises(IntegrityError, match="a link"):
        files.verify_folder(folder)


def test_a_link_in_a_files_place_is_refused(folder, tmp_path):
    """Also where the content is that of the manifest."""
    (tmp_path / "same").write_bytes(b"data")
    (folder / "inside" / "data").unlink()
    (folder / "inside" / "data").symlink_to(tmp_path / "same")
    with pytest.raises(IntegrityError, match="a link"):
        files.verify_folder(folder)


def test_a_pipe_in_a_folder_is_refused(folder):
    """Copying it would wait for ever."""
    os.mkfifo(folder / "pipe")
    with pytest.raises(IntegrityError, match="a pipe or device"):
        files.verify_folder(folder)


@pytest.mark.parametrize(
    "listed",
    [{"../data": {}}, {"/etc/passwd": {}}, {"inside/data": 3}, [1], {"inside/data": {"sha256": "x", "bytes": 4}}],
)
def test_a_manifest_of_another_form_is_refused(folder, listed):
    files.write_json(folder / "manifest.json", listed)
    with pytest.raises(IntegrityError, match="manifest.json"):
        files.verify_folder(folder)


@pytest.mark.parametrize(
    "content, words",
    [
        (b"{", "readable JSON"),
        (b'{"a": "\xff"}', "readable text"),
        (b'{"a": 1, "a": 2}', "there twice"),
        (b"[" * 100_000, "readable JSON"),
        (b" " * (files.MAX_TEXT_BYTES + 1), "at most"),
    ],
)
def test_json_that_no_reader_should_accept(tmp_path, content, words):
    (tmp_path / "file.json").write_bytes(content)
    with pytest.raises(IntegrityError, match=words):
        files.read_json(tmp_path / "file.json")


def test_what_is_no_file_is_not_read(tmp_path):
    """A pipe would be waited for; a device might never end."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "zeros").symlink_to("/dev/zero")
    for name in ("pipe", "zeros", ".", "none"):
        with pytest.raises(IntegrityError):
            files.read_text(tmp_path / name)


def test_a_folder_that_another_process_makes_meanwhile_stays(tmp_path):
    """The loser is told what happened; the winner's files are as they were."""

    def write(beside):
        (beside / "data").write_bytes(b"mine")
        (tmp_path / "folder").mkdir()
        (tmp_path / "folder" / "theirs").write_bytes(b"theirs")

    with pytest.raises(UsageError, match="another process has made meanwhile"):
        files.write_folder(tmp_path / "folder", write)
    assert [path.name for path in tmp_path.rglob("*")] == ["folder", "theirs"]
