"""The folder for a server's temporary files: private, and gone when the server is."""

import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

PREFIX = "speechduet-serve-"
_LOCK = "in-use"
_YOUNG_S = 60.0
"""Age in seconds up to which a folder without a lock may be one whose server is just beginning."""


@contextmanager
def private_folder() -> Iterator[Path]:
    """A folder that only this user can read, where this process puts all its temporary files.

    It is deleted at the end. One whose server was killed is deleted by the next that begins; the
    lock that a server holds on a file in its folder ends with it, however it ends.
    """
    usual = tempfile.gettempdir()
    delete_abandoned(Path(usual))
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name,
        FileLock(Path(name, _LOCK)),
    ):
        tempfile.tempdir = name
        try:
            yield Path(name)
        finally:
            tempfile.tempdir = usual


def delete_abandoned(parent: Path) -> None:
    """Delete the folders of servers that live no longer."""
    for folder in parent.glob(PREFIX + "*"):
        with suppress(OSError):  # It is another user's, or another server was quicker.
            if not folder.is_symlink() and _abandoned(folder):
                shutil.rmtree(folder, ignore_errors=True)


def _abandoned(folder: Path) -> bool:
    lock = folder / _LOCK
    if not lock.exists():
        return time.time() - folder.stat().st_mtime > _YOUNG_S
    try:
        with FileLock(lock, timeout=0):
            return True
    except Timeout:
        return False
