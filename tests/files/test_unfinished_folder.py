"""Folders for the moment: gone at the end, and after a kill with all that is in them."""

import subprocess
import sys
from pathlib import Path

from speechduet.files.partial import remove_leftovers, unfinished_folder


def test_it_lasts_as_long_as_the_context(tmp_path: Path) -> None:
    with unfinished_folder(tmp_path) as folder:
        (folder / "a.wav").touch()
        remove_leftovers(tmp_path)  # its process lives
        assert (folder / "a.wav").exists()
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from speechduet.files.partial import unfinished_folder\n"
        "with unfinished_folder(pathlib.Path(sys.argv[1])) as folder:\n"
        "    (folder / 'a.wav').touch(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=False)
    assert len(list(tmp_path.iterdir())) == 1
    remove_leftovers(tmp_path)
    assert not list(tmp_path.iterdir())
