"""Folders of recordings to be in."""

from pathlib import Path

import numpy as np
import pytest

from speechduet.audio import write


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of recordings to be in; their names are all that matters here."""
    for name in ("in/a.wav", "in/deep/b.FLAC", "in/deep/er/c.m4a", "in/notes.txt", "in/.x.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rng: np.random.Generator) -> Path:
    """A folder to be in, with good and bad recordings."""
    monkeypatch.chdir(tmp_path)
    samples = rng.uniform(-0.3, 0.3, (2, 20_000)).astype(np.float32)
    write("in/a.wav", samples[:1], 16_000)
    write("in/deep/b.flac", samples, 44_100)
    write("in/c.mp3", samples, 32_000)
    Path("bad").mkdir()
    Path("bad/empty.wav").touch()
    Path("bad/letter.wav").write_text("no sound")
    return tmp_path
