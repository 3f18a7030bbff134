"""Files in stores that show them before they are whole, and what stores answer, in words."""

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray", reason="needs the extra ray")

from fsspec.implementations.local import LocalFileSystem

from speechduet.bulk import places
from speechduet.bulk.places import asking, opened, publish
from speechduet.bulk.rows import rows_of
from speechduet.errors import SettingError


class Server(LocalFileSystem):  # type: ignore[misc]
    """Stands for one on another machine, which may be about to publish the same file."""

    cachable = False
    other: Path | None = None
    failure: OSError | None = None

    def mv(self, source: str, target: str, **_: Any) -> None:
        if self.failure:
            raise self.failure
        if self.other:
            other, self.other = self.other, None
            publish(other, "sftp://host/" + target)
        super().mv(source, target)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    server = Server()
    monkeypatch.setattr(places, "filesystem", lambda place: (server, place.split("host/")[-1]))
    return server


def test_two_publish_one_file(server: Server, tmp_path: Path) -> None:
    (tmp_path / "first").write_bytes(b"first")
    server.other = tmp_path / "second"
    server.other.write_bytes(b"second")
    publish(tmp_path / "first", f"sftp://host/{tmp_path}/out/a.wav")
    assert (tmp_path / "out/a.wav").read_bytes() == b"first"
    server.failure = ConnectionError("gone")
    with pytest.raises(ConnectionError):
        publish(tmp_path / "first", f"sftp://host/{tmp_path}/out/b.wav")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.wav"]


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FileNotFoundError("[Errno 2] s3://b/x"), "cannot list s3://b/x: nothing is there; expec"),
        (PermissionError(13, "x"), "cannot list s3://b/x: no permission; expected a folder"),
        (IsADirectoryError("x"), "cannot list s3://b/x: it is a folder; expected a folder"),
        (
            NotADirectoryError("x"),
            "cannot list s3://b/x: a part of it is a file; expected a folder",
        ),
        (ConnectionError("no"), "cannot list s3://b/x: ConnectionError: no; expected a folder"),
        (SettingError("said already"), "said already"),
    ],
)
def test_answers_are_told_in_words(error: Exception, said: str) -> None:
    with pytest.raises(SettingError) as raised, asking("list", "s3://b/x", "a folder"):
        raise error
    assert str(raised.value).startswith(said)


def test_a_folder_that_may_not_be_listed(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def walk(*_: object, **__: object) -> None:
        raise PermissionError("deep")

    monkeypatch.setattr("speechduet.bulk.rows.filesystem", lambda _: (server, "/in"))
    monkeypatch.setattr(server, "ls", lambda *_, **__: [])
    monkeypatch.setattr(server, "walk", walk)
    with pytest.raises(SettingError, match="cannot list /in: no permission"):
        list(rows_of("sftp://host/in", "out", None, lambda found: []))


def test_a_list_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="it is a folder"), opened(str(tmp_path)):
        pass
