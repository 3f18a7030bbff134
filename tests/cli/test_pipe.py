"""``speechduet enhance - -o -``: sound comes out while it goes in."""

import io
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

import speechduet
from speechduet.cli import app
from speechduet.enhancement.enhancer import Enhancer

RATE = 16_000
SECONDS = 6
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path(speechduet.__file__).parents[1])}


@pytest.fixture(scope="module")
def noisy() -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.3, 0.3, (2, SECONDS * RATE)).astype(np.float32)


def wav(samples: np.ndarray, subtype: str = "PCM_16", container: str = "WAV") -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples.T, RATE, subtype, format=container)
    return file.getvalue()


def run(model: Path, stdin: bytes, *arguments: str) -> Result:
    command = ["enhance", "-m", str(model), "-", "-o", "-", *arguments]
    return CliRunner().invoke(app, command, input=stdin)


def samples_of(data: bytes) -> np.ndarray:
    return soundfile.read(io.BytesIO(data), dtype="float32", always_2d=True)[0].T


def streamed(model: Path, noisy: np.ndarray, latency_s: float, mode: str) -> np.ndarray:
    live = Enhancer.from_pretrained(model).live(RATE, 2, latency_s, mode)
    return np.concatenate([live.process(noisy), live.finish()], axis=1)


@pytest.mark.parametrize(
    ("arguments", "latency_s", "mode"),
    [([], 0.5, "balanced"), (["--latency", "0.2", "--mode", "fast"], 0.2, "fast")],
)
def test_wav_is_enhanced_as_by_the_live_mode(
    tiny_model: Path, noisy: np.ndarray, arguments: list[str], latency_s: float, mode: str
) -> None:
    result = run(tiny_model, wav(noisy, "FLOAT"), *arguments)
    assert result.exit_code == 0, result.stderr
    out = samples_of(result.stdout_bytes)
    np.testing.assert_allclose(out, streamed(tiny_model, noisy, latency_s, mode), atol=1e-6)
    backend, latency, summary = result.stderr.splitlines()
    assert backend.startswith("backend pytorch, float32, on cpu")
    assert latency.startswith(f"enhanced while it comes, at most {latency_s:.2f} s late")
    assert summary.startswith("1 enhanced (6.0 s of sound in ")


def test_strength(tiny_model: Path, noisy: np.ndarray) -> None:
    whole = samples_of(run(tiny_model, wav(noisy, "FLOAT")).stdout_bytes)
    half = samples_of(run(tiny_model, wav(noisy, "FLOAT"), "--strength", "0.5").stdout_bytes)
    np.testing.assert_allclose(half, (whole + noisy) / 2, atol=1e-6)


def test_other_containers_are_enhanced_whole(tiny_model: Path, noisy: np.ndarray) -> None:
    expected = Enhancer.from_pretrained(tiny_model)(noisy, RATE)
    for data, arguments in (
        (wav(noisy, "PCM_24", "FLAC"), ()),
        (wav(noisy, "FLOAT"), ("--format", "flac")),
    ):
        result = run(tiny_model, data, *arguments)
        assert result.exit_code == 0, result.stderr
        np.testing.assert_allclose(samples_of(result.stdout_bytes), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda data: data[:60_000],
            "failed: stdin is truncated: 0.94 s of sound can",
        ),
        (
            lambda data: data[:44],
            "failed: stdin is truncated: 0.00 s of sound can",
        ),
        (
            lambda data: data[:40] + b"\xff" * 4,
            "failed: stdin holds no samples; expected at least one",
        ),
        (lambda data: data[:20], "failed: "),
    ],
)
def test_bad_streams(tiny_model: Path, noisy: np.ndarray, change, message: str) -> None:
    result = run(tiny_model, change(wav(noisy)))
    assert result.exit_code == 1
    assert message in result.stderr and "Traceback" not in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-", "-o", "-", "--latency", "0.001"], "a latency of 0.001 s at 16000 Hz; expected"),
        (["-", "-o", "out.wav", "--latency", "1"], "a latency for what is not streamed"),
        (["-", "-o", "-", "--latency", "1", "--format", "flac"], "for what is not streamed"),
        (["in.wav", "-o", "out.wav", "--latency", "1"], "a latency for files"),
        (["in.wav", "-o", "out.wav", "--live"], "a live source for files"),
        (["-", "-o", "out.wav", "--no-live"], "a live source for what is not streamed"),
    ],
)
def test_wrong_usage(
    tiny_model: Path, noisy: np.ndarray, arguments: list[str], message: str
) -> None:
    command = ["enhance", "-m", str(tiny_model), *arguments]
    result = CliRunner().invoke(app, command, input=wav(noisy))
    assert result.exit_code == 2 and message in result.stderr
    assert not result.stdout_bytes


