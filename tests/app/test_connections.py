"""Connections of clients that do not do what clients do."""

import asyncio
import logging
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

pytest.importorskip("uvicorn", reason="needs the extra app")
pytest.importorskip("fastapi", reason="needs the extra app")
pytest.importorskip("websockets", reason="needs the extra app")

import uvicorn

from speechduet.app import connections
from speechduet.app.address import bound
from speechduet.app.application import AppSettings, create_app
from speechduet.app.connections import WebSocketConnection
from speechduet.app.limits import Limits
from speechduet.app.serving import configured
from speechduet.enhancement.enhancer import Enhancer

GET = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n"
UPGRADE = (
    b"Host: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture(scope="module")
def port(enhancer: Enhancer) -> Iterator[int]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(connections, "REQUEST_TIMEOUT_S", 0.5)
        listener = bound("127.0.0.1", 0, open_to_all=False)
        limits = Limits(max_live=1, upload_timeout=1)
        server = uvicorn.Server(configured(create_app(AppSettings(limits), enhancer)))
        thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        yield listener.getsockname()[1]
        server.should_exit = True
        thread.join(60)


@pytest.fixture
def client(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        yield client


def all_of(client: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    parts = []
    while part := client.recv(1 << 16):
        parts.append(part)
    return b"".join(parts)


@pytest.mark.parametrize("begun", [b"", b"GET /hea", GET])
def test_a_request_has_to_begin_in_time(client: socket.socket, begun: bytes) -> None:
    client.sendall(begun)
    assert all_of(client) == b""


def test_so_does_the_next_on_the_same_connection(client: socket.socket) -> None:
    client.sendall(GET + b"\r\n")
    assert client.recv(1 << 16).startswith(b"HTTP/1.1 200")
    client.sendall(GET)
    assert b"HTTP/1.1" not in all_of(client)


def test_several_at_once_are_all_answered(client: socket.socket) -> None:
    client.sendall((GET + b"\r\n") * 5)
    assert all_of(client).count(b"HTTP/1.1 200") == 5


def test_a_websocket_begins_with_get(client: socket.socket) -> None:
    client.sendall(b"POST /live HTTP/1.1\r\n" + UPGRADE)
    assert all_of(client).startswith(b"HTTP/1.1 400")


def test_a_silent_stream_gives_its_place_back(client: socket.socket) -> None:
    client.sendall(b"GET /live HTTP/1.1\r\n" + UPGRADE)
    ended = all_of(client)
    assert b"101 Switching Protocols" in ended
    assert b"nothing came for 1 s; expected sound, silence included" in ended


@pytest.mark.parametrize("path", ["/live?mode=none", "/nowhere"])
def test_a_refused_stream_is_reported_as_no_error(
    client: socket.socket, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    client.sendall(f"GET {path} HTTP/1.1\r\n".encode() + UPGRADE)
    assert all_of(client).split()[1] in (b"403", b"422")
    time.sleep(0.2)  # It would come after the answer.
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_pings_are_not_answered_to_who_reads_no_answers() -> None:
    async def accepting(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})
        await asyncio.Event().wait()

    async def written(reads: bool) -> int:
        config = uvicorn.Config(accepting, lifespan="off")
        connection = WebSocketConnection(config, uvicorn.Server(config).server_state, {})
        transport = Transport()
        connection.connection_made(transport)
        connection.data_received(b"GET /live HTTP/1.1\r\n" + UPGRADE)
        while not transport.written:
            await asyncio.sleep(0)
        if not reads:
            connection.pause_writing()
        transport.written = 0
        masked = bytes([0x89, 0x80 | 4]) + bytes(4) + b"ping"
        connection.data_received(masked * 100)
        connection.stop_keepalive()
        return transport.written

    assert asyncio.run(written(reads=True)) == 600
    assert asyncio.run(written(reads=False)) == 0


class Transport(asyncio.Transport):
    """Counts what is written."""

    written = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += len(data)

    def close(self) -> None:
        pass

    def is_closing(self) -> bool:
        return False

    def get_extra_info(self, name: str, default: object = None) -> object:
        return default

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass
