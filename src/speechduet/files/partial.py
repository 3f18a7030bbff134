"""Unfinished files: hidden, and removed by a later run if their process was killed.

Such a file lies in the folder of the file that it will become, and its name is short, however long
that one's is: ``.speechduet-HOST-PROCESS-START-RANDOM.partial``. The name says which process writes
it, so that a later run removes what a killed process left, and nothing else.
"""

import os
import re
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from hashlib import blake2s
from pathlib import Path
from secrets import token_hex
from threading import RLock
from time import time

_PARTIAL = re.compile(r"\.speechduet-([0-9a-f]{8})-(\d+)-(\d+)-[0-9a-f]{8}\.(partial|folder)")
_FOREIGN_S = 24 * 3600
"""Age in seconds at which a file of another host counts as left behind. A file that is being
written changes every few seconds; that its process lives cannot be seen from here."""

_unfinished: set[Path] = set()
_lock = RLock()
"""Reentrant: a second signal may come while the first one's handler discards the files."""


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """A name in a folder for a file to be begun; at its end the file is removed unless renamed.

    What killed processes left in the folder is removed first.
    """
    partial = folder / _partial_name()
    with _lock:
        _unfinished.add(partial)
    try:
        _remove_leftovers_once(folder)
        yield partial
    finally:
        # Renamed if all went well; and its folder may not exist.
        with suppress(OSError):
            partial.unlink()
        with _lock:
            _unfinished.discard(partial)


@contextmanager
def unfinished_folder(parent: Path) -> Iterator[Path]:
    """A folder for the moment in another one, for what has to have a name of its own.

    If the process is killed, `remove_leftovers` removes it with all that is in it.
    """
    folder = parent / Path(_partial_name()).with_suffix(".folder")
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def discard_unfinished() -> None:
    """Remove every file that this process has begun and not finished.

    For a process that ends without waiting for its threads.
    """
    with _lock:
        for partial in _unfinished:
            with suppress(OSError):
                partial.unlink()


def remove_leftovers(folder: Path) -> None:
    """Remove the unfinished files of processes that no longer live from a folder (not below it).

    Those of living processes stay, those of other hosts for a day. Files that `unfinished` did
    not name are never touched.
    """
    with suppress(OSError):
        for path in folder.iterdir():
            if _is_left(path):
                with suppress(OSError):
                    shutil.rmtree(path) if path.is_dir() else path.unlink()


@lru_cache(maxsize=1024)
def _remove_leftovers_once(folder: Path) -> None:
    remove_leftovers(folder)


def _is_left(path: Path) -> bool:
    parts = _PARTIAL.fullmatch(path.name)
    if parts is None or not (path.is_file() if parts[4] == "partial" else path.is_dir()):
        return False
    host, process, start = parts[1], int(parts[2]), int(parts[3])
    if host == _host() and os.name == "posix":
        return not _lives(process, start)
    return time() - path.stat().st_mtime > _FOREIGN_S


def _partial_name() -> str:
    process = os.getpid()
    return f".speechduet-{_host()}-{process}-{_start(process)}-{token_hex(4)}.partial"


@lru_cache(maxsize=1)
def _host() -> str:
    """Where a process number means what it means here: this machine or container."""
    numbering = ""
    with suppress(OSError):
        numbering = str(Path("/proc/self/ns/pid").readlink())
    return blake2s(f"{socket.gethostname()} {numbering}".encode(), digest_size=4).hexdigest()


def _lives(process: int, start: int) -> bool:
    """Whether a process runs, and is the one that started then; numbers are given out again."""
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # It runs, as somebody else's.
    return _start(process) == start


def _start(process: int) -> int:
    """When a process started, in ticks since the machine did; 0 where that cannot be known."""
    with suppress(OSError, ValueError, IndexError):
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
        return int(status.rpartition(")")[2].split()[19])
    return 0
