"""How much of the disk recordings take: those on their way to a server, and those it keeps."""

import os
import time
from pathlib import Path

from speechduet.app.limits import MEGABYTE, BusyError

_LOOK_S = 1.0
"""How long it is believed what the folders hold, in seconds."""


class Space:
    """An account of the bytes that a server keeps; it takes at most ``max_megabytes``.

    ``folders`` hold a folder for each recording. It belongs to one thread.
    """

    def __init__(self, max_megabytes: float) -> None:
        self.folders: list[Path] = []
        self._max_megabytes = max_megabytes
        self._incoming = 0
        self._kept = 0
        self._looked_s = float("-inf")

    def take(self, size: int) -> None:
        """Count bytes that have come. Raises BusyError if there is no room for them."""
        if self._incoming + size + self._kept_bytes() > self._max_megabytes * MEGABYTE:
            raise BusyError(
                f"this server keeps {self._max_megabytes:g} MB of recordings, as much as it may",
                remedy="try again later",
            )
        self._incoming += size

    def give_back(self, size: int) -> None:
        """Count no longer what has become a file in one of the folders, or has been dropped."""
        self._incoming -= size
        if size:
            self._looked_s = float("-inf")

    def _kept_bytes(self) -> int:
        now_s = time.monotonic()
        if now_s > self._looked_s + _LOOK_S:
            self._looked_s = now_s
            self._kept = sum(_size(folder) for folder in self.folders)
        return self._kept


def _size(folder: Path) -> int:
    """Bytes of the files below a folder; those in it itself are on their way still."""
    size = 0
    for inner, _, names in os.walk(folder):
        if Path(inner) == folder:
            continue
        for name in names:
            try:
                size += os.lstat(Path(inner, name)).st_size
            except FileNotFoundError:  # It has been deleted meanwhile.
                continue
    return size
