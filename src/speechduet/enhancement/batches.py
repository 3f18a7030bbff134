"""Segments of recordings through a system in batches, on its device and with its threads."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from speechduet.audio import Samples
from speechduet.audio.notices import Notify
from speechduet.backend.threads import threads
from speechduet.enhancement.confidence import DisagreementMap, disagreement
from speechduet.enhancement.noise import NoiseField
from speechduet.enhancement.piece import draws_of, enhance_piece, reverse_steps
from speechduet.enhancement.recordings import bounded, check_finite
from speechduet.enhancement.segments import Segmentation, segment_frames
from speechduet.errors import SpeechduetError
from speechduet.network.system import System
from speechduet.sampler import Draw, Sampling, Step
from speechduet.spectrogram import Spectrogram

PREDICTED = (
    "the reverse process left all bounds; where it did, the predictive estimate is taken (modes "
    "with fewer corrector steps or a lower corrector_snr converge)"
)
SHORTENED = (
    "memory ran out; less is enhanced at a time, which is slower (smaller segments or batches from "
    "the beginning avoid that)"
)
LEAST_S = 1.0
"""Segments that were shortened for want of memory are no shorter than that."""
_OUT_OF_MEMORY = re.compile("out of memory|not enough memory|allocate|bad_alloc|ALLOC_FAILED", re.I)

Enhanced = tuple[Samples, Tensor | None]
"""Segments ``[batch, samples]``, and where the decoders disagree: ``[batch, bins, frames]``."""


@dataclass(frozen=True)
class Batches:
    """A system that enhances ``size`` segments at once on a device.

    ``threads`` is how many PyTorch uses meanwhile; None leaves them as they are.
    """

    system: System
    spectrogram: Spectrogram
    device: torch.device
    size: int
    threads: int | None

    def draws(self, field: NoiseField, starts: Sequence[int], noise: Draw | None = None) -> Draw:
        """Draws one after another for a batch of segments that start at these samples."""
        if noise is not None:
            return lambda shape: noise(shape).to(self.device)
        return draws_of(field, [start // self.spectrogram.hop for start in starts], self.device)

    def enhance(
        self,
        noisy: Samples,
        sampling: Sampling,
        starts: Sequence[int],
        field: NoiseField,
        notify: Notify,
        noise: Draw | None = None,
    ) -> Enhanced:
        """Segments ``[batch, samples]`` of peak 1 that start at these samples -> enhanced.

        The first framing is where the decoders are compared. If memory runs out, less is enhanced
        at a time; where the reverse process diverges, the predictive decoder, if there is one, has
        the last word; ``notify`` learns of both. Given ``noise``, whose draws have a fixed order,
        neither happens.

        Raises SettingError for a result that is not finite, SpeechduetError if memory is too small.
        """
        draws = partial(self.draws, field, starts, noise)
        if noise is not None:
            clean, compared = self._enhanced(noisy, sampling, draws)
            check_finite(clean)
            return clean, compared
        try:
            clean, compared = self._enhanced(noisy, sampling, draws)
        except (MemoryError, RuntimeError) as error:
            if not isinstance(error, MemoryError) and not _OUT_OF_MEMORY.search(str(error)):
                raise
            found = None
        else:
            found = clean, compared
        if found is None:
            # Not where the error is held, whose frames hold what takes the memory.
            notify(SHORTENED)
            return self._in_parts(noisy, sampling, starts, field, notify)
        self._predict_diverged(noisy, clean, sampling, starts, field, notify)
        return found

    @torch.inference_mode()
    def steps(self, noisy: Samples, sampling: Sampling, draw: Draw) -> Iterator[Step]:
        """Each reverse step of one batch ``[batch, samples]`` of peak 1."""
        waveforms = torch.from_numpy(noisy).to(self.device)
        steps = reverse_steps(self.system, self.spectrogram, waveforms, sampling, draw)
        while True:
            # Not while a step is looked at, which may take the caller any time.
            with threads(self.threads):
                step = next(steps, None)
            if step is None:
                return
            yield step

    @torch.inference_mode()
    def _enhanced(self, noisy: Samples, sampling: Sampling, draws: Callable[[], Draw]) -> Enhanced:
        compared = None

        def result_of(step: Step, framing: int) -> Tensor:
            nonlocal compared
            if step.generative is not None and step.predictive is not None and framing == 0:
                compared = disagreement(step.generative, step.predictive)
            return step.result

        with threads(self.threads):
            waveforms = torch.from_numpy(noisy).to(self.device)
            clean = enhance_piece(
                self.system, self.spectrogram, waveforms, sampling, draws, result_of
            )
            return clean.cpu().numpy(), compared

    def _predict_diverged(
        self,
        noisy: Samples,
        clean: Samples,
        sampling: Sampling,
        starts: Sequence[int],
        field: NoiseField,
        notify: Notify,
    ) -> None:
        """Put the predictive estimate where the reverse process has left all bounds."""
        diverged = np.flatnonzero(~bounded(clean)).tolist()
        if not diverged:
            return
        predicts = bool(sampling.steps) and self.system.layout.predictive != "none"
        if predicts:
            draws = partial(self.draws, field, [starts[index] for index in diverged])
            predicting = Sampling(steps=0, framings=sampling.framings)
            clean[diverged] = self._enhanced(noisy[diverged], predicting, draws)[0]
        check_finite(clean)
        if predicts:
            notify(PREDICTED)

    def _in_parts(
        self,
        noisy: Samples,
        sampling: Sampling,
        starts: Sequence[int],
        field: NoiseField,
        notify: Notify,
    ) -> Enhanced:
        """The same in two batches, or in shorter segments that see the same noise."""
        if len(noisy) > 1:
            half = len(noisy) // 2
            parts = [
                self.enhance(noisy[part], sampling, starts[part], field, notify)
                for part in (slice(half), slice(half, None))
            ]
            maps = [compared for _, compared in parts if compared is not None]
            joined = np.concatenate([clean for clean, _ in parts])
            return joined, torch.cat(maps) if maps else None
        plan = self._shorter(noisy.shape[1])
        compared: list[Tensor] = []

        def piece(start: int) -> Samples:
            part = noisy[:, start : start + plan.length]
            part = np.pad(part, ((0, 0), (0, plan.length - part.shape[1])))
            clean, found = self.enhance(part, sampling, [starts[0] + start], field, notify)
            compared.extend([] if found is None else [found.cpu()])
            return clean

        clean = np.concatenate(list(plan.join(map(piece, plan.starts))), axis=1)
        if not compared:
            return clean, None
        whole = DisagreementMap(plan, self.spectrogram, 1)
        for start, found in zip(plan.starts, compared, strict=True):
            whole.add([start], found)
        return clean, torch.from_numpy(whole.map[None])

    def _shorter(self, samples: int) -> Segmentation:
        """About half as long segments; SpeechduetError if they are as short as they may be."""
        rate, hop = self.spectrogram.sample_rate, self.spectrogram.hop
        frames, overlap = segment_frames(samples / 2 / rate, rate / hop, self.system.frame_multiple)
        plan = Segmentation.plan(samples, hop, frames, overlap)
        if samples < 2 * LEAST_S * rate or plan.length >= samples:
            raise SpeechduetError(
                f"memory ran out, even for {samples / rate:.1f} s at a time",
                remedy="free some memory, or take a smaller model",
            )
        return plan
