"""A recording in a file of its own or inside an archive, any stretch of which is read."""

import io
from pathlib import Path
from typing import NamedTuple

import numpy as np
import soundfile
from typing_extensions import Buffer

from speechduet.data.recordings import Samples
from speechduet.errors import AudioError


class Clip(NamedTuple):
    """A file, or the bytes of one within an uncompressed archive."""

    path: Path
    offset: int = 0
    size: int | None = None

    def __str__(self) -> str:
        return str(self.path) if self.size is None else f"{self.path} (from byte {self.offset})"

    def open(self) -> soundfile.SoundFile:
        """To read from. Raises AudioError for what is missing or is not audio."""
        try:
            whole = self.size is None
            return soundfile.SoundFile(self.path if whole else _Window(self))
        except soundfile.LibsndfileError as error:
            raise AudioError(f"cannot read {self} ({error.error_string})", "a recording") from error
        except OSError as error:
            raise AudioError(f"cannot read {self} ({error.strerror})", "a recording") from error

    def read(self, start: int, length: int) -> Samples:
        """So many samples of the first channel, with silence after the recording's end."""
        out = np.zeros(length, np.float32)
        with self.open() as file:
            try:
                file.seek(start)
                piece = file.read(length, dtype="float32", always_2d=True)[:, 0]
            except soundfile.LibsndfileError as error:
                raise AudioError(f"{self} is damaged ({error.error_string})") from error
        out[: len(piece)] = piece
        return out


class _Window(io.RawIOBase):
    """A stretch of a file's bytes as a file, so that a member is not read to see its header."""

    def __init__(self, clip: Clip) -> None:
        super().__init__()
        self._file = clip.path.open("rb")
        self._offset = clip.offset
        self._size = clip.size or 0
        self._position = 0

    def seekable(self) -> bool:
        return True

    def readable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        self._position = offset + (0, self._position, self._size)[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer)
        self._file.seek(self._offset + self._position)
        count = self._file.readinto(view[: max(0, self._size - self._position)])
        self._position += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()
