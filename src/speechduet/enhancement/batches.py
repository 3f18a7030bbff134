"""Segments of recordings through a system in batches, on its device and with its threads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from torch import Tensor

from speechduet.audio import Samples
from speechduet.audio.recording import Recording
from speechduet.backend.threads import threads
from speechduet.enhancement.confidence import DisagreementMap, disagreement
from speechduet.enhancement.noise import NoiseField
from speechduet.enhancement.piece import enhance_piece, reverse_steps
from speechduet.enhancement.segments import Segmentation
from speechduet.errors import SettingError
from speechduet.network.system import System
from speechduet.sampler import Draw, Sampling, Step
from speechduet.spectrogram import Spectrogram


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

    def draws(self, field: NoiseField, starts: Sequence[int], noise: Draw | None) -> Draw:
        """Draws one after another for a batch of segments that start at these samples."""
        if noise is not None:
            return lambda shape: noise(shape).to(self.device)
        return field.draws([start // self.spectrogram.hop for start in starts], self.device)

    @torch.inference_mode()
    def enhance(
        self, noisy: Samples, sampling: Sampling, draws: Callable[[], Draw]
    ) -> tuple[Samples, Tensor | None]:
        """Segments ``[batch, samples]`` of peak 1 -> enhanced, and where the decoders disagree.

        ``draws`` is called once for each framing, and the first framing is where they are compared.
        """
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
            enhanced: Samples = clean.cpu().numpy()
        if not np.isfinite(enhanced).all():
            raise SettingError(
                "the reverse process left all bounds",
                "settings with which it converges",
                "take fewer corrector steps, a lower corrector_snr, or the mode's own settings",
            )
        return enhanced, compared

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

    def segments(
        self,
        recording: Recording,
        plan: Segmentation,
        sampling: Sampling,
        field: NoiseField,
        noise: Draw | None,
        disagreements: DisagreementMap | None,
    ) -> Iterator[Samples]:
        """The enhanced segments ``[channels, length]`` of a recording in order."""
        segment = np.zeros((recording.channels, plan.length), np.float32)
        audible = [int(channel) for channel in np.flatnonzero(recording.peaks)]
        if not audible:
            # Silence stays silence, and never reaches the network.
            yield from (segment for _ in plan.starts)
            return
        jobs = [(start, channel) for start in plan.starts for channel in audible]
        one_piece = noise is not None and len(plan.starts) == 1
        size = len(audible) if one_piece else self.size
        for first in range(0, len(jobs), size):
            batch = jobs[first : first + size]
            starts = [start for start, _ in batch]
            noisy = [recording.read(start, start + plan.length)[c] for start, c in batch]
            peaks = np.array([[recording.peaks[c]] for _, c in batch])
            draws = partial(self.draws, field, starts, noise)
            clean, compared = self.enhance(np.stack(noisy) / peaks, sampling, draws)
            if disagreements is not None and compared is not None:
                disagreements.add(starts, compared)
            for (_, channel), piece in zip(batch, clean * peaks, strict=True):
                segment[channel] = piece
                if channel == audible[-1]:
                    yield segment
                    segment = np.zeros_like(segment)
