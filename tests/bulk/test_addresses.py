"""Addresses and names that look like others: what is read and written is what is meant."""

import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

import fsspec
from fsspec.implementations.memory import MemoryFileSystem
from typer.testing import CliRunner, Result

from speechduet.bulk.checking import check_rows
from speechduet.bulk.last_rows import read_ledger
from speechduet.bulk.places import canonical, filesystem, joined, readable
from speechduet.bulk.rows import Row, rows_of
from speechduet.cli import app
from speechduet.errors import SettingError

Bulk = Callable[..., Result]


class Hosted(MemoryFileSystem):  # type: ignore[misc]
    """Stands for a file system such as ftp, whose paths do not say on which host they are."""

    protocol = "hosted"

    def __init__(self, host: str = "", **given: Any) -> None:
        super().__init__(**given)
        self.store = self.stores.setdefault(host, {})

    stores: dict[str, dict[str, Any]] = {}  # noqa: RUF012

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        below = path.split("://")[-1].partition("/")[2] if "://" in path else path
        return f"/{below}".rstrip("/").replace("//", "/")

    @staticmethod
    def _get_kwargs_from_urls(path: str) -> dict[str, str]:
        return {"host": path.partition("://")[2].partition("/")[0]}


@pytest.fixture
def memory() -> Iterator[Any]:
    files = fsspec.filesystem("memory")
    yield files
    files.rm("/", recursive=True)


def rows(given: str, output: str = "out") -> list[Row]:
    return list(rows_of(given, output, None, lambda found: list(found.values())))


def outputs(given: str) -> list[str]:
    return [row.output for row in rows(given)]


