"""Recordings from stdin and to stdout: WAV as it comes, all else by way of temporary files."""

import os
import shutil
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from itertools import chain, tee
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, BinaryIO

from speechduet.audio import Samples
from speechduet.audio.folders import is_folder
from speechduet.audio.recording import check_strength, mixed
from speechduet.audio.tracks import check_track
from speechduet.audio.wav_arrival import read_samples
from speechduet.audio.wav_stream import WavHeader, is_file, read_header, write_stream
from speechduet.cli import streams
from speechduet.cli.batch import enhance_files
from speechduet.cli.progress import BatchProgress
from speechduet.cli.targets import is_pattern
from speechduet.cli.usage import STREAM
from speechduet.enhancement.arrivals import Arrivals
from speechduet.enhancement.pace import Pace
from speechduet.errors import AudioError, SettingError

if sys.platform != "win32":
    from fcntl import ioctl
    from termios import FIONREAD

if TYPE_CHECKING:
    from speechduet.enhancement.enhancer import Enhancer
    from speechduet.enhancement.live import Live

_PIECE = 1 << 16
_STDIN = (STREAM, "/dev/stdin", "/dev/fd/0", "/proc/self/fd/0")
_STDOUT = (STREAM, "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def concerns_stream(inputs: list[str], output: str) -> bool:
    """Whether what is asked for reads or writes a stream, by whatever name."""
    return output in _STDOUT or any(map(_is_stream, inputs))


def _is_stream(name: str) -> bool:
    """Whether a name stands for stdin, or is a pipe (as of a process substitution)."""
    path = Path(name)
    return name in _STDIN or path.is_fifo() or path.is_char_device()


def enhance_stream(
    inputs: list[str],
    output: str,
    container: str | None,
    overwrite: bool,
    latency_s: float | None,
    clocked: bool | None,
    load: Callable[[], "Enhancer"],
    request: dict[str, Any],
    verbose: bool = False,
    quiet: bool = False,
) -> int:
    """Enhance from stdin or to stdout; return the number of failures.

    Who pipes WAV through is given sound while it comes, ``latency_s`` late; ``clocked`` says
    whether its source cannot wait (see `Pace`). Another container, or a confidence map, needs the
    whole recording.
    """
    if len(inputs) > 1:
        raise SettingError(f"a stream (-) among {len(inputs)} inputs", "one input or output")
    (name,) = inputs
    output = STREAM if output in _STDOUT else output
    if output == STREAM:
        streams.check_open()
    if name in _STDIN and sys.stdin is None:  # Python has none if the caller has closed it.
        raise AudioError("stdin is closed", "a stream to read")
    if not _is_stream(name):
        if output == STREAM and (is_folder(Path(name)) or is_pattern(name)):
            raise SettingError(f"{name}, which may be several recordings, to a stream", "one file")
        _check_unstreamed(latency_s, clocked)
        return _enhance_whole(
            None, name, output, container, overwrite, load, request, verbose, quiet
        )
    label = "stdin" if name in _STDIN else name
    with _opened(name) as stream:
        header, read = None, b""
        if output == STREAM and container in (None, "wav") and request["confidence"] is None:
            header, read = read_header(stream)
        if header is not None:
            return _enhance_live(stream, label, header, latency_s, clocked, load, request, quiet)
        _check_unstreamed(latency_s, clocked)
        rest = chain([read], iter(lambda: stream.read(_PIECE), b""))
        return _enhance_whole(
            rest, label, output, container, overwrite, load, request, verbose, quiet
        )


@contextmanager
def _opened(name: str) -> Iterator[BinaryIO]:
    if name in _STDIN:
        yield sys.stdin.buffer
        return
    if Path(name).is_char_device():
        # It may have no end (/dev/zero), and nobody keeps a recording there.
        raise AudioError(f"{name} is a device", "a file, a folder or a pipe")
    with ExitStack() as opened:
        try:
            stream = opened.enter_context(Path(name).open("rb"))
        except OSError as error:
            raise AudioError(f"cannot read {name}: {error.strerror or error}") from error
        yield stream


def _check_unstreamed(latency_s: float | None, clocked: bool | None) -> None:
    """Raise SettingError if a latency or a pace is asked for where there is none."""
    for name, value in (("latency", latency_s), ("live source", clocked)):
        if value is not None:
            raise SettingError(
                f"a {name} for what is not streamed",
                "WAV (PCM or float) from stdin to WAV on stdout",
            )


def _enhance_whole(
    read: Iterable[bytes] | None,
    name: str,
    output: str,
    container: str | None,
    overwrite: bool,
    load: Callable[[], "Enhancer"],
    request: dict[str, Any],
    verbose: bool,
    quiet: bool,
) -> int:
    """Enhance what was ``read``, or a file, by way of files; return the number of failures."""
    with TemporaryDirectory() as folder:
        source, target = Path(folder, "stdin"), Path(folder, f"stdout.{container or 'wav'}")
        aliases = {str(source): name, str(target): "stdout"}
        if read is not None:
            with source.open("wb") as file:
                file.writelines(read)
        inputs = [name if read is None else str(source)]
        place = str(target) if output == STREAM else output
        failures = enhance_files(
            *(inputs, place, container, overwrite, 1, load, request, verbose, aliases),
            quiet=quiet,
        )
        if output == STREAM and not failures:
            with target.open("rb") as file:
                shutil.copyfileobj(file, sys.stdout.buffer)
            sys.stdout.buffer.flush()
    return failures


def _enhance_live(
    stream: BinaryIO,
    label: str,
    header: WavHeader,
    latency_s: float | None,
    clocked: bool | None,
    load: Callable[[], "Enhancer"],
    request: dict[str, Any],
    quiet: bool,
) -> int:
    from speechduet.enhancement.live import LATENCY_S

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
    output = sys.stdout.buffer
    if clocked is None and is_file(output):
        clocked = False  # Nobody listens while it is written.
    pace = Pace(live.levels, live.latency_s, clocked, begun_s=_begun_s())
    arrivals = Arrivals(pace, header.sample_rate, partial(_unread_s, output, header))
    with BatchProgress(1, quiet=quiet) as report:
        report.tell(enhancer.backend)
        report.tell(f"enhanced while it comes, at most {live.latency_s:.2f} s late")
        line = report.begin(Path(label))
        blocks = read_samples(
            stream, header, salvage=request["salvage"], notify=report.say, name=label
        )
        try:
            check_track(Path(label), 1, request["track"])
            enhanced = _enhanced(live, arrivals, label, strength)
            write = partial(write_stream, output, header, enhanced, notify=report.say)
            _pass_on(blocks, arrivals, write)
        except AudioError as error:
            report.failed(error, line)
        else:
            report.finished(live.duration_s, line)
        if account := pace.counters.account():
            report.say(account)
    return report.failures


def _pass_on(blocks: Iterator[Samples], arrivals: Arrivals, write: Callable[[], None]) -> None:
    """Receive blocks here, and let another thread enhance and write what has arrived.

    A reader or a model that is slow would otherwise hold up a source that cannot wait. Raises what
    either raises.
    """

    def work() -> None:
        try:
            write()
        finally:
            arrivals.close()

    # Not in a context: it would wait for a write that may last for ever, even if interrupted.
    pool = ThreadPoolExecutor(1)
    writing = pool.submit(work)
    failure = None
    try:
        for block in blocks:
            arrivals.put(block)
            arrivals.wait_for_room()
            if arrivals.closed:
                break
    except AudioError as error:
        failure = error
    arrivals.close(failure)
    writing.result()


def _begun_s() -> float:
    """When this process began, by the monotonic clock, as far as that can be known.

    A source that began with it has had the time of all imports, and then sends so much at once.
    """
    with suppress(OSError, ValueError, IndexError, AttributeError):
        status = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
        ticks = int(status.rpartition(")")[2].split()[19])
        age_s = time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK")
        return time.monotonic() - age_s
    return time.monotonic()


def _unread_s(output: BinaryIO, header: WavHeader) -> float:
    """Seconds of sound that wait in a pipe for who reads it; 0 where that cannot be known."""
    if sys.platform == "win32":
        return 0.0
    waiting = array("i", [0])
    with suppress(OSError, ValueError):
        ioctl(output.fileno(), FIONREAD, waiting)
    return waiting[0] / header.sample_bytes / header.sample_rate


def _enhanced(live: "Live", arrivals: Arrivals, label: str, strength: float) -> Iterator[Samples]:
    def paced() -> Iterator[Samples]:
        for block in arrivals:
            live.level = arrivals.pace.level
            yield block

    if strength == 1:
        return _through(live, paced(), label)
    blocks, original = tee(paced())
    return mixed(_through(live, blocks, label), original, strength)


def _through(live: "Live", blocks: Iterator[Samples], label: str) -> Iterator[Samples]:
    failure = None
    try:
        for block in blocks:
            yield live.process(block.T).T
    except AudioError as error:
        # What came before the stream broke off is given out all the same.
        failure = error
    if live.duration_s:
        yield live.finish().T
    if failure is not None:
        raise failure
    if not live.duration_s:
        raise AudioError(f"{label} holds no samples", "at least one")
