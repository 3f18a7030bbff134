"""The HTTP interface: files in, files out, and what is said to whom it refuses."""

import base64
import io
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest
import soundfile

pytest.importorskip("fastapi", reason="needs the extra app")
pytest.importorskip("python_multipart", reason="needs the extra app")

from fastapi.testclient import TestClient
from typer.testing import CliRunner

from speechduet.cli import app as command_line
from speechduet.enhancement.enhancer import Enhancer
from speechduet.sampling import SETTINGS

Serve = Callable[..., TestClient]


def upload(client: TestClient, path: Path, name: str = "noisy.wav", **query: Any) -> Any:
    return client.post("/enhance", params=query, files={"file": (name, path.read_bytes())})


def jobs_left(client: TestClient) -> int:
    folder = Path(client.app.state.jobs._folder.name)
    return len(list(folder.iterdir()))


@pytest.mark.parametrize(
    ("query", "options", "name"),
    [
        ({}, [], "noisy.wav"),
        (
            {"mode": "fast", "strength": 0.5, "format": "flac"},
            ["--mode", "fast", "--strength", "0.5", "--format", "flac"],
            "noisy.flac",
        ),
        (
            {"seed": 3, "steps": 1, "corrector-steps": 1, "corrector-snr": 0.4},
            ["--seed", "3", "--steps", "1", "--corrector-steps", "1", "--corrector-snr", "0.4"],
            "noisy.wav",
        ),
    ],
)
def test_the_result_is_that_of_the_command_line(
    serve: Serve,
    recording: Path,
    tiny_model: Path,
    tmp_path: Path,
    query: dict[str, Any],
    options: list[str],
    name: str,
) -> None:
    client = serve()
    answer = upload(client, recording, **query)
    assert answer.status_code == 200, answer.text
    command = ["enhance", str(recording), "-m", str(tiny_model), "-o", str(tmp_path / "out")]
    result = CliRunner().invoke(command_line, [*command, *options, "--threads", "1"])
    assert result.exit_code == 0, result.stderr
    assert answer.content == (tmp_path / "out" / name).read_bytes()
    assert f'filename="{name}"' in answer.headers["content-disposition"]
    assert jobs_left(client) == 0


def test_what_is_wrong_with_a_recording_is_said_in_a_header(serve: Serve, recording: Path) -> None:
    data = recording.read_bytes()
    recording.write_bytes(data[:40] + bytes(4) + data[44:])
    answer = upload(serve(), recording, "grüße.wav", mode="fast")
    assert answer.status_code == 200
    (notice,) = json.loads(answer.headers["x-speechduet-notices"])
    assert notice.startswith("grüße.wav ")


def wav(samples: np.ndarray, rate: int, subtype: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate, subtype, format="WAV")
    return file.getvalue()