@pytest.mark.parametrize("output", ["a::b", "~", "s3:x", "o[1]", "-", "a\nb", "file://a::b"])
def test_odd_names_of_the_output(
    output: str, bulk: Bulk, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = {path.name for path in tmp_path.iterdir()} | {"spool"}
    done = bulk(recordings, f"--output={output}")
    assert done.exit_code == 0, done.output
    name = output.removeprefix("file://")
    assert {path.name for path in tmp_path.iterdir()} == before | {name}
    assert "0 recordings to enhance, 3 done" in bulk(recordings, f"--output={output}").stderr
    told = CliRunner().invoke(app, ["bulk", f"--status={output}"])
    assert told.exit_code == 0 and "3 done" in told.output


def test_local_names_mean_nothing_to_fsspec(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a::b", "~/a", "file:a"):
        assert filesystem(name)[1] == str(tmp_path / name)


def test_the_root_of_a_store(memory: Any, bulk: Bulk, recordings: Path) -> None:
    assert [joined(one, "a/b") for one in ("m://", "m:///", "m://x", "m://x/")] == [
        *("m://a/b", "m://a/b", "m://x/a/b", "m://x/a/b")
    ]
    assert bulk(recordings / "a.wav", "-o", "memory://").exit_code == 0
    assert memory.exists("/a.wav") and not Path("memory:").exists()
    # A list beside it, and folders by a pattern.
    memory.pipe_file("/list.csv", b"path\n./sub/b.wav\n")
    assert rows("memory://list.csv") == [("memory://sub/b.wav", "sub/b.wav")]
    memory.pipe_file("/sub/b.wav", b"x")
    assert rows("memory://*/b.wav") == [("memory://sub/b.wav", "sub/b.wav")]


def test_relative_paths_begin_at_the_list(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    Path("in/list.csv").write_text("path\na.wav\nfile://./b.wav\nfile:///x/c.wav\n")
    wanted = [str(tmp_path / "in/a.wav"), str(tmp_path / "in/b.wav"), "file:///x/c.wav"]
    for given in ("in/list.csv", "file://in/list.csv", f"file://{tmp_path}/in/list.csv"):
        assert [row.source for row in rows(given)] == wanted
    # Also at one in the root, as in a container, and in an archive.
    read = [("line 2", {"path": "./a.wav"})]
    monkeypatch.setattr("speechduet.bulk.rows.columns_of", lambda _: iter(read))
    assert rows("/list.csv") == [("/a.wav", "a.wav")]
    assert rows("zip://x/list.csv::y.zip") == [("zip://x/a.wav::y.zip", "a.wav")]


def test_an_address_keeps_its_host(tmp_path: Path) -> None:
    fsspec.register_implementation("hosted", Hosted, clobber=True)
    for host in ("one", "two"):
        files, path = filesystem(f"hosted://{host}/in/deep/a.wav")
        files.pipe_file(path, host.encode())
    for given in (
        "hosted://two/in",
        "hosted://two/in/",
        "hosted://two/in/**",
        "hosted://two/i*/**",
    ):
        # The output has the same path, but on another host.
        (row,) = rows(given, "hosted://one/in")
        assert row.source == "hosted://two/in/deep/a.wav"
        with readable(row.source, tmp_path) as copy:
            assert copy.read_bytes() == b"two"
    assert canonical("hosted://one/x") != canonical("hosted://two/x")


def test_an_archive(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("in/deep/a.wav", "x")
    for given in ("zip://in", "zip://in/*/*", "zip://", "zip://in/deep/a.wav"):
        (row,) = rows(f"{given}::{tmp_path}/x.zip")
        assert row.source == f"zip://in/deep/a.wav::{tmp_path}/x.zip"
        with readable(row.source, tmp_path) as copy:
            assert copy.read_bytes() == b"x"
    with pytest.raises(SettingError, match="nothing is there"):
        rows(f"zip://in::{tmp_path}/[none].zip")


def test_queries_on_the_web(tmp_path: Path) -> None:
    address = "https://host/in/a.wav?key=b/c.mp3#x"
    (tmp_path / "list.csv").write_text(f"path\n{address}\n")
    assert rows(str(tmp_path / "list.csv")) == [(address, "a.wav")]


def test_a_store_lists_recordings_and_nothing_else(memory: Any) -> None:
    names = ("a.wav", "x.wav/b.wav", ".hidden/c.wav", "deep/.d.wav", "e.txt")
    for name in names:
        memory.pipe_file(f"/in/{name}", b"x")
    assert outputs("memory://in/*") == ["a.wav"]
    for given in ("memory://in", "memory://in/**"):
        assert outputs(given) == ["a.wav", "x.wav/b.wav"]


def test_no_two_recordings_of_a_store_have_one_result(memory: Any) -> None:
    for name in ("a.mp4", "a.wav", "a.mp4.wav"):
        memory.pipe_file(f"/in/{name}", b"x")
    assert outputs("memory://in") == ["a.mp4.wav.wav", "a.mp4.wav", "a.wav"]


def test_one_place_written_in_two_ways(memory: Any, bulk: Bulk, tmp_path: Path) -> None:
    memory.pipe_file("/in/a.wav", b"x")
    listed = tmp_path / "list.jsonl"
    listed.write_text('{"path": "memory:///in/a.wav", "output": "a.wav"}')
    with pytest.raises(SettingError, match="is to be read, and would be replaced"):
        check_rows(lambda: iter(rows(str(listed))), "memory://in/", read_ledger("none"))
    for given in ("memory://in", "memory:///in/", "memory://in/a.wav", "memory://in/*"):
        done = bulk(given, "-o", "memory:///in", "--overwrite")
        assert done.exit_code == 2 and "in the folder of results" in done.stderr
    assert memory.cat_file("/in/a.wav") == b"x"


def test_a_server_that_does_not_answer(bulk: Bulk, recordings: Path) -> None:
    gone = "ftp://127.0.0.1:1/x"
    for arguments in (
        (gone, "-o", "out"),
        (f"{gone}/*.csv", "-o", "out"),
        (recordings, "-o", gone),
    ):
        done = bulk(*arguments)
        assert done.exit_code == 2 and "ConnectionRefusedError" in done.stderr, done.output
    told = CliRunner().invoke(app, ["bulk", "--status", gone])
    assert told.exit_code == 2 and "cannot list ftp" in told.stderr
