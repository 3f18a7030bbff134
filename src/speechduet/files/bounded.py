"""A file of which nothing is read in larger pieces than its reader has use for."""

import io
import os
from pathlib import Path


class BoundedFile(io.FileIO):
    """An open file for readers of archives, which read as much at once as a header declares.

    Raises OSError for more than ``most_bytes``, before memory is taken for them.
    """

    def __init__(self, path: Path, most_bytes: int) -> None:
        super().__init__(path, "rb")
        self._most_bytes = most_bytes

    def read(self, size: int | None = -1) -> bytes:
        """So many bytes from here, or all; fewer only at the end."""
        if size is None or size < 0:
            size = max(0, os.fstat(self.fileno()).st_size - self.tell())
        if size > self._most_bytes:
            raise OSError(f"a piece of {size:,} bytes is declared")
        return super().read(size) or b""
