"""Manifests, folders and globs as rows; what is wrong with one is said before any work."""

import json
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq

from speechduet.bulk.checking import check_rows
from speechduet.bulk.last_rows import read_ledger
from speechduet.bulk.rows import Row, rows_of
from speechduet.cli.naming import Naming
from speechduet.errors import SettingError

OUTSIDE = "outside of the folder of results"
NOTHING = read_ledger("a folder that is not there")


def rows(given: str, output: str = "out", suffix: str | None = None) -> list[Row]:
    def name(found: dict[Path, Path]) -> list[Path]:
        naming = Naming(Path(output), suffix)
        return [target.relative_to(output) for target in naming.targets(found)]

    return list(rows_of(given, output, suffix, name))


def manifest(folder: Path, *lines: dict[str, object]) -> str:
    path = folder / "list.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_manifest_of_each_kind(kind: str, tmp_path: Path) -> None:
    lines = [
        {"path": "sub/a.mp4", "output": None, "speaker": "x"},
        {"path": "/abs/b.flac", "output": "deep/new.wav", "speaker": "y"},
        {"path": "s3://bucket/c.ogg", "output": None, "speaker": "z"},
    ]
    path = tmp_path / f"list.{kind}"
    if kind == "csv":
        text = "\ufeffspeaker,path,output\nx,sub/a.mp4,\ny,/abs/b.flac,deep/new.wav\n"
        path.write_text(text + "z,s3://bucket/c.ogg,\n", encoding="utf-8")
    elif kind == "jsonl":
        path.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
    else:
        pq.write_table(pa.Table.from_pylist(lines), path)
    assert rows(str(path)) == [
        (str(tmp_path / "sub/a.mp4"), "sub/a.wav"),
        ("/abs/b.flac", "deep/new.wav"),
        ("s3://bucket/c.ogg", "c.ogg"),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"file": "a.wav"}, "line 1: there is no column path but 'file'; expected a column path"),
        ({"path": ""}, "line 1: the path is ''"),
        ({"path": 3}, "the path is 3"),
        ({"path": "a\0.wav"}, r"the path is 'a\x00.wav'"),
        ({"path": "a\ud800.wav"}, r"the path is 'a\ud800.wav'"),
        ({"path": "s3://b/\udcff.wav"}, r"the path is 's3://b/\udcff.wav'"),
        ({"path": "a.wav", "output": 3}, "the output is 3"),
        ({"path": "a.wav", "output": False}, "the output is False"),
        ({"path": "a.wav", "output": "a\0.wav"}, r"the output is 'a\x00.wav'"),
        ({"path": "a.wav", "output": "\udbff.wav"}, r"the output is '\udbff.wav'"),
        ({"path": "a.wav", "output": "../a.wav"}, f"the output '../a.wav', {OUTSIDE}"),
        ({"path": "../a.wav"}, f"without an output the result would be '../a.wav', {OUTSIDE}"),
        ({"path": "a.wav", "output": "/tmp/a.wav"}, OUTSIDE),
        ({"path": "a.wav", "output": "x//a.wav"}, OUTSIDE),
        ({"path": "a.wav", "output": "C:/a.wav"}, OUTSIDE),
        ({"path": "a.wav", "output": "x\\..\\..\\a.wav"}, OUTSIDE),
        ({"path": "a.wav", "output": "s3://b/a.wav"}, OUTSIDE),
        ({"path": "a.wav", "output": "_ledger/a.wav"}, "in the folder of the ledger"),
        ({"path": "a.wav", "output": "a.txt"}, "the output 'a.txt', which is not the name of an"),
    ],
)
def test_a_row_that_cannot_be_meant(line: dict[str, object], said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=".*") as error:
        rows(manifest(tmp_path, line))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.jsonl", b'{"path": "a.wav"'),
        ("list.jsonl", b"[1]\n"),
        ("list.jsonl", b"\xff\xfe"),
        ("list.csv", b'path\n"a\n'),
        ("list.csv", b"path\na,b\n"),
        ("list.parquet", b"PAR1 and no more"),
        ("list.parquet", b""),
    ],
)
def test_a_manifest_that_is_damaged(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SettingError) as error:
        rows(str(tmp_path / name))
    assert name in str(error.value) and "\n" not in str(error.value)


def test_what_is_not_there(tmp_path: Path) -> None:
    for given in ("none.csv", "none", "*.wav", "none/*.wav"):
        with pytest.raises(SettingError):
            rows(str(tmp_path / given))
    with pytest.raises(SettingError, match="cannot reach nonsense://x"):
        rows("nonsense://x")


def test_an_empty_parquet_without_the_column(tmp_path: Path) -> None:
    pq.write_table(pa.table({"file": ["a.wav"]}), tmp_path / "list.parquet")
    with pytest.raises(SettingError, match="no column path but 'file'"):
        rows(str(tmp_path / "list.parquet"))


def test_results_have_different_names(tmp_path: Path) -> None:
    twice = manifest(tmp_path, {"path": "/x/a.wav"}, {"path": "/y/b.wav"}, {"path": "/y/a.wav"})
    with pytest.raises(SettingError, match="/x/a.wav and /y/a.wav would both become a.wav"):
        check_rows(lambda: iter(rows(twice)), "out", NOTHING)
    same = manifest(tmp_path, {"path": "/x/a.wav"}, {"path": "/x/a.wav"})
    with pytest.raises(SettingError, match="/x/a.wav and /x/a.wav would both"):
        check_rows(lambda: iter(rows(same)), "out", NOTHING)
    other = manifest(tmp_path, {"path": "/x/a.wav", "output": "1.wav"}, {"path": "/x/a.wav"})
    check_rows(lambda: iter(rows(other)), "out", NOTHING)