# Real pipes


def begin(model: Path, *arguments: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "speechduet", "enhance", "-", "-o", "-"]
    return subprocess.Popen(
        [*command, "-m", str(model), "--threads", "1", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=ENVIRONMENT,
    )


def feed(stdin: IO[bytes], data: bytes, *, last: bool) -> threading.Thread:
    """Write from a thread, for whoever reads may first have to be read from."""

    def write() -> None:
        with suppress(BrokenPipeError):
            stdin.write(data)
            stdin.flush()
            if last:
                stdin.close()

    thread = threading.Thread(target=write)
    thread.start()
    return thread


def ends(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    assert process.stdin is not None and process.stdout is not None
    return process.stdin, process.stdout


def test_the_first_seconds_are_written_before_the_last_are_read(
    tiny_model: Path, noisy: np.ndarray
) -> None:
    data = wav(noisy)
    # As FFmpeg and SoX write to a pipe: they cannot know how long it will be.
    data = data[:40] + b"\xff" * 4 + data[44:]
    second = 4 * RATE
    # However busy the machine that tests it.
    with begin(tiny_model, "--latency", "0.5", "--no-live") as process:
        stdin, stdout = ends(process)
        begun = feed(stdin, data[: 44 + 3 * second], last=False)
        # These reads would wait for ever if anything behind the third second were needed.
        header = stdout.read(44)
        assert header[:4] == b"RIFF" and header[40:] == b"\xff" * 4
        early = stdout.read(int(2.5 * second))
        begun.join()
        feed(stdin, data[44 + 3 * second :], last=True)
        out = early + stdout.read()
        assert process.wait() == 0
    assert len(out) == len(data) - 44
    np.testing.assert_allclose(
        samples_of(header + out), streamed(tiny_model, noisy, 0.5, "balanced"), atol=1 / 16384
    )


def test_a_reader_that_goes_is_no_traceback(tiny_model: Path, noisy: np.ndarray) -> None:
    with begin(tiny_model) as process:
        stdin, stdout = ends(process)
        stdout.close()
        feed(stdin, wav(noisy), last=True)
        assert process.stderr is not None
        errors = process.stderr.read().decode()
        assert process.wait() == 1
    assert "failed: cannot write the stream: Broken pipe" in errors
    assert "Traceback" not in errors


# Whatever the header says, by whatever name


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda data: data[:40] + bytes(4) + data[44:], "states no length"),
        (lambda data: data[:40] + b"\xff" * 4 + data[44:], "states no length"),
        (lambda data: data[:40] + len(data).to_bytes(4, "little") + data[44:], "promises"),
        (lambda data: data[:40] + (len(data) - 88).to_bytes(4, "little") + data[44:], "promises"),
        (lambda data: data[:-1], "is completed"),
    ],
    ids=["0", "all ones", "too large", "too small", "last byte missing"],
)
def test_headers_that_lie(tiny_model: Path, noisy: np.ndarray, change, note: str) -> None:
    result = run(tiny_model, change(wav(noisy)), "--mode", "fast")
    assert result.exit_code == 0, result.stderr
    assert samples_of(result.stdout_bytes).shape == noisy.shape
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("stdin ")]
    assert note in line


