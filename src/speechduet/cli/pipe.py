"""Recordings from stdin and to stdout: WAV as it comes, all else by way of temporary files."""

import shutil
import sys
from collections.abc import Callable, Iterator
from itertools import tee
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import typer

from speechduet.audio import Samples
from speechduet.audio.recording import check_strength, mixed
from speechduet.audio.wav_stream import WavHeader, read_header, read_samples, write_stream
from speechduet.cli.batch import enhance_files
from speechduet.cli.progress import Report
from speechduet.errors import AudioError, SettingError

if TYPE_CHECKING:
    from speechduet.enhancer import Enhancer
    from speechduet.live import Live

STREAM = "-"


def enhance_stream(
    inputs: list[str],
    output: str,
    container: str | None,
    overwrite: bool,
    latency_s: float | None,
    load: Callable[[], "Enhancer"],
    request: dict[str, Any],
) -> int:
    """Enhance from stdin or to stdout; return the number of failures.

    Who pipes WAV through is given sound while it comes, ``latency_s`` late. Another container,
    or a confidence map, needs the whole recording.
    """
    if len(inputs) > 1:
        raise SettingError(f"a stream (-) among {len(inputs)} inputs", "one input or output")
    through = inputs == [output] == [STREAM]
    header, read = None, b""
    if through and container in (None, "wav") and request["confidence"] is None:
        header, read = read_header(sys.stdin.buffer)
    if header is not None:
        return _enhance_live(header, latency_s, load, request)
    if latency_s is not None:
        raise SettingError(
            "a latency for what is not streamed", "WAV (PCM or float) from stdin to WAV on stdout"
        )
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "stdin"), Path(folder, f"stdout.{container or 'wav'}")
        if inputs == [STREAM]:
            with source.open("wb") as file:
                file.write(read)
                shutil.copyfileobj(sys.stdin.buffer, file)
            inputs = [str(source)]
        place = str(target) if output == STREAM else output
        failures = enhance_files(inputs, place, container, overwrite, 1, load, request)
        if output == STREAM and not failures:
            with target.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    return failures


def _enhance_live(
    header: WavHeader,
    latency_s: float | None,
    load: Callable[[], "Enhancer"],
    request: dict[str, Any],
) -> int:
    from speechduet.live import LATENCY_S

    settings = {
        name: value
        for name, value in request.items()
        if name not in ("confidence", "track", "salvage")
    }
    strength = settings.pop("strength")
    check_strength(strength)
    latency_s = LATENCY_S if latency_s is None else latency_s
    enhancer = load()
    live = enhancer.live(header.sample_rate, header.channels, latency_s, **settings)
    typer.echo(enhancer.backend, err=True)
    typer.echo(f"enhanced while it comes, at most {live.latency_s:.2f} s late", err=True)
    with Report(1) as report:
        line = report.begin(Path("stdin"))
        blocks = read_samples(sys.stdin.buffer, header)
        if strength < 1:
            blocks, original = tee(blocks)
            enhanced = mixed(_through(live, blocks), original, strength)
        else:
            enhanced = _through(live, blocks)
        try:
            write_stream(sys.stdout.buffer, header, enhanced)
        except AudioError as error:
            report.failed(error, line)
        else:
            report.finished(live.duration_s, line)
    return report.failures


def _through(live: "Live", blocks: Iterator[Samples]) -> Iterator[Samples]:
    for block in blocks:
        yield live.process(block.T).T
    if not live.duration_s:
        raise AudioError("stdin holds no samples", "at least one")
    yield live.finish().T
