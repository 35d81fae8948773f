"""Folders with manifests: what no hash covers is refused."""

import pytest

from tfvae.errors import IntegrityError
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
