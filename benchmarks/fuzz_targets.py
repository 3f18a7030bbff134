"""What a fuzzer feeds: each target takes the bytes of one input, and a folder to write to.

A target returns, or raises a SpeechduetError inside, which it takes for an answer. Every other
exception is a fault, and so are a hang and more memory than the fuzzer grants.
"""

import io
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from speechduet.audio import Samples, probe, read_blocks, target_format, write_blocks
from speechduet.audio.tags import read_tags
from speechduet.audio.wav_arrival import read_samples
from speechduet.audio.wav_stream import read_header, write_stream
from speechduet.bulk.rows import rows_of
from speechduet.data.pairs import check, find_pairs
from speechduet.errors import SpeechduetError
from speechduet.model.folder import CONFIG, WEIGHTS, load
from speechduet.model.upstream import released
from speechduet.training.recipe_file import read_recipe

Target = Callable[[bytes, Path], None]

SPLIT = b"\n--- weights ---\n"
"""Between the two files of a model folder in one input."""
_MOST_VALUES = 4_000_000
"""Of a recording that a small input has become: what comes behind is not looked at."""
_OUTPUTS = ("wav", "flac", "ogg", "aiff", "caf", "w64")


def audio(data: bytes, folder: Path) -> None:
    """A recording, read as it is and salvaged, with its tags, and written anew."""
    path = folder / "input.bin"
    path.write_bytes(data)
    for salvage in (False, True):
        with suppress(SpeechduetError):
            audio_format = probe(path)
            blocks = read_blocks(path, salvage=salvage, notify=_one_line)
            target = folder / f"output.{_OUTPUTS[len(data) % len(_OUTPUTS)]}"
            write_blocks(
                *(target, target_format(audio_format, target), _beginning(blocks)),
                source=audio_format,
                tags=read_tags(path),
                notify=_one_line,
                verbose=True,
            )


def pipe(data: bytes, folder: Path) -> None:
    """WAV from a pipe, read while it comes and written to another."""
    stream = io.BufferedReader(_Trickle(data))
    header, read = read_header(stream)
    if header is None:
        assert data.startswith(read)
        return
    for salvage in (False, True):
        stream = io.BufferedReader(_Trickle(data))
        read_header(stream)
        blocks = read_samples(stream, header, salvage=salvage, notify=_one_line)
        with suppress(SpeechduetError):
            write_stream(io.BytesIO(), header, _beginning(blocks), notify=_one_line)


def model(data: bytes, folder: Path) -> None:
    """A model folder."""
    config, _, weights = data.partition(SPLIT)
    (folder / CONFIG).write_bytes(config)
    (folder / WEIGHTS).write_bytes(weights)
    with suppress(SpeechduetError):
        load(folder)


def checkpoint(data: bytes, folder: Path) -> None:
    """A checkpoint: the file itself, and what is no archive as the pickle within a whole one."""
    path = folder / "input.ckpt"
    path.write_bytes(data)
    with suppress(SpeechduetError):
        released.load(path)
    if not data.startswith(b"PK"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("a/data.pkl", data)
            archive.writestr("a/data/0", bytes(64))
        with suppress(SpeechduetError):
            released.load(path)


def manifest(data: bytes, folder: Path) -> None:
    """Lists of recordings in every form that training and bulk enhancement take."""
    for name in ("list.csv", "list.jsonl", "list.tar", "clean.scp", "noisy.scp"):
        (folder / name).write_bytes(data)
    for name in ("list.csv", "list.jsonl", "list.tar", ""):
        with suppress(SpeechduetError):
            for pair in find_pairs(folder / name)[:2]:
                check(pair)
    for name in ("list.csv", "list.jsonl"):
        with suppress(SpeechduetError):
            list(rows_of(str(folder / name), str(folder / "out"), None, _no_name))


def recipe(data: bytes, folder: Path) -> None:
    """A training recipe."""
    path = folder / "recipe.yaml"
    path.write_bytes(data)
    with suppress(SpeechduetError):
        read_recipe(path)


TARGETS: dict[str, Target] = {
    target.__name__: target for target in (audio, pipe, model, checkpoint, manifest, recipe)
}


class _Trickle(io.RawIOBase):
    """Bytes that come a few at a time, as through a pipe."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._rest = memoryview(data)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(buffer)  # type: ignore[arg-type]
        piece, self._rest = self._rest[: min(len(view), 1000)], self._rest[1000:]
        view[: len(piece)] = piece
        return len(piece)


def _one_line(text: str) -> None:
    assert text and "\n" not in text


def _no_name(_: object) -> list[Path]:
    return []


def _beginning(blocks: Iterable[Samples]) -> Iterator[Samples]:
    values = 0
    for block in blocks:
        assert block.ndim == 2
        yield block
        values += block.size
        if values > _MOST_VALUES:
            return