@pytest.mark.parametrize(
    ("channels", "rate", "subtype"),
    [
        (64, 8000, "PCM_16"),
        (1, 384_000, "PCM_24"),
        (2, 44_100, "PCM_32"),
        (1, 8000, "FLOAT"),
        (1, 48_000, "DOUBLE"),
        (1, 16_000, "PCM_U8"),
    ],
)
def test_unusual_formats_come_back_as_they_were(
    serve: Serve, tmp_path: Path, channels: int, rate: int, subtype: str
) -> None:
    samples = np.random.default_rng(0).uniform(-0.3, 0.3, (rate // 4, channels))
    (tmp_path / "in.wav").write_bytes(wav(samples, rate, subtype))
    answer = upload(serve(), tmp_path / "in.wav", mode="fast")
    assert answer.status_code == 200, answer.text
    found = soundfile.info(io.BytesIO(answer.content))
    assert (found.channels, found.samplerate, found.frames) == (channels, rate, rate // 4)
    assert found.subtype == subtype


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"", 422, "noisy.wav is empty (0 bytes)"),
        (b"no sound at all" * 100, 422, "noisy.wav"),
        (wav(np.zeros((0, 1)), 16_000, "PCM_16"), 422, "noisy.wav holds no samples"),
        (wav(np.full((99, 1), np.nan), 16_000, "FLOAT"), 422, "noisy.wav is NaN or infinite"),
        (wav(np.zeros((9, 64)), 48_000, "PCM_16"), 413, "64 channels at 48000 Hz"),
        (wav(np.zeros((50_000, 1)), 16_000, "PCM_16"), 413, "longer than this server takes"),
        (wav(np.zeros((300_000, 1)), 384_000, "PCM_16"), 413, "at most 0.5 MB"),
        (bytes(700_000), 413, "larger than this server takes"),
    ],
    ids=["empty", "noise", "no samples", "nan", "channels", "long", "large", "huge"],
)
def test_recordings_that_are_refused(
    serve: Serve, tmp_path: Path, content: bytes, status: int, message: str
) -> None:
    client = serve(max_seconds=3, max_megabytes=0.5)
    (tmp_path / "in.wav").write_bytes(content)
    answer = upload(client, tmp_path / "in.wav")
    assert answer.status_code == status
    assert message in answer.json()["error"]
    assert not re.search("/tmp|speechduet-", answer.json()["error"])
    assert jobs_left(client) == 0


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ({"mode": "slow"}, "mode is 'slow'; Input should be 'fast'"),
        ({"strength": "2"}, "strength is '2'; Input should be less"),
        ({"seed": "-1"}, "seed is '-1'"),
        ({"steps": "many"}, "steps is 'many'"),
        ({"format": "exe"}, "format 'exe' cannot be written"),
        ({"seed": ["1", "2"]}, "seed 2 times in the query; expected once"),
        ({"sed": "1"}, "unknown key 'sed' in the query"),
        ({"corrector_steps": "1"}, "did you mean 'corrector-steps'?"),
        ({"grid": "paper", "predictor": "heun"}, "grid 'paper' with the heun predictor"),
    ],
)
def test_options_that_have_no_meaning(
    serve: Serve, recording: Path, query: dict[str, Any], message: str
) -> None:
    answer = upload(serve(), recording, **query)
    assert answer.status_code == 422 and message in answer.json()["error"]


def test_forms_that_hold_no_recording(serve: Serve, recording: Path) -> None:
    client = serve()
    for given, message in (
        ({"content": recording.read_bytes()}, "no file in the request"),
        ({"data": {"mode": "fast"}}, "'mode' in the form; expected options in the query"),
        ({"files": {"file": (None, "RIFF")}}, "a file without a name in the form"),
        ({"content": b"a", "headers": {"content-type": "multipart/form-data"}}, "boundary"),
    ):
        answer = client.post("/enhance", **given)
        assert 400 <= answer.status_code < 500 and message in answer.json()["error"]
    assert jobs_left(client) == 0


@pytest.mark.parametrize(
    ("given", "back"),
    [
        ("../../etc/passwd", "passwd.wav"),
        ("C:\\\\sound\\\\a.wav", "a.wav"),
        ("..", "recording.wav"),
        (".hidden.wav", "hidden.wav"),
        ("a\u202egnp.wav", "agnp.wav"),
        ("n" * 300 + ".wav", "n" * 196 + ".wav"),
        ("é" * 300 + ".wav", "é" * 98 + ".wav"),
        ("a." + "w" * 300, "w" * 200 + ".wav"),
    ],
)
def test_names_lead_nowhere_and_have_room(
    serve: Serve, recording: Path, given: str, back: str
) -> None:
    answer = upload(serve(), recording, given, mode="fast")
    assert answer.status_code == 200
    found = answer.headers["content-disposition"].partition("filename")[2]
    assert unquote(found.removeprefix("*=utf-8''").strip('="')) == back


def test_no_more_is_kept_than_may_be(serve: Serve, recording: Path) -> None:
    client = serve(max_kept_megabytes=0.15)
    answer = upload(client, recording)
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    assert "this server keeps 0.15 MB of recordings" in answer.json()["error"]
    assert jobs_left(client) == 0


