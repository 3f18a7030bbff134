"""Damage of zip archives, which zipfile tells in many ways, by those that read them."""

import zipfile
from pathlib import Path

import pytest

from speechduet.data.sources import read
from speechduet.errors import AudioError, ModelError
from speechduet.files.zipped import DAMAGED_ZIP
from speechduet.model.upstream.archive import Archive


@pytest.mark.parametrize("place", [1 << 40, 1 << 62, (1 << 63) + 5, (1 << 64) - 2])
def test_entries_at_places_that_cannot_be(tmp_path: Path, place: int) -> None:
    """Beyond the end of the file, of all files, and of what a file's position can be."""
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a/data.pkl", "a/byteorder", "a.wav"):
            archive.writestr(name, b"little")
            archive.getinfo(name).header_offset = place
    with zipfile.ZipFile(path) as archive, pytest.raises((*DAMAGED_ZIP, OSError)):
        archive.read("a.wav")
    with pytest.raises(ModelError, match="is damaged"):
        Archive(path)
    with pytest.raises(AudioError, match=r"a\.wav"):
        read(zipfile.Path(path, "a.wav"), 16_000)
