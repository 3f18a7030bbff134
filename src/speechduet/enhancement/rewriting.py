"""A recording from disk to disk through whatever enhances it, in bounded memory."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from speechduet.audio import Samples, probe, read_blocks, target_format
from speechduet.audio.notices import Notify, warn
from speechduet.audio.recording import Recording, check_strength, mixed
from speechduet.audio.tags import read_tags
from speechduet.audio.writing import write_blocks
from speechduet.errors import AudioError
from speechduet.files.atomic import check_replaceable, replacing_together

Progress = Callable[[float, float], None]
"""Called with the seconds that are done, and of how many; before the first are, with 0 and the
seconds that have been read. What it raises ends the work, and nothing is left behind."""

Keep = Callable[[Iterable[Samples], int, BinaryIO, str], Recording]
"""Makes a recording of blocks ``[samples, channels]``: their rate, where to keep them, its name."""

Beside = tuple[Path, Callable[[Path], None]]
"""A file that appears together with the target, and what writes it under a name of the moment."""


def rewrite_file(
    source: Path,
    target: Path,
    keep: Keep,
    enhance: Callable[[Recording], Iterator[Samples]],
    *,
    strength: float = 1.0,
    track: int | None = None,
    salvage: bool = False,
    notify: Notify = warn,
    verbose: bool = False,
    progress: Progress | None = None,
    beside: Beside | None = None,
) -> float:
    """Write an enhanced recording, and return its duration in seconds; see `enhance_file`.

    ``enhance`` gives blocks ``[samples, channels]`` at the recording's own rate. Raises AudioError
    or SettingError, and then leaves nothing behind.
    """
    check_strength(strength)
    check_replaceable(target, AudioError)
    source_format = probe(source, track=track)
    written_format = target_format(source_format, target)
    tags = read_tags(source, track=track)
    # Last comes the target, by which a batch knows that this recording is done.
    outputs = [target] if beside is None else [beside[0], target]
    with replacing_together(outputs, AudioError) as partials, _storage(target) as storage:
        blocks = read_blocks(source, track=track, salvage=salvage, notify=notify)
        rate = source_format.sample_rate
        recording = keep(_read(blocks, rate, progress), rate, storage, str(source))
        original = read_blocks(source, track=track, salvage=salvage, notify=lambda _: None)
        blocks = mixed(enhance(recording), original, strength)
        write_blocks(
            *(target, written_format, _watched(blocks, recording, progress), recording.samples),
            source=source_format,
            partial=partials[-1],
            tags=tags,
            notify=notify,
            verbose=verbose,
        )
        if beside is not None:
            beside[1](partials[0])
    return recording.duration_s


@contextmanager
def _storage(target: Path) -> Iterator[BinaryIO]:
    """A file beside the target, for /tmp may be small or in memory; it has no name to leave.

    Raises AudioError if it cannot be written, as on a full disk.
    """
    try:
        with TemporaryFile(dir=target.parent) as storage:
            yield storage
    except OSError as error:
        raise AudioError(f"cannot write {target}: {error.strerror or error}") from error


def _read(
    blocks: Iterable[Samples], sample_rate: int, progress: Progress | None
) -> Iterator[Samples]:
    read = 0
    for block in blocks:
        read += len(block)
        if progress is not None:
            progress(0.0, read / sample_rate)
        yield block


def _watched(
    blocks: Iterable[Samples], recording: Recording, progress: Progress | None
) -> Iterator[Samples]:
    done = 0
    for block in blocks:
        yield block
        done += len(block)
        if progress is not None:
            progress(done / recording.sample_rate, recording.duration_s)
