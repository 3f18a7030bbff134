"""Results that are there but were made of something else, or in another way: kept, and said."""

from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

from typer.testing import Result

Bulk = Callable[..., Result]
SAID = "kept although made of another file, in another mode or with another model: "


@pytest.mark.parametrize("shards", [(), ("--shards", "tar", "--shard-size", "2")])
def test_another_mode(
    shards: tuple[str, ...], bulk: Bulk, recordings: Path, tmp_path: Path
) -> None:
    arguments = (recordings, "-o", tmp_path / "out", *shards)
    assert bulk(*arguments, "--mode", "fast").exit_code == 0
    same = bulk(*arguments, "--mode", "fast")
    assert SAID not in same.stderr
    other = bulk(*arguments, "--quiet")
    assert other.exit_code == 0 and other.stderr.count("\n") == 1
    assert f"{SAID}3 results, such as a.wav; --overwrite makes all anew" in other.stderr
    anew = bulk(*arguments, "--overwrite")
    assert "3 enhanced" in anew.stderr and SAID not in anew.stderr
    assert SAID not in bulk(*arguments).stderr


def test_another_source_or_model(
    bulk: Bulk, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert bulk(recordings, "-o", out).exit_code == 0
    # The same by another name of the same place.
    monkeypatch.chdir(recordings)
    assert SAID not in bulk(".", "-o", out).stderr
    (tmp_path / "list.csv").write_text("path\nin/c.wav\nin/a.wav\n")
    monkeypatch.chdir(tmp_path)
    assert SAID not in bulk("list.csv", "-o", out / "in").stderr
    (tmp_path / "list.csv").write_text(f"path\nfile://{recordings}/a.wav\n")
    assert SAID not in bulk("list.csv", "-o", out).stderr
    (tmp_path / "list.csv").write_text("path,output\nin/c.wav,a.wav\nin/c.wav,c.wav\n")
    said = bulk("list.csv", "-o", out)
    assert said.exit_code == 0 and f"{SAID}1 result, such as a.wav" in said.stderr, said.output
    monkeypatch.setattr("speechduet.bulk.work.hash_of_weights", lambda _: "0123456789abcdef")
    assert f"{SAID}3 results" in bulk(recordings, "-o", out).stderr


def test_of_what_is_found_nothing_is_known(bulk: Bulk, recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert bulk(recordings, "-o", out).exit_code == 0
    for part in (out / "_ledger").glob("part-*"):
        part.unlink()
    for _ in range(2):
        assert SAID not in bulk(recordings, "-o", out, "--mode", "fast").stderr