def test_a_truncated_stream_gives_all_that_came(tiny_model: Path, noisy: np.ndarray) -> None:
    data = wav(noisy)[: 44 + 4 * 40_001]
    for arguments, status in (((), 1), (("--salvage",), 0)):
        result = run(tiny_model, data, "--mode", "fast", *arguments)
        assert result.exit_code == status
        assert samples_of(result.stdout_bytes).shape == (2, 40_001)
        assert "stdin is truncated: 2.50 s" in result.stderr


def test_a_track_that_a_stream_does_not_have(tiny_model: Path, noisy: np.ndarray) -> None:
    result = run(tiny_model, wav(noisy), "--track", "2")
    assert result.exit_code == 1 and "stdin has 1 sound track, and 2 was asked" in result.stderr


def test_pipes_by_name(tiny_model: Path, noisy: np.ndarray, tmp_path: Path) -> None:
    data = wav(noisy)
    data = data[:40] + bytes(4) + data[44:]
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    command = ["enhance", "-m", str(tiny_model), "--mode", "fast", str(pipe), "-o"]
    results = {}
    for output in ("-", "/dev/stdout", str(tmp_path / "out.wav")):
        writer = threading.Thread(target=pipe.write_bytes, args=(data,))
        writer.start()
        result = CliRunner().invoke(app, [*command, output])
        writer.join()
        assert result.exit_code == 0, result.stderr
        assert "states no length" in result.stderr
        results[output] = result.stdout_bytes or Path(output).read_bytes()
    assert results["-"] == results["/dev/stdout"]
    assert all(samples_of(out).shape == noisy.shape for out in results.values())
    result = CliRunner().invoke(
        app,
        ["enhance", "-m", str(tiny_model), "--mode", "fast", "/dev/stdin", "-o", "-"],
        input=data,
    )
    assert result.stdout_bytes == results["-"]


def test_a_header_is_put_right_where_stdout_is_a_file(
    tiny_model: Path, noisy: np.ndarray, tmp_path: Path
) -> None:
    data = wav(noisy)
    data = data[:40] + b"\xff" * 4 + data[44:]
    command = [sys.executable, "-m", "speechduet", "enhance", "-", "-o", "-", "--mode", "fast"]
    for mode in ("wb", "ab"):
        with (tmp_path / mode).open(mode) as out:
            subprocess.run(
                [*command, "-m", str(tiny_model), "--threads", "1"],
                input=data,
                stdout=out,
                stderr=subprocess.PIPE,
                check=True,
                env=ENVIRONMENT,
            )
    written, added = ((tmp_path / mode).read_bytes() for mode in ("wb", "ab"))
    assert int.from_bytes(written[40:44], "little") == len(written) - 44 == len(data) - 44
    assert added[44:] == written[44:] and added[40:44] == b"\xff" * 4


def test_messages_name_the_stream_and_no_temporary_file(
    tiny_model: Path, noisy: np.ndarray, tmp_path: Path
) -> None:
    data = wav(noisy)[:60_000]
    for arguments in (["-", "-o", str(tmp_path / "out.wav")], ["-", "-o", "-", "--format", "flac"]):
        command = ["enhance", "-m", str(tiny_model), "--mode", "fast", *arguments]
        result = CliRunner().invoke(app, command, input=data)
        assert result.exit_code == 1
        assert "failed: stdin is truncated" in result.stderr and "/tmp" not in result.stderr


@pytest.mark.parametrize(("name", "closed"), [("stdin", "<&-"), ("stdout", ">&-")])
def test_closed_streams_are_named(tiny_model: Path, name: str, closed: str) -> None:
    command = f'"{sys.executable}" -m speechduet enhance - -o - -m "{tiny_model}" {closed}'
    shell = ["sh", "-c", command]
    result = subprocess.run(shell, input="", capture_output=True, text=True, env=ENVIRONMENT)
    assert result.returncode == 1
    assert f"{name} is closed" in result.stderr and "Traceback" not in result.stderr
