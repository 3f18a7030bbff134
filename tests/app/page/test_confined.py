"""What of Gradio can be reached."""

import logging
import socket
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("gradio", reason="needs the extra app")

import httpx2


@pytest.fixture(scope="module")
def client(server: Any) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.address, timeout=60) as client:
        yield client


@pytest.mark.parametrize(
    "path",
    [
        "login",
        "monitoring",
        "monitoring/summary",
        "pwa_icon/100000",
        "gradio_api/deep_link?session_hash=a",
        "gradio_api/proxy=http://127.0.0.1:1/",
        "gradio_api/file//etc/passwd",
        "gradio_api/openapi.json",
        "gradio_api/queue/status",
        "gradio_api/custom_component/file/server/component/x",
        "gradio_api/stream/a/b/1/playlist.m3u8",
        "gradio_api/vibe-code",
        "gradio_api/dev/reload",
        "nowhere",
    ],
)
def test_what_the_page_does_not_use_is_not_there(client: Any, path: str) -> None:
    answer = client.get(path)
    assert (answer.status_code, answer.json()) == (404, {"error": "Not Found"})


@pytest.mark.parametrize("name", ["process_recording", "component_server", "run/enhance", "call/x"])
def test_nor_is_anything_to_send_to(client: Any, name: str) -> None:
    assert client.post(f"gradio_api/{name}", json={}).status_code == 404


@pytest.mark.parametrize("path", ["static//etc/passwd", "assets/%2e%2e/%2e%2e/x", "svelte/..%2fx"])
def test_no_path_leads_elsewhere(client: Any, path: str) -> None:
    assert client.get(path).status_code in (403, 404)


def test_a_wrong_method_is_said_to_be_one(client: Any) -> None:
    answer = client.get("enhance")
    assert answer.status_code == 405 and answer.headers["allow"] == "POST"


def test_what_a_page_has_left_behind_leaves_no_report(
    client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Of a page that was open while the server was begun anew, and of an upload broken off."""
    told = client.get("gradio_api/queue/data", params={"session_hash": "of-yesterday"})
    assert '"session_not_found":true' in told.text
    with socket.create_connection((client.base_url.host, client.base_url.port)) as broken:
        broken.sendall(
            b"POST /gradio_api/upload HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9000\r\n"
            b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
            b'Content-Disposition: form-data; name="files"; filename="a.wav"\r\n\r\nRIFF'
        )
    assert client.get("health").status_code == 200
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
