"""``speechduet serve`` under load, on this machine.

    python benchmarks/serve_load.py --model PATH --uploads 50 --streams 200 --slow 100

begins a server and prints how it fares: recordings sent at the same time, live streams, clients
that send next to nothing, requests that are malformed or too large. It needs the packages httpx2
and websockets.
"""

import asyncio
import io
import os
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple

import httpx2
import numpy as np
import soundfile
import typer
from numpy.typing import NDArray
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

RATE = 16_000
TIMEOUT_S = 2
"""After which the server gives up uploads, in seconds."""
PATIENCE_S = 600.0
_PROBE_S = 0.1
Sound = NDArray[np.int16]
Told = tuple[int, float | None]
"""Status of an answer, and how many seconds it took, if that counts."""


class Load(NamedTuple):
    """How many clients of each kind there are at the same time, and how much sound each has."""

    uploads: int
    streams: int
    slow: int
    malformed: int
    seconds: float


@dataclass
class Server:
    """The process that is measured."""

    pid: int
    port: int
    peak: int = 0
    refused: Counter[int] = field(default_factory=Counter)

    def memory(self) -> int:
        """What it holds now, in bytes."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        resident = pages * os.sysconf("SC_PAGE_SIZE")
        self.peak = max(self.peak, resident)
        return resident

    def handles(self) -> int:
        """Files and connections it has open."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


class Result(NamedTuple):
    """What came of one kind of load."""

    name: str
    statuses: Counter[int]
    latencies_s: list[float]
    peak_bytes: int

    def row(self) -> str:
        """A row of the table in docs/records/serve.md."""
        counts = ", ".join(f"{count} x {status}" for status, count in sorted(self.statuses.items()))
        times = "–"
        if self.latencies_s:
            parts = np.percentile(self.latencies_s, [50, 95, 99])
            times = " / ".join(f"{part:.2f}" for part in parts)
        return f"| {self.name} | {counts} | {times} | {self.peak_bytes / 1e6:.0f} MB |"


@asynccontextmanager
async def begun(model: Path | None, max_live: int) -> AsyncIterator[Server]:
    """A server in a process of its own, ended by an interruption."""
    command = ["serve", "--port", "0", "--threads", "1", "--upload-timeout", str(TIMEOUT_S)]
    command += ["--max-live", str(max_live), "--max-megabytes", "2"]
    command += [] if model is None else ["-m", str(model)]
    with tempfile.TemporaryDirectory() as folder:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "speechduet", *command),
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "TMPDIR": folder},
        )
        assert process.stderr is not None
        said = ""
        while not (found := re.search(r"listening on http://127\.0\.0\.1:(\d+)", said)):
            line = (await process.stderr.readline()).decode()
            assert line, said
            said += line
        reading = asyncio.create_task(process.stderr.read())
        try:
            yield Server(process.pid, int(found[1]))
        finally:
            process.send_signal(signal.SIGINT)
            await process.wait()
        if "Traceback" in (reported := (await reading).decode()):
            raise AssertionError(reported)
        left = list(Path(folder).iterdir())
        assert not left, left


async def measured(name: str, server: Server, clients: Sequence[Awaitable[Told]]) -> Result:
    """All clients at once."""
    server.peak = 0

    async def watch() -> None:
        while True:
            server.memory()
            await asyncio.sleep(_PROBE_S)

    watching = asyncio.create_task(watch())
    server.refused = Counter()
    try:
        told = await asyncio.wait_for(asyncio.gather(*clients), PATIENCE_S)
    finally:
        watching.cancel()
    statuses = Counter(status for status, _ in told) + server.refused
    return Result(name, statuses, [taken for _, taken in told if taken is not None], server.peak)


def noise(seconds: float) -> Sound:
    """Some sound, ``[samples]``."""
    samples = np.random.default_rng(0).integers(-3000, 3000, round(seconds * RATE))
    return samples.astype(np.int16)


async def upload(server: Server, client: httpx2.AsyncClient, recording: bytes) -> Told:
    """Send a recording until it is taken, as often as the server says when to come again."""
    while True:
        begun_s = time.monotonic()
        answer = await client.post("/enhance?mode=fast", files={"file": ("noisy.wav", recording)})
        if answer.status_code != 503:
            assert answer.status_code == 200 and answer.content[:4] == b"RIFF", answer.text
            return 200, time.monotonic() - begun_s
        server.refused[503] += 1
        await asyncio.sleep(float(answer.headers["retry-after"]) / 5)


async def stream(server: Server, sound: Sound) -> Told:
    """Send sound block by block, read what comes back, and see that all has come."""
    begun_s = time.monotonic()
    address = f"ws://127.0.0.1:{server.port}/live?live=false"
    try:
        async with connect(address, open_timeout=PATIENCE_S, ping_timeout=PATIENCE_S) as socket:
            for block in np.array_split(sound, 10):
                await socket.send(block.tobytes())
            await socket.send('{"type": "end"}')
            received = sum([len(part) async for part in socket if isinstance(part, bytes)])
    except InvalidStatus as refusal:
        return refusal.response.status_code, None
    assert received == 2 * len(sound)
    return 200, time.monotonic() - begun_s


