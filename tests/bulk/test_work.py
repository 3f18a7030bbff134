"""One worker without Ray: local files and stores, tries, what it measures, shards."""

import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("ray", reason="needs the extra ray")

import fsspec
import pyarrow.parquet as pq

from speechduet.audio import read, write
from speechduet.bulk import places, work
from speechduet.bulk.planning import Piece
from speechduet.bulk.rows import Row
from speechduet.bulk.shards import write_shard
from speechduet.bulk.work import Request, Worker
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.files import enhance_file
from speechduet.errors import AudioError, ModelError, SettingError


@pytest.fixture
def worker(tiny_model: Path, tmp_path: Path) -> Worker:
    request = Request(str(tiny_model), "cpu")
    return Worker(request, str(tmp_path / "out"), tmp_path / "spool", tries=3)


def expected(source: Path, target: Path, model: Path) -> bytes:
    enhance_file(source, target, Enhancer.from_pretrained(model, "cpu", 1))
    return target.read_bytes()


def test_the_same_as_enhance_with_what_was_measured(
    worker: Worker, recordings: Path, tiny_model: Path, tmp_path: Path
) -> None:
    record = worker.enhance(Row(str(recordings / "a.wav"), "x/a.wav"))
    wanted = expected(recordings / "a.wav", tmp_path / "wanted.wav", tiny_model)
    assert (tmp_path / "out/x/a.wav").read_bytes() == wanted
    assert (record.status, record.sample_rate, record.channels) == ("done", 16_000, 1)
    assert record.duration_s == pytest.approx(6000 / 16_000)
    assert record.mean_confidence is not None and 0 < record.mean_confidence < 1
    for level, path in (
        (record.level_before_db, recordings / "a.wav"),
        (record.level_after_db, tmp_path / "out/x/a.wav"),
    ):
        samples, _ = read(path)
        assert level == pytest.approx(10 * np.log10(np.mean(np.square(samples))), abs=0.05)
    assert record.model_hash == Request(str(tiny_model), "cpu").check()
    assert worker.enhance(Row(str(recordings / "a.wav"), "x/a.wav")).status == "found"


def test_strength_and_silence(tiny_model: Path, recordings: Path, tmp_path: Path) -> None:
    write(tmp_path / "silent.wav", np.zeros((1, 4000), np.float32), 16_000)
    request = Request(str(tiny_model), "cpu", strength=0.0, mode="fast")
    worker = Worker(request, str(tmp_path / "out"), tmp_path / "spool", 1)
    same = worker.enhance(Row(str(recordings / "a.wav"), "a.wav"))
    assert same.mean_confidence is not None and 0 < same.mean_confidence < 1
    assert same.level_after_db == pytest.approx(same.level_before_db)
    silent = worker.enhance(Row(str(tmp_path / "silent.wav"), "silent.wav"))
    assert (silent.status, silent.level_before_db, silent.mean_confidence) == ("done", None, None)


@pytest.mark.parametrize("content", [b"", b"no sound"])
def test_what_is_wrong_with_one_is_a_row(worker: Worker, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "bad.wav").write_bytes(content)
    record = worker.enhance(Row(str(tmp_path / "bad.wav"), "bad.wav"))
    assert (record.status, record.tries) == ("failed", 1)
    assert record.error and "bad.wav" in record.error
    assert list(tmp_path.glob("out/*")) == []


def test_a_store(worker: Worker, recordings: Path, tiny_model: Path, tmp_path: Path) -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/in/a.wav", (recordings / "a.wav").read_bytes())
    elsewhere = Worker(worker.request, "memory://out", tmp_path / "spool", 2)
    record = elsewhere.enhance(Row("memory://in/a.wav", "x/a.wav"))
    assert record.status == "done" and record.path == "memory://in/a.wav"
    wanted = expected(recordings / "a.wav", tmp_path / "wanted.wav", tiny_model)
    assert files.cat_file("/out/x/a.wav") == wanted
    assert elsewhere.enhance(Row("memory://in/a.wav", "x/a.wav")).status == "found"
    gone = elsewhere.enhance(Row("memory://in/gone.wav", "gone.wav"))
    assert (gone.status, gone.tries) == ("failed", 1)
    assert gone.error == "cannot read memory://in/gone.wav: nothing is there"
    files.pipe_file("/in/bad.wav", b"no sound")
    bad = elsewhere.enhance(Row("memory://in/bad.wav", "bad.wav"))
    assert bad.error and "memory://in/bad.wav" in bad.error and "partial" not in bad.error
    assert list((tmp_path / "spool").iterdir()) == []
    files.rm("/in", recursive=True)
    files.rm("/out", recursive=True)


