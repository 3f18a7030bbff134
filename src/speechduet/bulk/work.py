"""One recording after another through a model that stays loaded: what a worker does."""

import math
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from speechduet.attempt import Attempt
from speechduet.audio import Samples, read_blocks
from speechduet.audio.folders import check_inside
from speechduet.audio.recording import Recording, mixed
from speechduet.backend import BackendName, BackendPrecision
from speechduet.bulk.ledger import Record
from speechduet.bulk.places import (
    is_written,
    joined,
    local_path,
    make_spool,
    publish,
    readable,
    room_in,
)
from speechduet.bulk.rows import Row
from speechduet.enhancement.confidence import MeanConfidence
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.recordings import recording_for
from speechduet.enhancement.rewriting import rewrite_file
from speechduet.files.partial import unfinished_folder
from speechduet.model.find import load_any
from speechduet.model.folder import Pretrained
from speechduet.sampling import SettingValue


@dataclass(frozen=True)
class Request:
    """What is asked of each recording, and with what model on what machine."""

    model: str | None = None
    device: str = "auto"
    threads: int = 1
    segment_s: float = 16.0
    batch_size: int | None = None
    backend: BackendName = "auto"
    precision: BackendPrecision = "auto"
    mode: str = "balanced"
    strength: float = 1.0
    seed: int = 0
    track: int | None = None
    salvage: bool = False
    expert: dict[str, SettingValue] = field(default_factory=dict)

    def enhancer(self) -> Enhancer:
        """The model on its device. Raises ModelError or SettingError."""
        enhancer = Enhancer.from_pretrained(
            *(self.model, self.device, self.threads, self.segment_s, self.batch_size),
            *(self.backend, self.precision),
        )
        enhancer.sampling(self.mode, **self.expert)
        return enhancer

    def check(self) -> str:
        """The hash of the model, which may have no device here.

        Raises ModelError or SettingError for what no worker could do.
        """
        pretrained = load_any(self.model)
        Enhancer(pretrained, "cpu", self.threads).sampling(self.mode, **self.expert)
        return hash_of_weights(pretrained)


def hash_of_weights(pretrained: Pretrained) -> str:
    """16 hexadecimal digits that no other weights have."""
    digest = sha256()
    for name, tensor in sorted(pretrained.system.state_dict().items()):
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(tensor.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()[:16]


class Worker:
    """A loaded model, and the folder where copies of what is not local lie for a moment."""

    def __init__(self, request: Request, output: str, spool: Path, tries: int) -> None:
        self.request = request
        self._output = output
        self._spool = spool
        self._tries = tries
        self._enhancer = request.enhancer()
        self._sampling = self._enhancer.sampling(request.mode, **request.expert)
        pretrained = self._enhancer.pretrained
        self.model_hash = hash_of_weights(pretrained)
        self._made_by = _MadeBy(request.mode, pretrained.name, self.model_hash)
        make_spool(spool)

    def enhance(self, row: Row, overwrite: bool = False) -> Record:
        """Enhance a recording into its result, unless that is there."""
        target = joined(self._output, row.output)
        path, out = local_path(target), local_path(self._output)
        with Attempt(target) as looked:
            if path is not None and out is not None:
                check_inside(path.parent, out)
            if not overwrite and is_written(target):
                return Record(*row, "found")
        if looked.failure:
            return Record(*row, "failed", error=looked.failure)
        if path is not None:
            return self.tried(row, path)
        with (
            Attempt(target) as kept,
            room_in(self._spool),
            unfinished_folder(self._spool) as folder,
        ):
            # Some stores take longer names than file systems do.
            result = folder / f"result{PurePosixPath(row.output).suffix}"
            return self.tried(row, result, place=target)
        return Record(*row, "failed", error=kept.failure)

    def tried(self, row: Row, target: Path, place: str | None = None) -> Record:
        """Enhance into a local file, and upload that to a place; again if something unforeseen
        (a store that does not answer, say) comes between, up to the number of tries.
        """
        for number in range(1, self._tries + 1):
            begun = time.perf_counter()
            copy = ""
            with Attempt(row.source) as attempt:
                with readable(row.source, self._spool) as source, self._room_for(target):
                    copy = str(source)
                    measured = self._rewrite(source, target, row.source)
                if place is not None:
                    publish(target, place)
                taken_s = time.perf_counter() - begun
                return replace(
                    Record(*row, "done", seconds_taken=taken_s, tries=number),
                    **measured._asdict(),
                    **self._made_by._asdict(),
                )
            # What has no traceback is wrong with the recording, and stays so.
            if not attempt.trace or number == self._tries:
                break
            time.sleep(min(2.0**number, 30))
        error = attempt.failure.replace(copy, row.source) if copy else attempt.failure
        failed = Record(*row, "failed", tries=number, error=error)
        return replace(failed, **self._made_by._asdict())

    def _room_for(self, target: Path) -> AbstractContextManager[None]:
        """What says that the spool is full, if the target lies there and it is."""
        return room_in(self._spool) if self._spool in target.parents else nullcontext()

    def _rewrite(self, source: Path, target: Path, name: str) -> "_Measured":
        """Enhance a local file into another; what was measured on the way."""
        request, enhancer = self.request, self._enhancer
        before, after, notes, kept = _Level(), _Level(), list[str](), list[Recording]()
        confidences: list[MeanConfidence] = []

        def keep(blocks: Iterable[Samples], rate: int, storage: Any, _: str) -> Recording:
            transform = enhancer.spectrogram
            kept.append(recording_for(transform, before.of(blocks), rate, storage, name))
            return kept[0]

        def enhance(recording: Recording) -> Iterator[Samples]:
            confidences.append(MeanConfidence(recording.sample_rate))
            read = partial(read_blocks, source, track=request.track, salvage=request.salvage)
            blocks = enhancer.enhanced(recording, self._sampling, request.seed)
            compared = confidences[0].of(blocks, read(notify=lambda _: None))
            # Mixed here and not by `rewrite_file`, so that the level is that of the result.
            original = read(notify=lambda _: None)
            return after.of(mixed(compared, original, request.strength))

        duration_s = rewrite_file(
            *(source, target, keep, enhance),
            track=request.track,
            salvage=request.salvage,
            notify=notes.append,
        )
        return _Measured(
            duration_s,
            *(kept[0].sample_rate, kept[0].channels),
            *(confidences[0].mean, before.decibels, after.decibels),
            " | ".join(notes).replace(str(source), name) or None,
        )


class _MadeBy(NamedTuple):
    mode: str
    model: str
    model_hash: str


class _Measured(NamedTuple):
    duration_s: float
    sample_rate: int
    channels: int
    mean_confidence: float | None
    level_before_db: float | None
    level_after_db: float | None
    notes: str | None


class _Level:
    """The level of blocks that pass."""

    def __init__(self) -> None:
        self._power, self._count = 0.0, 0

    def of(self, blocks: Iterable[Samples]) -> Iterator[Samples]:
        """The blocks as they are, while they are measured."""
        for block in blocks:
            self._power += float(np.square(block, dtype=np.float64).sum())
            self._count += block.size
            yield block

    @property
    def decibels(self) -> float | None:
        """The mean level, full scale 0; None of silence."""
        return 10 * math.log10(self._power / self._count) if self._power else None