SLOW = (
    b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n",
    b"POST /enhance HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n"
    b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n",
    b"POST /gradio_api/queue/join HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{",
)


async def dawdle(server: Server, begin: bytes) -> Told:
    """Begin a request and then send a byte now and then, until the server has had enough."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    writer.write(begin)
    reading = asyncio.create_task(reader.read())
    while not reading.done():
        writer.write(b"a")
        await asyncio.wait({reading}, timeout=0.5)
    writer.close()
    try:
        answer = reading.result()
    except ConnectionError:
        answer = b""
    return int(answer.split()[1]) if answer else 0, None


async def look(client: httpx2.AsyncClient, times: int) -> list[float]:
    """How long the server takes to say that it is there, several times."""
    taken = []
    for _ in range(times):
        begun_s = time.monotonic()
        answer = await client.get("/health")
        assert answer.status_code == 200
        taken.append(time.monotonic() - begun_s)
        await asyncio.sleep(_PROBE_S)
    return taken


_FORM = b'--b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n%b\r\n'
MALFORMED: tuple[tuple[str, bytes], ...] = (
    ("/enhance", b"no form"),
    ("/enhance", _FORM % (b"file", b"../../a.wav", b"Dear reader") + b"--b--\r\n"),
    ("/enhance", _FORM % (b"file", b"a" * 300, b"RIFF\xff\xff\xff\xffWAVE") + b"--b--\r\n"),
    ("/enhance", _FORM % (b"file", b"a.wav", bytes(3_000_000)) + b"--b--\r\n"),
    ("/enhance", _FORM % (b"file", b"a.wav", b"") * 1000 + b"--b--\r\n"),
    ("/enhance?mode=" + "x" * 5000, b""),
    ("/enhance?steps=1&steps=2", b""),
    ("/gradio_api/upload", _FORM % (b"files", b"a.wav", bytes(3_000_000)) + b"--b--\r\n"),
    ("/gradio_api/queue/join", b"[" * 1_000_000),
    ("/page/" + "x" * 22 + "/download", b""),
)


async def send_malformed(client: httpx2.AsyncClient, path: str, body: bytes) -> Told:
    """Send what no server should take."""
    begun_s = time.monotonic()
    headers = {"content-type": "multipart/form-data; boundary=b"}
    try:
        answer = await client.post(path, content=body, headers=headers)
    except httpx2.TransportError:
        return 0, None  # The server did not read it to its end.
    return answer.status_code, time.monotonic() - begun_s


async def under_load(
    server: Server,
    client: httpx2.AsyncClient,
    load: Load,
    sound: Sound,
    recording: bytes,
) -> list[Result]:
    """All kinds of load one after the other."""
    uploads = [upload(server, client, recording) for _ in range(load.uploads)]
    results = [await measured("recordings", server, uploads)]
    streams = [stream(server, sound) for _ in range(load.streams)]
    results.append(await measured("live streams", server, streams))
    # The others that come meanwhile are what counts.
    looking = asyncio.create_task(look(client, 30))
    dawdling = [dawdle(server, SLOW[n % len(SLOW)]) for n in range(load.slow)]
    slow = await measured("slow clients", server, dawdling)
    results.append(slow._replace(latencies_s=await looking))
    wrong = [MALFORMED[n % len(MALFORMED)] for n in range(load.malformed)]
    sending = [send_malformed(client, *request) for request in wrong]
    results.append(await measured("malformed", server, sending))
    return results


async def measure(load: Load, model: Path | None, max_live: int) -> tuple[list[Result], str]:
    """What a server makes of a load, and what it holds before and afterwards."""
    sound = noise(load.seconds)
    soundfile.write(file := io.BytesIO(), sound, RATE, format="WAV")
    recording = file.getvalue()
    limits = httpx2.Limits(max_connections=None)
    async with begun(model, max_live) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with httpx2.AsyncClient(base_url=url, timeout=PATIENCE_S, limits=limits) as client:
            # What is loaded with the first recording counts as before.
            await upload(server, client, recording)
            await stream(server, sound)
            before, handles = server.memory(), server.handles()
            results = await under_load(server, client, load, sound, recording)
        await asyncio.sleep(1)
        memory = f"{before / 1e6:.0f} MB before, {server.memory() / 1e6:.0f} MB after"
        return results, f"{memory}; handles: {handles} before, {server.handles()} after"


def main(
    model: Annotated[Path | None, typer.Option(help="By default the bundled one.")] = None,
    uploads: int = 50,
    streams: int = 200,
    slow: int = 100,
    malformed: int = 100,
    seconds: float = 3.0,
    max_live: int = 4,
) -> None:
    """Measure a server under load."""
    load = Load(uploads, streams, slow, malformed, seconds)
    results, memory = asyncio.run(measure(load, model, max_live))
    print(
        "| clients at once | answers | seconds: 50, 95, 99 % | peak of memory |\n|---|---|---|---|"
    )
    for result in results:
        print(result.row())
    print(memory)


if __name__ == "__main__":
    typer.run(main)
