"""The real server in a process of its own, on a real clock and a real network of one machine."""

import base64
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import speechduet
from speechduet.cli import app as command_line

pytest.importorskip("uvicorn", reason="needs the extra app")
pytest.importorskip("fastapi", reason="needs the extra app")
pytest.importorskip("python_multipart", reason="needs the extra app")
pytest.importorskip("websockets", reason="needs the extra app")

BOUNDARY = b"----boundary"


class Server:
    """``speechduet serve`` on a free port, with a folder of its own for temporary files."""

    def __init__(self, folder: Path, model: Path, *options: str, **environment: str) -> None:
        folder.mkdir()
        self.folder = folder
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "speechduet", "serve", "--port", "0"),
                *("-m", str(model), "--threads", "1", *options),
            ],
            stderr=subprocess.PIPE,
            env={
                **os.environ,
                "PYTHONPATH": str(Path(speechduet.__file__).parents[1]),
                "TMPDIR": str(folder),
                **environment,
            },
            # A shell that starts the tests in the background makes them ignore interruptions.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        assert self.process.stderr is not None
        self.said: list[str] = []
        for line in self.process.stderr:
            self.said.append(line.decode())
            if found := re.match(r"listening on http://127\.0\.0\.1:(\d+)", self.said[-1]):
                self.port = int(found[1])
                return
        raise AssertionError(self.said)

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)

    def get(self, path: str, **headers: str) -> tuple[int, Any]:
        with closing(self.connection()) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())

    def begin_upload(self, content: bytes, query: str = "") -> http.client.HTTPConnection:
        connection = self.connection()
        connection.request(
            "POST",
            f"/enhance{query}",
            form(content),
            {"Content-Type": f"multipart/form-data; boundary={BOUNDARY.decode()}"},
        )
        return connection

    def waits_for(self, reached: Callable[[dict[str, Any]], bool]) -> None:
        end = time.monotonic() + 60
        while not reached(self.get("/health")[1]):
            assert time.monotonic() < end, self.get("/health")
            time.sleep(0.05)

    def end(self, number: int = signal.SIGINT) -> tuple[int, str]:
        self.process.send_signal(number)
        try:
            _, errors = self.process.communicate(timeout=60)
        finally:
            self.process.kill()
        return self.process.returncode, errors.decode()


def form(content: bytes) -> bytes:
    head = b'Content-Disposition: form-data; name="file"; filename="noisy.wav"'
    return b"--%b\r\n%b\r\n\r\n%b\r\n--%b--\r\n" % (BOUNDARY, head, content, BOUNDARY)


@pytest.fixture
def serve(tmp_path: Path, tiny_model: Path) -> Iterator[Callable[..., Server]]:
    begun: list[Server] = []

    def serve(*options: str, **environment: str) -> Server:
        place = tmp_path / f"tmp{len(begun)}"
        begun.append(Server(place, tiny_model, *options, **environment))
        return begun[-1]

    yield serve
    for server in begun:
        server.process.kill()
        server.process.communicate()


@pytest.fixture
def long_recording(tmp_path: Path) -> bytes:
    """Ten minutes, for which the model needs long enough."""
    path = tmp_path / "long.wav"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.3, 0.3, 600 * 16_000), 16_000)
    return path.read_bytes()


def test_a_client_that_goes_frees_its_job_and_interruption_leaves_nothing(
    serve: Callable[..., Server], recording: Path, long_recording: bytes
) -> None:
    server = serve("--max-running", "1", "--max-waiting", "0")
    gone = server.begin_upload(long_recording, "?mode=best")
    server.waits_for(lambda health: health["running"] == 1)
    refused = server.begin_upload(recording.read_bytes())
    answer = refused.getresponse()
    assert answer.status == 503 and answer.getheader("Retry-After")
    gone.close()
    server.waits_for(lambda health: health["running"] == 0)
    with closing(server.begin_upload(recording.read_bytes(), "?mode=fast")) as connection:
        answer = connection.getresponse()
        assert answer.status == 200 and answer.read()[:4] == b"RIFF"
    # Ctrl-C while something is enhanced:
    busy = server.begin_upload(long_recording, "?mode=best")
    server.waits_for(lambda health: health["running"] == 1)
    status, errors = server.end()
    busy.close()
    assert status == 130 and "Traceback" not in errors, errors
    assert not list(server.folder.iterdir())


