"""Files that take another's place whole, or not at all."""

import os
import stat

import pytest

from leap_suite.artifacts.files import replacing


def modes(folder):
    return {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.rglob("*")}


def test_what_is_put_in_place_has_the_permissions_of_new_files(tmp_path):
    with replacing(tmp_path / "new") as folder:
        (folder / "inner").mkdir(parents=True, mode=0o700)
        (folder / "inner/file").touch(0o600)
        (folder / "inner/program").touch(0o755)
        (folder / "link").symlink_to("/etc/hostname")
    (tmp_path / "usual").mkdir()
    (tmp_path / "usual/file").touch()
    found, usual = modes(tmp_path / "new"), modes(tmp_path)
    assert found["inner"] == usual["usual"] == usual["new"]
    assert found["file"] == found["program"] == usual["file"]


def test_a_folder_that_hands_its_group_on_still_does(tmp_path):
    tmp_path.chmod(0o2775)
    with replacing(tmp_path / "new") as folder:
        folder.mkdir()
    assert os.stat(tmp_path / "new").st_mode & stat.S_ISGID


def test_after_an_error_all_is_as_it_was(tmp_path):
    (tmp_path / "file").write_text("before")
    with pytest.raises(RuntimeError), replacing(tmp_path / "file") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "before"
