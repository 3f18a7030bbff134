"""The WebSocket: blocks in, enhanced blocks out, and what ends a connection."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="needs the extra app")

from fastapi.testclient import TestClient
from starlette.testclient import WebSocketDenialResponse
from starlette.websockets import WebSocketDisconnect

from speechduet.enhancement.batches import Batches
from speechduet.enhancement.enhancer import Enhancer

RATE = 16_000
URL = "ws://127.0.0.1:7860/live"
Serve = Callable[..., TestClient]


def noise(duration_s: float) -> bytes:
    values = np.random.default_rng(0).normal(0, 3000, round(duration_s * RATE))
    return values.astype("<i2").tobytes()


def received(socket: Any) -> tuple[bytes, list[dict[str, Any]], WebSocketDisconnect]:
    """All sound and all messages up to the end."""
    sound, messages = b"", []
    while True:
        try:
            message = socket.receive()
            socket._raise_on_close(message)
        except WebSocketDisconnect as end:
            return sound, messages, end
        if message.get("bytes") is not None:
            sound += message["bytes"]
        else:
            messages.append(json.loads(message["text"]))


@pytest.mark.parametrize(
    ("kind", "dtype", "scale"), [("f32le", "<f4", 1.0), ("s16le", "<i2", 32_768.0)]
)
@pytest.mark.parametrize("mode", ["fast", "balanced"])
def test_blocks_come_back_enhanced(
    serve: Serve, enhancer: Enhancer, kind: str, dtype: str, scale: float, mode: str
) -> None:
    noisy = np.random.default_rng(0).uniform(-0.3, 0.3, (2, 2 * RATE)).astype(np.float32)
    live = enhancer.live(RATE, 2, 0.3, mode, seed=4)
    expected = np.concatenate([live.process(noisy), live.finish()], axis=1)
    query = f"sample_rate={RATE}&channels=2&format={kind}&mode={mode}&latency=0.3&seed=4"
    with serve().websocket_connect(f"{URL}?{query}") as socket:
        for block in np.split((noisy.T * scale).round(0 if scale > 1 else 9), 20):
            socket.send_bytes(block.astype(dtype).tobytes())
        socket.send_text('{"type": "end"}')
        sound, messages, end = received(socket)
    out = np.frombuffer(sound, dtype).reshape(-1, 2).T / scale
    np.testing.assert_allclose(out, expected, atol=1e-6 if scale == 1 else 2e-3)
    assert messages[0]["type"] == "ready" and messages[0]["latency_s"] <= 0.3
    levels = ["fast", "input"] if mode == "fast" else ["balanced", "fast", "input"]
    assert messages[0]["levels"] == levels
    assert messages[-1]["type"] == "end" and messages[-1]["left_out_s"] == 0
    assert messages[-1]["seconds"][mode] == 2 and end.code == 1000


@pytest.mark.parametrize(
    ("message", "code", "reason"),
    [
        (b"123", 1007, "a block of 3 bytes; expected a multiple of 8, for 2 channels of f32le"),
        (bytes(8 * (5 * RATE + 1)), 1009, "at most 5 s of sound in one"),
        (np.array([[0, np.nan]], "<f4").tobytes(), 1007, "NaN or infinite samples"),
        ("hello", 1003, "the text message 'hello'; expected binary blocks of samples, or"),
        ('{"type": "played"}', 1003, "the text message"),
        ('{"type": "played", "samples": -1}', 1003, "the text message"),
        ("[" * 100_000, 1003, "the text message"),
    ],
    ids=["odd", "huge", "nan", "text", "no number", "negative", "deep"],
)
def test_a_malformed_block_ends_that_connection_alone(
    serve: Serve, message: bytes | str, code: int, reason: str
) -> None:
    client = serve()
    query = f"{URL}?sample_rate={RATE}&channels=2&format=f32le"
    with client.websocket_connect(query) as other, client.websocket_connect(query) as socket:
        assert client.get("/health").json()["live"] == 2
        if isinstance(message, str):
            socket.send_text(message)
        else:
            socket.send_bytes(message)
        _, messages, end = received(socket)
        assert end.code == code and reason[:60] in end.reason
        assert messages[-1]["type"] == "error" and reason in messages[-1]["error"]
        other.send_bytes(bytes(8 * RATE))
        other.send_text('{"type": "end"}')
        sound, _, end = received(other)
        assert len(sound) == 8 * RATE and end.code == 1000
    assert client.get("/health").json()["live"] == 0


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("mode=slow", 422, "mode is 'slow'"),
        ("mode=fast&mode=best", 422, "mode 2 times in the query; expected once"),
        ("sample_rate=0", 422, "sample_rate is '0'"),
        ("format=mp3", 422, "format is 'mp3'"),
        ("latency=0.001", 422, "a latency of 0.001 s at 16000 Hz; expected at least"),
        ("steps=30&corrector-steps=10", 422, "330 evaluations of the network for each segment"),
        ("samplerate=8000", 422, "did you mean 'sample_rate'?"),
        ("sample_rate=192000&channels=8", 413, "8 channels at 192000 Hz"),
    ],
)
def test_streams_that_are_refused(serve: Serve, query: str, status: int, message: str) -> None:
    with pytest.raises(WebSocketDenialResponse) as refusal:
        serve().websocket_connect(f"{URL}?{query}").__enter__()
    assert refusal.value.status_code == status
    assert message in refusal.value.json()["error"]


def test_only_so_many_at_once(serve: Serve) -> None:
    client = serve(max_live=1)
    with client.websocket_connect(URL) as socket:
        with pytest.raises(WebSocketDenialResponse) as refusal:
            client.websocket_connect(URL).__enter__()
        assert refusal.value.status_code == 503 and "live streams" in refusal.value.json()["error"]
        socket.send_text('{"type": "end"}')
        received(socket)
    with client.websocket_connect(URL):
        pass


def test_a_client_that_goes_frees_its_place(serve: Serve) -> None:
    client = serve(max_live=1)
    for _ in range(3):
        with client.websocket_connect(URL) as socket:
            socket.send_bytes(bytes(2 * RATE))


def test_the_password_and_the_origin_are_asked_for(serve: Serve) -> None:
    client = serve("secret")
    for headers, status in (({}, 401), ({"origin": "https://other.example"}, 403)):
        with pytest.raises(WebSocketDenialResponse) as refusal:
            client.websocket_connect(URL, headers=headers).__enter__()
        assert refusal.value.status_code == status
    with client.websocket_connect(URL, headers={"authorization": "Basic OnNlY3JldA=="}):
        pass


def test_a_slow_machine_says_what_it_does(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told to be live, on a machine that once needs long."""
    import time

    usual = Batches.enhance
    calls = []

    def slow(*given: Any) -> Any:
        calls.append(given)
        time.sleep(1.5 if len(calls) == 1 else 0)
        return usual(*given)

    monkeypatch.setattr(Batches, "enhance", slow)
    with serve().websocket_connect(URL + "?live=true&mode=balanced") as socket:
        for _ in range(90):
            socket.send_bytes(noise(0.05))
            time.sleep(0.05)
        socket.send_text('{"type": "end"}')
        _, messages, _ = received(socket)
    paces = [message for message in messages if message["type"] == "pace"]
    assert paces[0]["level"] == "fast" and paces[0]["lag_s"] > 0.5
    assert messages[-1]["falls"] >= 1 and messages[-1]["seconds"]["fast"] > 0


def test_a_client_that_plays_too_little_is_not_left_behind(serve: Serve) -> None:
    """It says how much it has played: nothing, while two seconds and more come."""
    import time

    with serve().websocket_connect(URL + "?live=true&mode=fast") as socket:
        socket.send_text('{"type": "played", "samples": 0}')
        for _ in range(110):
            socket.send_bytes(noise(0.05))
            time.sleep(0.05)
        socket.send_text('{"type": "end"}')
        sound, messages, _ = received(socket)
    left_out = messages[-1]["left_out_s"]
    assert left_out > 1
    assert len(sound) / 2 / RATE == pytest.approx(5.5 - left_out, abs=0.06)