def test_when_the_queue_is_full(serve: Serve, recording: Path) -> None:
    client = serve(max_running=1, max_waiting=0)
    place = client.app.state.jobs.begin("a.wav")
    answer = upload(client, recording)
    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0
    assert "1 recordings are being enhanced or wait" in answer.json()["error"]
    client.app.state.jobs.discard(place)
    assert upload(client, recording, mode="fast").status_code == 200


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        ({"steps": "30", "corrector-steps": "10"}, "330 "),
        ({"steps": "10000", "corrector-steps": "1000", "framings": "1000"}, "10,010,"),
        ({"mode": "fast", "framings": "201"}, "201 "),
    ],
)
def test_no_segment_takes_more_evaluations_than_may_be(
    serve: Serve, recording: Path, asked: dict[str, str], number: str
) -> None:
    client = serve()
    answer = upload(client, recording, **asked)
    assert answer.status_code == 422 and answer.json()["error"].startswith(number)
    assert "evaluations of the network for each segment" in answer.json()["error"]
    assert jobs_left(client) == 0


def test_health_and_models(serve: Serve, enhancer: Enhancer) -> None:
    client = serve()
    health = client.get("/health").json()
    assert health["status"] == "ok" and health["running"] == 0
    (model,) = client.get("/models").json()
    assert model["name"] == "tiny" and model["modes"] == ["fast", "balanced", "best"]
    assert model["backend"] == enhancer.backend


def test_the_description_names_every_option_and_loads_nothing_from_elsewhere(
    serve: Serve,
) -> None:
    client = serve()
    description = client.get("/openapi.json").json()
    operation = description["paths"]["/enhance"]["post"]
    names = {parameter["name"] for parameter in operation["parameters"]}
    assert {name.replace("_", "-") for name in SETTINGS} | {"mode", "seed", "format"} <= names
    assert operation["requestBody"]["content"]["multipart/form-data"]
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


# Who may use it


def basic(password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"me:{password}".encode()).decode()}


def test_a_password_is_needed_for_everything(serve: Serve) -> None:
    client = serve("ä secret: one")
    for path in ("/health", "/models", "/openapi.json", "/", "/enhance"):
        answer = client.get(path)
        assert answer.status_code == 401 and "password" in answer.json()["error"]
        assert answer.headers["www-authenticate"].startswith("Basic ")
    for wrong in ("", "ä secret", "ä secret: one "):
        assert client.get("/health", headers=basic(wrong)).status_code == 401
    for broken in ("Basic", "Basic é", "Basic %%%", "Bearer abc", "Basic YWJj"):
        assert client.get("/health", headers={"authorization": broken.encode()}).status_code == 401
    assert client.get("/health", headers=basic("ä secret: one")).status_code == 200


def test_other_sites_cannot_use_it_through_a_browser(serve: Serve) -> None:
    client = serve(names=("studio.lan",))
    own = {"origin": "http://127.0.0.1:7860"}
    assert client.get("/health", headers=own).status_code == 200
    for host in ("localhost:7860", "[::1]:7860", "192.168.1.2", "Studio.LAN:7860"):
        assert client.get("/health", headers={"host": host}).status_code == 200
    for headers in (
        {"host": "rebound.example"},
        {"host": "127.0.0.1.example"},
        {"host": "[::1"},
        {"origin": "http://[::1"},
        {"origin": "https://other.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
    ):
        answer = client.get("/health", headers=headers)
        assert answer.status_code == 403 and answer.json()["error"]
    behind_a_proxy = basic("x") | {"host": "sound.example", "origin": "https://sound.example"}
    assert serve("x").get("/health", headers=behind_a_proxy).status_code == 200


def test_browsers_are_told_to_stay_here(serve: Serve) -> None:
    client = serve()
    for path in ("/health", "/nowhere"):
        headers = client.get(path).headers
        assert "default-src 'self'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
