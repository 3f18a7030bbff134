"""Lists of recordings: damaged, doubtful, empty, or of a name that looks like something else."""

from pathlib import Path

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

import pyarrow as pa
import pyarrow.parquet as pq

from speechduet.bulk.manifest import columns_of
from speechduet.bulk.rows import rows_of
from speechduet.errors import SettingError


def refused(path: Path, content: str | bytes) -> str:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(SettingError) as error:
        list(rows_of(str(path), "out", None, lambda found: []))
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("list.csv", ""),
        ("list.csv", "path\n"),
        ("list.csv", "\ufeffpath,output\r\n\r\n"),
        ("list.jsonl", ""),
        ("list.jsonl", "\n \n"),
    ],
)
def test_a_list_without_rows(name: str, content: str, tmp_path: Path) -> None:
    assert "lists no recording; expected a row for each" in refused(tmp_path / name, content)


def test_a_parquet_file_without_rows(tmp_path: Path) -> None:
    pq.write_table(pa.table({"path": pa.array([], pa.string())}), tmp_path / "list.parquet")
    content = (tmp_path / "list.parquet").read_bytes()
    assert "lists no recording" in refused(tmp_path / "list.parquet", content)


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("list.csv", "path,path\na.wav,b.wav\n", "it has the column path 2 times"),
        ("list.csv", "path,output,output\na.wav,a.wav,b.wav\n", "the column output 2 times"),
        ("list.csv", "path, path\na.wav,b.wav\n", "it has the column path 2 times"),
        ("list.csv", "path, output\na.wav,b.wav\n", "a column ' output', with a space, where"),
        ("list.csv", "path;output\n", "line 1: there is no column path but 'path;output'"),
        ("list.csv", "file, name\na.wav,b\n", "there is no column path but 'file', ' name'"),
        ("list.csv", 'path\n"a\nb.wav"\n\nc.wav,d\n', "line 5 has more fields than there are"),
        ("list.jsonl", '{"path": "a.wav", "path": "b.wav"}', "it has the column path 2 times"),
        ("list.jsonl", '{"path": "a.wav"}\n{}', "line 2: there is no column path but no column"),
        (
            "list.jsonl",
            '{"path": "a.wav"}\n{"path"',
            "line 2 is not JSON (Expecting ':' delimiter at",
        ),
        ("list.jsonl", "\n[1]\n", "line 2 is not an object"),
        ("list.csv", "path\na.wav\ncaf\u00e9.wav\n".encode("latin-1"), "0xe9 after 'caf' is not"),
    ],
)
def test_what_is_doubtful(name: str, content: str | bytes, said: str, tmp_path: Path) -> None:
    assert said in refused(tmp_path / name, content)


def test_a_parquet_file_with_a_column_twice(tmp_path: Path) -> None:
    table = pa.table([["a.wav"], ["b.wav"]], names=["path", "path"])
    pq.write_table(table, tmp_path / "list.parquet")
    content = (tmp_path / "list.parquet").read_bytes()
    assert "it has the column path 2 times" in refused(tmp_path / "list.parquet", content)


def test_rows_say_where_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text('path\n"a\nb.wav"\n\nc.wav\n')
    assert [where for where, _ in columns_of(str(path))] == [f"{path}, line 3", f"{path}, line 5"]


def test_other_columns_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text('{"path": "a.wav", "tags": {"path": 1, " path": 2}, "x": [{"output": 3}]}')
    ((_, columns),) = columns_of(str(path))
    assert columns["path"] == "a.wav"
