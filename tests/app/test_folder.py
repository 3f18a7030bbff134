"""Temporary files of a server: where they are, and who deletes what a killed one left."""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

import speechduet
from speechduet.app.folder import PREFIX, delete_abandoned, private_folder


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_all_temporary_files_are_in_it_and_go_with_it(parent: Path) -> None:
    with private_folder() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        with tempfile.NamedTemporaryFile(delete=False) as left:
            assert Path(left.name).parent == folder
    assert tempfile.gettempdir() == str(parent)
    assert not list(parent.iterdir())


def test_what_a_killed_server_left_is_deleted_and_a_living_one_s_is_not(parent: Path) -> None:
    server = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "from speechduet.app.folder import private_folder\n"
            "with private_folder() as folder:\n"
            "    (folder / 'upload').write_bytes(b'recording')\n"
            "    print('ready', flush=True)\n"
            "    input()",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={
            **os.environ,
            "TMPDIR": str(parent),
            "PYTHONPATH": str(Path(speechduet.__file__).parents[1]),
        },
    )
    try:
        assert server.stdout is not None and server.stdout.readline() == b"ready\n"
        delete_abandoned(parent)
        assert len(list(parent.rglob("upload"))) == 1
    finally:
        server.kill()
        server.communicate()
    with private_folder() as folder:
        assert list(parent.iterdir()) == [folder]


@pytest.mark.parametrize(("age_s", "stays"), [(10, True), (100, False)])
def test_a_server_that_is_just_beginning_is_left_alone(
    parent: Path, age_s: float, stays: bool
) -> None:
    folder = parent / f"{PREFIX}x"
    folder.mkdir()
    os.utime(folder, (time.time() - age_s,) * 2)
    delete_abandoned(parent)
    assert folder.exists() == stays


def test_links_and_other_folders_are_left_alone(parent: Path) -> None:
    elsewhere = parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").touch()
    os.utime(elsewhere, (0, 0))
    (parent / f"{PREFIX}link").symlink_to(elsewhere)
    delete_abandoned(parent)
    assert (elsewhere / "file").exists() and (parent / f"{PREFIX}link").is_symlink()
