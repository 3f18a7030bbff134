"""Segments of recordings through a system in batches, on its device and with its threads."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from speechduet.audio import Samples
from speechduet.backend.threads import threads
from speechduet.enhancement.confidence import disagreement
from speechduet.enhancement.noise import NoiseField
from speechduet.enhancement.piece import draws_of, enhance_piece, reverse_steps
from speechduet.enhancement.recordings import check_bounded
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
        return draws_of(field, [start // self.spectrogram.hop for start in starts], self.device)

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
        check_bounded(enhanced)
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
