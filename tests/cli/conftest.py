"""A folder of recordings for the tests of names."""

from pathlib import Path

import pytest


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of recordings to be in; their names are all that matters here."""
    for name in ("in/a.wav", "in/deep/b.FLAC", "in/deep/er/c.m4a", "in/notes.txt", "in/.x.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
