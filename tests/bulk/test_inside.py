"""Results among what is read: they are left out the next time, or nothing is begun."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

import fsspec
from typer.testing import Result

Bulk = Callable[..., Result]
NAMES = {"a.wav", "deep/b.flac", "c.wav"}


def results(out: Path) -> set[str]:
    return {one.relative_to(out).as_posix() for one in out.rglob("*.*") if one.is_file()}


@pytest.mark.parametrize("pattern", ["", "**/*.*", "*/../**/*"])
def test_an_output_inside_the_input(
    pattern: str, bulk: Bulk, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recordings)
    given = f"{recordings}/{pattern}"
    first = bulk(given, "-o", "deep/out")
    assert first.exit_code == 0 and "3 enhanced" in first.stderr, first.output
    second = bulk(given, "-o", recordings / "deep" / "out")
    assert second.exit_code == 0 and "0 recordings to enhance, 3 done" in second.stderr
    assert {name for name in results(Path("deep/out")) if "_ledger" not in name} == NAMES


@pytest.mark.parametrize("kind", ["tar", "parquet"])
def test_shards_inside_the_input(kind: str, bulk: Bulk, recordings: Path) -> None:
    arguments = (recordings, "-o", recordings / "out", "--shards", kind, "--shard-size", "2")
    assert "3 enhanced" in bulk(*arguments).stderr
    again = bulk(*arguments)
    assert again.exit_code == 0 and "0 recordings to enhance, 3 done" in again.stderr


def test_an_output_inside_the_input_elsewhere(bulk: Bulk, recordings: Path) -> None:
    files = fsspec.filesystem("memory")
    for name in NAMES:
        files.pipe_file(f"/inside/{name}", (recordings / name).read_bytes())
    for given in ("memory://inside", "memory://inside/**"):
        done = bulk(given, "-o", "memory://inside/out")
        assert done.exit_code == 0, done.output
    assert "0 recordings to enhance, 3 done" in done.stderr
    assert {name for name in files.find("/inside/out") if "_ledger" not in name} == {
        f"/inside/out/{name}" for name in NAMES
    }
    files.rm("/inside", recursive=True)


def test_a_manifest_that_lists_results(
    bulk: Bulk, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest, out = recordings / "list.jsonl", recordings / "out"

    def listed(*rows: dict[str, str]) -> None:
        manifest.write_text("".join(json.dumps(row) + "\n" for row in rows))

    listed({"path": "a.wav"}, {"path": "c.wav", "output": "deep/c.wav"})
    assert bulk(manifest, "-o", out).exit_code == 0
    # Found by `find`, say; and by another name of the same folder.
    monkeypatch.chdir(tmp_path)
    for path in ("out/deep/c.wav", "deep/../out/a.wav", str(out / "a.wav")):
        listed({"path": "a.wav"}, {"path": path, "output": "new.wav"})
        for output in (out, "in/out"):
            done = bulk("in/list.jsonl", "-o", output)
            assert done.exit_code == 2, done.output
            assert "is a result of an earlier run" in done.stderr
    # A source of one's own in that folder is none; but it may not be replaced.
    (out / "own.wav").write_bytes((recordings / "a.wav").read_bytes())
    listed({"path": "out/own.wav", "output": "owned.wav"})
    assert bulk("in/list.jsonl", "-o", out).exit_code == 0
    listed({"path": "out/own.wav", "output": "own.wav"})
    done = bulk("in/list.jsonl", "-o", out, "--overwrite")
    assert done.exit_code == 2 and "would be replaced by the result" in done.stderr, done.output


def test_results_that_would_lie_beside_what_is_read(bulk: Bulk, recordings: Path) -> None:
    for given in (recordings, recordings / "deep", f"{recordings}/*.wav", f"{recordings}/*/*"):
        for place in (recordings, f"file://{recordings}", f"local://{recordings}"):
            done = bulk(given, "-o", place)
            assert done.exit_code == 2, done.output
            assert "is in the folder of results" in done.stderr, done.output
    assert results(recordings) == NAMES


def test_an_output_that_cannot_be_a_folder(bulk: Bulk, recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = bulk(recordings, "-o", tmp_path / "file")
    assert done.exit_code == 2 and "file" in done.stderr and "Traceback" not in done.output
    assert (tmp_path / "file").is_file()


@pytest.mark.parametrize("output", ["", "."])
def test_one_recording_and_its_own_folder(
    output: str, bulk: Bulk, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(recordings)
    before = (recordings / "a.wav").read_bytes()
    done = bulk("a.wav", "-o", output or recordings, "--overwrite")
    assert done.exit_code == 2 and "is in the folder of results" in done.stderr, done.output
    assert (recordings / "a.wav").read_bytes() == before
    assert not (recordings / "_ledger").exists()


def test_a_link_that_leads_results_to_their_sources(
    bulk: Bulk, recordings: Path, tmp_path: Path
) -> None:
    (tmp_path / "out").symlink_to(recordings, target_is_directory=True)
    manifest = tmp_path / "list.csv"
    manifest.write_text(f"path,output\n{recordings}/a.wav,a.wav\n")
    before = (recordings / "a.wav").read_bytes()
    done = bulk(manifest, "-o", tmp_path / "out", "--overwrite")
    assert done.exit_code == 2 and "would be replaced by the result" in done.stderr, done.output
    assert (recordings / "a.wav").read_bytes() == before


def test_what_is_empty_or_no_file_is_no_result(
    bulk: Bulk, recordings: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert "3 enhanced" in bulk(recordings, "-o", out).stderr
    whole = (out / "a.wav").read_bytes()
    (out / "a.wav").write_bytes(b"")
    again = bulk(recordings, "-o", out)
    assert "1 enhanced" in again.stderr, again.output
    assert (out / "a.wav").read_bytes() == whole


def test_shards_of_another_list_are_refused(bulk: Bulk, recordings: Path, tmp_path: Path) -> None:
    manifest, out = tmp_path / "list.csv", tmp_path / "out"

    def run(names: str, size: int = 2, *more: str) -> Result:
        rows = [f"{recordings}/{name}.wav,{name}.wav" for name in names]
        manifest.write_text("\n".join(["path,output", *rows]) + "\n")
        return bulk(manifest, "-o", out, "--shards", "tar", "--shard-size", size, *more)

    for name in "bde":
        (recordings / f"{name}.wav").write_bytes((recordings / "a.wav").read_bytes())
    assert "2 enhanced" in run("ac").stderr
    before = (out / "shard-000000.tar").read_bytes()
    for refused in (run("abc"), run("de"), run("ac", 1)):
        assert refused.exit_code == 2, refused.output
        assert "of another list of recordings, or of another size" in refused.stderr
    assert (out / "shard-000000.tar").read_bytes() == before
    assert "0 recordings to enhance, 2 done before" in run("ac").stderr
    assert "3 enhanced" in run("abc", 2, "--overwrite").stderr
