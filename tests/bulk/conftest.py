"""Recordings for the tests of `speechduet.bulk`, and runs of the command without Ray."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from speechduet.audio import write
from speechduet.cli import app
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.files import enhance_file

Bulk = Callable[..., Result]


@pytest.fixture
def recordings(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A folder with three recordings."""
    for number, name in enumerate(("a.wav", "deep/b.flac", "c.wav")):
        samples = rng.uniform(-0.3, 0.3, (1, 6000 + 500 * number)).astype(np.float32)
        write(tmp_path / "in" / name, samples, 16_000)
    return tmp_path / "in"


@pytest.fixture
def wanted(recordings: Path, tiny_model: Path, tmp_path: Path) -> dict[str, bytes]:
    """What ``enhance`` makes of the recordings."""
    enhancer = Enhancer.from_pretrained(tiny_model, "cpu", 1)
    made = {}
    for name in ("a.wav", "deep/b.flac", "c.wav"):
        enhance_file(recordings / name, tmp_path / "wanted" / name, enhancer)
        made[name] = (tmp_path / "wanted" / name).read_bytes()
    return made


@pytest.fixture
def bulk(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bulk:
    """The command ``bulk`` as it is, but that its one worker is this process."""
    from speechduet.bulk.planning import Left, read_pieces
    from speechduet.bulk.run import Pieces
    from speechduet.bulk.unfinished import Unfinished
    from speechduet.cli import bulk_run

    @contextmanager
    def cluster(*_: object) -> Iterator[object]:
        yield SimpleNamespace(cluster_resources=lambda: {"CPU": 2})

    def enhance_left(ray: object, left: Left, *given: Any) -> None:
        *rest, take = given
        begun = Unfinished()
        calls = {"begin": begun.begin, "end": begun.end}
        actor = SimpleNamespace(**{n: SimpleNamespace(remote=f) for n, f in calls.items()})
        pieces = Pieces(*rest, actor)
        pieces._ray = SimpleNamespace(get=lambda answer: answer)
        for table in read_pieces(left.place, list(range(left.groups))):
            take(pieces(table))

    monkeypatch.setattr(bulk_run, "cluster", cluster)
    monkeypatch.setattr(bulk_run, "enhance_left", enhance_left)

    def bulk(*arguments: object) -> Result:
        spool = () if "--spool" in arguments else ("--spool", tmp_path / "spool")
        given = [*map(str, (*arguments, *spool)), "-m", str(tiny_model)]
        return CliRunner().invoke(app, ["bulk", *given])

    return bulk
