"""What of a machine the page gives away: what was sent to it, for a while, and nothing else."""

import json
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("gradio", reason="needs the extra app")

from fastapi.testclient import TestClient

from speechduet.app.application import AppSettings, create_app
from speechduet.app.limits import Limits
from speechduet.app.page.blocks import mount_page
from speechduet.app.page.uploads import Uploads
from speechduet.enhancement.enhancer import Enhancer


@pytest.fixture
def client(unchanging: Enhancer) -> Iterator[TestClient]:
    app = create_app(AppSettings(Limits(max_megabytes=1)), unchanging)
    mount_page(app)
    with TestClient(app, base_url="http://127.0.0.1:7860") as client:
        yield client


def asked_for(client: TestClient, path: str) -> dict[str, Any]:
    """What Gradio answers to a request to enhance a file of this name."""
    (enhance,) = [
        one["id"] for one in client.get("/config").json()["dependencies"] if len(one["inputs"]) == 6
    ]
    file = {"path": path, "url": path, "meta": {"_type": "gradio.FileData"}}
    data = ["a file", file, None, None, "fast", False]
    call = {"data": data, "fn_index": enhance, "session_hash": "me"}
    assert client.post("/gradio_api/queue/join", json=call).status_code == 200
    told = client.get("/gradio_api/queue/data", params={"session_hash": "me"}).text
    messages = [json.loads(line[5:]) for line in told.splitlines() if line.startswith("data:")]
    (last,) = [message for message in messages if message["msg"] == "process_completed"]
    answer: dict[str, Any] = last["output"]
    return answer


def test_no_other_file_of_the_machine_is_taken(client: TestClient, root: Path) -> None:
    path = root / "samples" / "noisy" / "cafe.flac"
    assert "The upload is not there" in asked_for(client, str(path))["error"]
    assert client.get(f"/gradio_api/file={path}").status_code == 404
    assert not list(Path(os.environ["GRADIO_TEMP_DIR"]).rglob("*.flac"))


def test_no_address_is_asked(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    looked_up: list[Any] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *given, **_: looked_up.append(given))
    assert "error" in asked_for(client, "http://example.com/a.wav")
    assert client.get("/gradio_api/file=http://example.com/a.wav").status_code == 404
    assert not looked_up


def test_an_upload_is_enhanced_and_given_back(client: TestClient, recording: Path) -> None:
    sent = client.post(
        "/gradio_api/upload", files={"files": ("a.wav", recording.read_bytes())}
    ).json()
    assert Path(sent[0]).is_relative_to(os.environ["GRADIO_TEMP_DIR"])
    assert client.get(f"/gradio_api/file={sent[0]}").content == recording.read_bytes()
    assert "speech-result" in json.dumps(asked_for(client, sent[0])["data"])


def test_an_upload_beyond_the_limit_is_refused(client: TestClient) -> None:
    sent = client.post("/gradio_api/upload", files={"files": ("a.wav", b"0" * 1_100_000)})
    assert sent.status_code == 413
    assert "larger than this server takes" in sent.json()["error"]


def test_the_page_names_nobody_else_s_scripts_and_keeps_no_record(client: TestClient) -> None:
    config = client.get("/config").json()
    assert config["analytics_enabled"] is False
    assert config["theme_hash"]
    assert "googleapis" not in client.get("/").text + client.get("/theme.css").text
    assert client.get("/gradio_api/info").json()["named_endpoints"] == {}
    assert client.get("/gradio_api/runs").status_code == 404


def test_what_is_old_is_deleted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    uploads = Uploads(keep_seconds=100)
    for name, age_s in (("old", 101), ("new", 99)):
        file = uploads.path / name / "a.wav"
        file.parent.mkdir()
        file.touch()
        os.utime(file, (time.time() - age_s,) * 2)
    uploads.sweep()
    assert [path.name for path in uploads.path.iterdir()] == ["new"]
    uploads.close()
    assert not uploads.path.exists()