def test_what_is_too_large_is_not_read_to_its_end(serve: Callable[..., Server]) -> None:
    server = serve("--max-megabytes", "0.1", "--upload-timeout", "1")
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        # Without a length, as of who streams: it would never end.
        client.sendall(
            b"POST /enhance HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n"
            b"Content-Type: multipart/form-data; boundary=%b\r\n\r\n" % BOUNDARY
        )
        chunk = form(bytes(50_000)).rpartition(b"\r\n--")[0]
        client.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        for _ in range(4):
            client.sendall(b"%x\r\n%b\r\n" % (50_000, bytes(50_000)))
        answer = b""
        while not answer.endswith(b"}"):
            answer += client.recv(1 << 16)
        assert b" 413 " in answer and b"larger than this server takes" in answer
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(
            b"POST /enhance HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n"
            b"Content-Type: multipart/form-data; boundary=%b\r\n\r\n" % BOUNDARY
        )
        assert b" 408 " in client.recv(1 << 16)
    server.waits_for(lambda health: health["uploading"] == 0)


def test_the_password_comes_from_the_environment(
    serve: Callable[..., Server], recording: Path
) -> None:
    server = serve(SPEECHDUET_PASSWORD="secret")
    assert server.get("/health")[0] == 401
    known = "Basic " + base64.b64encode(b"me:secret").decode()
    assert server.get("/health", Authorization=known)[0] == 200


def test_the_live_client_of_the_examples(
    serve: Callable[..., Server], root: Path, recording: Path, tmp_path: Path
) -> None:
    server = serve()
    out = tmp_path / "out.wav"
    subprocess.run(
        [
            *(sys.executable, root / "examples/live_client.py", recording, out),
            *("--url", f"ws://127.0.0.1:{server.port}/live"),
        ],
        check=True,
        timeout=120,
    )
    found, given = soundfile.info(out), soundfile.info(recording)
    assert (found.frames, found.channels, found.samplerate) == (
        given.frames,
        given.channels,
        given.samplerate,
    )


@pytest.mark.slow
def test_with_the_network_cut(root: Path, tiny_model: Path, recording: Path) -> None:
    """In a network of its own, which has the machine itself in it and nothing else."""
    alone = ["unshare", "-rn", "sh", "-c"]
    if shutil.which("unshare") is None or shutil.which("ip") is None:
        pytest.skip("needs unshare and ip")
    if subprocess.run([*alone, "ip link set lo up"], capture_output=True, check=False).returncode:
        pytest.skip("this machine lets nobody have a network of their own")
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, "script.py")
        script.write_text(
            "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
            "from test_serving import Server\n"
            "server = Server(Path(sys.argv[2], 'tmp'), Path(sys.argv[3]))\n"
            "connection = server.begin_upload(Path(sys.argv[4]).read_bytes(), '?mode=fast')\n"
            "assert connection.getresponse().status == 200\n"
            "assert server.end()[0] == 130\n"
        )
        command = f"ip link set lo up && exec {sys.executable} {script} "
        command += f"{Path(__file__).parent} {folder} {tiny_model} {recording}"
        run = subprocess.run([*alone, command], capture_output=True, timeout=400, check=False)
    assert run.returncode == 0, run.stderr.decode()


# What is wrong is one line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--host", "0.0.0.0"], "0.0.0.0 can be reached from other machines; expected a password"),
        (["--host", "::"], ":: can be reached from other machines"),
        (["--host", "no.such.host.invalid"], "no address is known for the host"),
        (["--host", "192.0.2.1", "--no-password"], "cannot listen on 192.0.2.1"),
        (["--password", "a", "--no-password"], "both a password and --no-password"),
        (["--max-running", "0"], "Invalid value for '--max-running'"),
        (["--max-seconds", "0"], "Invalid value for '--max-seconds'"),
        (["--port", "99999"], "Invalid value for '--port'"),
    ],
)
def test_wrong_usage(options: list[str], message: str) -> None:
    result = CliRunner().invoke(command_line, ["serve", *options])
    assert result.exit_code == 2 and message in " ".join(result.stderr.split()), result.stderr


def test_a_port_that_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(command_line, ["serve", "--port", str(port)])
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert f"cannot listen on 127.0.0.1, port {port}: address already in use" in line


def test_an_extra_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "websockets", None)
    result = CliRunner().invoke(command_line, ["serve"])
    assert result.exit_code == 2 and "pip install" in result.stderr
