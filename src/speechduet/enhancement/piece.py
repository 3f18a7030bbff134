"""One piece of sound through the reverse process: framing, padding, transform, and back.

The enhancer, validation during training and the sweeps all enhance by these functions.
"""

from collections.abc import Callable, Iterator, Sequence
from itertools import count

import numpy as np
import torch
from torch import Tensor

from speechduet.audio import Samples
from speechduet.audio.offset import centred
from speechduet.enhancement.confidence import confidence
from speechduet.enhancement.noise import NoiseField
from speechduet.network.system import System
from speechduet.sampler import Draw, Sampling, Step, fuse, reverse
from speechduet.spectrogram import Spectrogram

ResultOf = Callable[[Step, int], Tensor]
"""Called with every reverse step and the number of its framing; what it returns for a framing's
last step, compressed spectrograms ``[results, 1, bins, frames]``, becomes sound."""


def last_result(step: Step, framing: int) -> Tensor:
    """The result of a step: the `ResultOf` that enhances."""
    return step.result


def reverse_steps(
    system: System, spectrogram: Spectrogram, noisy: Tensor, sampling: Sampling, draw: Draw
) -> Iterator[Step]:
    """Each reverse step of waveforms ``[batch, samples]`` of peak 1.

    The waveforms are first extended to `Spectrogram.covering`, and their frames are padded with
    zeros to a multiple of the network's, as SGMSE+ does. With ``sampling.faithful`` the last step's
    result leans on the predictive estimate and on the input where it is least sure.
    """
    y = spectrogram.encode(extended(noisy, spectrogram.covering(noisy.shape[-1])))
    y = torch.nn.functional.pad(y, (0, -y.shape[-1] % system.frame_multiple))
    last = max(sampling.steps, 1) - 1
    for step in reverse(system, system.process, y, sampling, draw):
        yield _faithful(step, y, spectrogram, sampling.faithful) if step.number == last else step


def _faithful(step: Step, y: Tensor, spectrogram: Spectrogram, share: float) -> Step:
    """The step with a result that leans on the predictive estimate and the input."""
    if not share:
        return step
    safe = y if step.predictive is None else (step.predictive + y) / 2
    sure = confidence(spectrogram, step.result, y)
    return step._replace(result=fuse(step.result, safe, 1 - share * (1 - sure)))


def enhance_piece(
    system: System,
    spectrogram: Spectrogram,
    noisy: Tensor,
    sampling: Sampling,
    draws: Callable[[], Draw],
    result_of: ResultOf = last_result,
) -> Tensor:
    """Waveforms ``[batch, samples]`` of peak 1 -> ``[results, samples]``, the mean of all framings.

    ``draws`` is called once for each framing.
    """
    framings = []
    for framing, offset in enumerate(spectrogram.framing_offsets(sampling.framings)):
        framed = torch.nn.functional.pad(noisy, (offset, 0))
        for step in reverse_steps(system, spectrogram, framed, sampling, draws()):
            result = result_of(step, framing)
        framings.append(spectrogram.decode(result, framed.shape[-1])[:, offset:])
    return torch.stack(framings).mean(0)


@torch.inference_mode()
def enhance_whole(
    system: System,
    spectrogram: Spectrogram,
    noisy: Samples,
    sampling: Sampling,
    seed: int = 0,
    result_of: ResultOf = last_result,
) -> Samples:
    """A waveform ``[samples]`` at the model's rate -> ``[results, samples]``, in one piece.

    The result is that of `Enhancer`, if the waveform fits one segment. Silence stays silence.
    """
    columns = noisy[:, None]
    if not spectrogram.published:
        columns = centred(columns, spectrogram.sample_rate)
    peak = np.abs(columns).max(initial=0)
    device = next(system.parameters()).device
    scaled = torch.from_numpy(columns.T / (peak or np.float32(1))).to(device)
    field = NoiseField(seed, spectrogram.bins)

    def draws() -> Draw:
        return draws_of(field, [0], device)

    made = enhance_piece(system, spectrogram, scaled, sampling, draws, result_of)
    enhanced: Samples = made.cpu().numpy() * peak
    return enhanced


def draws_of(field: NoiseField, starts: Sequence[int], device: torch.device) -> Draw:
    """The draws for a batch of segments that start at these frames, one after another."""
    numbers = count()
    return lambda shape: torch.from_numpy(field.batch(next(numbers), starts, shape[-1])).to(device)


def extended(waveform: Tensor, length: int) -> Tensor:
    """Waveforms ``[..., samples]`` continued to a length by their own mirror image."""
    samples = waveform.shape[-1]
    period = max(2 * samples - 2, 1)
    place = torch.arange(length, device=waveform.device) % period
    return waveform[..., torch.minimum(place, period - place)] if length > samples else waveform