def test_a_spool_without_room(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsspec.filesystem("memory").pipe_file("/in/a.wav", b"12345678")
    full = shutil.disk_usage(tmp_path)._replace(free=7)
    monkeypatch.setattr(places.shutil, "disk_usage", lambda _: full)
    record = worker.enhance(Row("memory://in/a.wav", "a.wav"))
    assert record.error and "has 8 bytes and the spool" in record.error


def test_what_may_pass_is_tried_again(
    worker: Worker, recordings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures = [ConnectionError("the store does not answer"), RuntimeError("nor now")]
    waited: list[float] = []
    real = work.rewrite_file

    def unsteady(*given: object, **named: object) -> float:
        if failures:
            raise failures.pop()
        return real(*given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(work, "rewrite_file", unsteady)
    monkeypatch.setattr(work.time, "sleep", waited.append)
    row = Row(str(recordings / "a.wav"), "a.wav")
    record = worker.enhance(row)
    assert (record.status, record.tries, waited) == ("done", 3, [2.0, 4.0])
    failures += [RuntimeError("still")] * 3
    record = worker.enhance(row, overwrite=True)
    assert (record.status, record.tries) == ("failed", 3)
    assert record.error and record.error.endswith("RuntimeError: still")


def test_settings_that_no_worker_could_follow(tiny_model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError):
        Request(str(tmp_path / "absent")).check()
    with pytest.raises(SettingError):
        Request(str(tiny_model), expert={"steps": 0, "beta": 2.0}).check()


def pieces(recordings: Path, shard: str) -> Piece:
    rows = (
        Row(str(recordings / "a.wav"), "a.wav"),
        Row(str(recordings / "deep/b.flac"), "d/b.flac"),
    )
    return Piece(shard, rows)


@pytest.mark.parametrize("kind", ["tar", "parquet"])
@pytest.mark.parametrize("output", ["local", "memory://shards"])
def test_shards(
    kind: str, output: str, worker: Worker, recordings: Path, tiny_model: Path, tmp_path: Path
) -> None:
    output = str(tmp_path / "out") if output == "local" else output
    piece, spool = pieces(recordings, f"shard-000000.{kind}"), tmp_path / "spool"

    def done(piece: Piece, reason: str = "") -> list[str]:
        return [r.status for r in write_shard(worker, piece, output, spool, lambda _: reason)]

    def content() -> bytes:
        files, name = places.filesystem(places.joined(output, str(piece.shard)))
        found: bytes = files.cat_file(name)
        return found

    # What failed the first time is added, in its place; the bytes are those of one go.
    assert done(piece, "it kills") == ["failed", "failed"]
    assert done(Piece(piece.shard, piece.rows[1:])) == ["done"]
    assert done(piece) == ["done", "found"]
    added = content()
    assert done(piece) == ["found", "found"] and content() == added
    records = list(write_shard(worker, piece, output, spool, lambda _: "", overwrite=True))
    assert [record.shard for record in records] == [piece.shard] * 2 and content() == added

    (tmp_path / "shard").write_bytes(added)
    if kind == "tar":
        with tarfile.open(tmp_path / "shard") as tar:
            held = {one.name: tar.extractfile(one).read() for one in tar}  # type: ignore[union-attr]
    else:
        table = pq.read_table(tmp_path / "shard").to_pylist()
        held = {row["path"]: row["audio"]["bytes"] for row in table}
    wanted = expected(recordings / "a.wav", tmp_path / "wanted.wav", tiny_model)
    assert list(held) == ["a.wav", "d/b.flac"] and held["a.wav"] == wanted
    assert list(spool.iterdir()) == []
    if output.startswith("memory"):
        fsspec.filesystem("memory").rm("/shards", recursive=True)


def test_a_damaged_shard_is_made_anew(worker: Worker, recordings: Path, tmp_path: Path) -> None:
    piece, spool, out = pieces(recordings, "shard-000000.tar"), tmp_path / "spool", tmp_path / "out"
    out.mkdir()
    (out / "shard-000000.tar").write_bytes(b"half a tar")
    statuses = [r.status for r in write_shard(worker, piece, str(out), spool, lambda _: "")]
    assert statuses == ["done", "done"]


def test_a_worker_that_lacks_the_right(worker: Worker, recordings: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    record = worker.enhance(Row(str(recordings / "a.wav"), "a.wav"))
    assert record.status == "failed" and record.error and "cannot write" in record.error


def test_reading_what_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing:
        def size(self, name: str) -> int:
            raise PermissionError(name)

    monkeypatch.setattr(places, "filesystem", lambda place: (Refusing(), place))
    with (
        pytest.raises(AudioError, match="cannot read s3://b/a.wav: no permission"),
        places.readable("s3://b/a.wav", tmp_path),
    ):
        pass