def test_no_result_replaces_a_source(tmp_path: Path) -> None:
    chained = manifest(
        tmp_path, {"path": "/o/b.wav", "output": "a.wav"}, {"path": "/i/b.wav", "output": "b.wav"}
    )
    with pytest.raises(SettingError, match="/o/b.wav is to be read, and would be replaced by"):
        check_rows(lambda: iter(rows(chained)), "/o", NOTHING)


def test_a_folder_is_named_as_by_enhance(recordings: Path, tmp_path: Path) -> None:
    (recordings / "a.mp4").touch()
    out = str(tmp_path / "out")
    expected = ["a.mp4.wav", "a.wav", "c.wav", "deep/b.flac"]
    assert [row.output for row in rows(str(recordings), out)] == expected
    assert [row.output for row in rows(f"{recordings}/**/*.flac", out)] == ["deep/b.flac"]
    assert [row.output for row in rows(str(recordings / "c.wav"), out, ".flac")] == ["c.flac"]
    assert all(Path(row.source).is_absolute() for row in rows(str(recordings), out))


def test_a_folder_elsewhere() -> None:
    files = fsspec.filesystem("memory")
    for name in ("a.wav", "a.mp4", "deep/b.flac", "deep/notes.txt", "deep/.c.wav", "out/d.wav"):
        files.pipe_file(f"/bucket/{name}", b"x")
    assert rows("memory://bucket", "memory://bucket/out") == [
        ("memory://bucket/a.mp4", "a.mp4.wav"),
        ("memory://bucket/a.wav", "a.wav"),
        ("memory://bucket/deep/b.flac", "deep/b.flac"),
    ]
    assert [row.output for row in rows("memory://bucket/**/*.flac")] == ["deep/b.flac"]
    assert [row.output for row in rows("memory://bucket/deep/b.flac")] == ["b.flac"]
    with pytest.raises(SettingError, match="cannot list memory://gone: nothing is there; expected"):
        rows("memory://gone")
    files.rm("/bucket", recursive=True)


def test_a_name_in_brackets_may_be_that_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "take [1]").mkdir()
    for name in ("list[1].csv", "take [1]/list.csv"):
        (tmp_path / name).write_text("path\n/in/a.wav\n")
        assert rows(str(tmp_path / name)) == [("/in/a.wav", "a.wav")]
    for name in ("b[1].wav", "b1.wav"):
        (tmp_path / name).touch()
    assert [row.output for row in rows(str(tmp_path / "b[1].wav"))] == ["b[1].wav"]
    (tmp_path / "b[1].wav").unlink()
    assert [row.output for row in rows(str(tmp_path / "b[1].wav"))] == ["b1.wav"]


def test_a_name_in_brackets_in_a_store() -> None:
    files = fsspec.filesystem("memory")
    files.pipe_file("/odd/list[1].csv", b"path\n/in/a.wav\n")
    files.pipe_file("/odd/b[1].wav", b"x")
    files.pipe_file("/odd/b1.wav", b"x")
    assert rows("memory://odd/list[1].csv") == [("/in/a.wav", "a.wav")]
    assert [row.output for row in rows("memory://odd/b[1].wav")] == ["b[1].wav"]
    assert [row.output for row in rows("memory://odd/b[12].wav")] == ["b1.wav"]
    files.rm("/odd", recursive=True)


def test_what_is_neither_a_recording_nor_a_manifest(recordings: Path) -> None:
    expected = r"expected a folder, a glob, a recording, or .* \.csv \.jsonl \.parquet$"
    for name in ("list.txt", "list.csv.gz", "list"):
        (recordings / name).write_text("a.wav\n")
        with pytest.raises(SettingError, match=f"there is no recording in .*{name}; {expected}"):
            rows(str(recordings / name))
    with pytest.raises(SettingError, match=f"there is nothing at .*none.wav; {expected}"):
        rows(str(recordings / "none.wav"))
    with pytest.raises(SettingError, match="list.csv: nothing is there; expected a file that is"):
        rows(str(recordings / "list.csv"))


def test_a_folder_with_the_name_of_a_manifest(recordings: Path) -> None:
    recordings.rename(recordings.with_name("in.csv"))
    assert len(rows(str(recordings.with_name("in.csv")))) == 3


def test_a_relative_manifest_is_for_workers_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest(tmp_path, {"path": "sub/a.wav"})
    monkeypatch.chdir(tmp_path)
    assert rows("list.jsonl") == [(str(tmp_path / "sub/a.wav"), "sub/a.wav")]


def test_no_result_is_a_folder_of_another(tmp_path: Path) -> None:
    for outputs in (("x.wav", "x.wav/y.wav"), ("d/x.wav/deep/y.flac", "d/x.wav")):
        listed = manifest(tmp_path, *({"path": "/i/a.wav", "output": one} for one in outputs))
        with pytest.raises(SettingError, match="y.(wav|flac) would lie in (d/)?x.wav, which is"):
            check_rows(lambda listed=listed: iter(rows(listed)), "out", NOTHING)
    apart = ({"path": "/i/a.wav", "output": one} for one in ("x.wav/y.wav", "d/x.wav"))
    listed = manifest(tmp_path, *apart)
    check_rows(lambda: iter(rows(listed)), "out", NOTHING)
