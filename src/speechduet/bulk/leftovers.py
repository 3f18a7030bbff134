"""What killed workers left: unfinished files beside results, and in the folder for copies."""

import os
import time
from pathlib import Path

from speechduet.bulk.places import local_path
from speechduet.files.partial import remove_leftovers

_WAIT_S = 5.0


def sweep(output: str, spool: Path, wait: bool = False) -> None:
    """Remove unfinished files of processes of this machine that no longer live.

    With ``wait``, after an interruption, those of processes that are about to end as well.
    """
    path = local_path(output)
    # A folder at a time, for there may be many.
    folders = [] if path is None else [Path(found) for found, _, _ in os.walk(path)]
    ends = time.monotonic() + _WAIT_S
    for folder in (spool, *folders):
        remove_leftovers(folder)
        while wait and time.monotonic() < ends and _unfinished(folder):
            time.sleep(0.1)
            remove_leftovers(folder)


def _unfinished(folder: Path) -> bool:
    return any(path.suffix in (".partial", ".folder") for path in folder.glob(".speechduet-*"))
