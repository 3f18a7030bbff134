"""Waveform in, enhanced waveform out: any length, sample rate and number of channels."""

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor

from speechduet.audio import Samples
from speechduet.audio.recording import Recording, check_strength, mixed
from speechduet.audio.waveform import Waveform, columns_of, like, rate_of
from speechduet.backend import BackendName, Precision
from speechduet.backend.choice import choose, find_device
from speechduet.enhancement.confidence import Comparison, disagreement
from speechduet.enhancement.live import LATENCY_S, Live
from speechduet.enhancement.piece import enhance_piece, reverse_steps
from speechduet.enhancement.segments import OVERLAP_S, NoiseField, Segmentation
from speechduet.errors import SettingError
from speechduet.model.find import load_any
from speechduet.model.folder import Pretrained
from speechduet.sampler import Draw, Sampling, Step
from speechduet.sampler.settings import SettingValue

LONGEST_SEGMENT_S = 86_400.0


class Enhancer:
    """A model, on a device, that enhances recordings.

    ``segment_s`` is the length in seconds up to which a recording is enhanced in one piece, and
    of the segments into which a longer one is cut; ``batch_size`` counts segments enhanced at
    once (default 1 on a CPU, 8 elsewhere). Both bound the memory. ``threads`` sets how many
    threads PyTorch uses in this process.

    ``backend`` and ``precision`` say what evaluates the network; `Enhancer.backend` is a line that
    tells what was chosen, and why. Calls from several threads are safe with each of them.
    """

    def __init__(
        self,
        pretrained: Pretrained,
        device: str = "auto",
        threads: int | None = None,
        segment_s: float = 16.0,
        batch_size: int | None = None,
        backend: BackendName = "auto",
        precision: Precision = "auto",
    ) -> None:
        if not 1 <= segment_s <= LONGEST_SEGMENT_S:
            expected = f"at least 1 s and at most {LONGEST_SEGMENT_S:g} s"
            raise SettingError(f"segments of {segment_s} s", expected)
        if batch_size is not None and batch_size < 1:
            raise SettingError(f"batch size {batch_size}", "at least 1")
        if threads is not None and threads < 1:
            raise SettingError(f"{threads} threads", "at least 1")
        if threads is not None:
            torch.set_num_threads(threads)
        self.device = find_device(device)
        self.pretrained = pretrained
        self.spectrogram = pretrained.spectrogram
        system = pretrained.system.to(self.device).eval()
        chosen = choose(system, self.device, backend, precision, self.spectrogram.bins, threads)
        self.backend = chosen.told
        # Only the backend is its own: another enhancer of this model may have another.
        self.system = copy(system)
        self.system.backend = chosen.backend
        self._batch_size = batch_size or (1 if self.device.type == "cpu" else 8)
        multiple = self.system.frame_multiple
        frames_per_s = self.spectrogram.sample_rate / self.spectrogram.hop
        self._segment_frames = multiple * max(1, round(segment_s * frames_per_s / multiple))
        self._overlap_frames = min(round(OVERLAP_S * frames_per_s), self._segment_frames // 4)

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path | None = None,
        device: str = "auto",
        threads: int | None = None,
        segment_s: float = 16.0,
        batch_size: int | None = None,
        backend: BackendName = "auto",
        precision: Precision = "auto",
    ) -> "Enhancer":
        """An enhancer with the bundled model, or one of one's own.

        That is a model folder, a checkpoint of SGMSE+ or StoRM (.ckpt), or a Hugging Face id.
        ``device``: auto, cpu, cuda, cuda:1, mps, ... Raises ModelError or SettingError.
        """
        model = load_any(name_or_path)
        return cls(model, device, threads, segment_s, batch_size, backend, precision)

    def sampling(self, mode: str = "balanced", **expert: SettingValue) -> Sampling:
        """The sampler settings of a mode (fast, balanced, best), some of them overridden.

        ``expert`` has fields of `Sampling`.

        Raises SettingError if the model lacks the mode or the decoders that the settings need.
        """
        modes = self.pretrained.modes
        if mode not in modes:
            raise SettingError(
                f"model {self.pretrained.name} has no mode {mode!r}", "one of " + ", ".join(modes)
            )
        changed: dict[str, Any] = dict(expert)
        if expert.get("grid") == "paper":
            # The only predictor that takes a step of 1/N, whichever the mode's own is.
            changed.setdefault("predictor", "euler_maruyama")
        sampling = replace(modes[mode], **changed)
        layout = self.system.layout
        if sampling.needs_predictive and layout.predictive == "none":
            raise SettingError(
                f"model {self.pretrained.name} has no predictive decoder",
                "steps of 1 or more, alpha and beta of 1, a start from the noisy speech",
            )
        if sampling.steps and not layout.generative:
            raise SettingError(
                f"model {self.pretrained.name} has no generative decoder",
                "steps 0",
                "use mode 'fast'",
            )
        return sampling

    def __call__(
        self,
        waveform: Waveform,
        sample_rate: int,
        mode: str = "balanced",
        *,
        strength: float = 1.0,
        seed: int = 0,
        noise: Draw | None = None,
        **expert: SettingValue,
    ) -> Waveform:
        """Enhance a waveform ``[samples]`` or ``[channels, samples]``; the same comes back.

        Same type, shape, dtype, device, sample rate and level; every channel is enhanced on its
        own. ``strength`` mixes the enhanced speech (1) with the input (0). ``noise(shape)`` takes
        the place of the seed: it gives standard complex normal numbers of total variance 1,
        ``[batch, 1, bins, frames]``, for each draw in order: prior, then per step corrector,
        predictor, and that for each framing. What fits one segment is drawn for as one piece with
        its channels as the batch, anything longer batch by batch.

        Raises AudioError for unusable samples, SettingError for unusable settings.
        """
        sampling = self.sampling(mode, **expert)
        check_strength(strength)
        columns = columns_of(waveform)
        recording = self.recording([columns], rate_of(sample_rate), io.BytesIO())
        enhanced = self.enhanced(recording, sampling, seed, noise)
        return like(waveform, np.concatenate(list(mixed(enhanced, iter([columns]), strength))))

    @torch.inference_mode()
    def stream(
        self,
        waveform: Waveform,
        sample_rate: int,
        mode: str = "balanced",
        *,
        seed: int = 0,
        noise: Draw | None = None,
        **expert: SettingValue,
    ) -> Iterator[Step]:
        """Each reverse step as it happens, of the whole waveform in one piece.

        A `Step` tells the time, the state, its mean, and the estimates of the decoders that were
        evaluated: compressed spectrograms ``[channels, 1, bins, frames]`` of the waveform divided
        by its peak, their frames padded as the network needs it.
        ``enhancer.spectrogram.decode`` makes them audible. Of several framings it is the first.
        """
        sampling = self.sampling(mode, **expert)
        columns = columns_of(waveform)
        recording = self.recording([columns], rate_of(sample_rate), io.BytesIO())
        scales: Samples = np.where(recording.peaks > 0, recording.peaks, np.float32(1))
        noisy = recording.read(0, recording.length) / scales[:, None]
        draw = self._draws(NoiseField(seed, self.spectrogram.bins), [0] * len(noisy), noise)
        waveforms = torch.from_numpy(noisy).to(self.device)
        yield from reverse_steps(self.system, self.spectrogram, waveforms, sampling, draw)

    def live(
        self,
        sample_rate: int,
        channels: int = 1,
        latency_s: float = LATENCY_S,
        mode: str = "fast",
        *,
        seed: int = 0,
        **expert: SettingValue,
    ) -> Live:
        """A stream to enhance block by block, at most ``latency_s`` behind its input; see `Live`.

        Raises SettingError for unusable settings, of which one is a latency that is too short.
        """
        sampling = self.sampling(mode, **expert)
        field = NoiseField(seed, self.spectrogram.bins)

        def enhance(noisy: Samples, start: int) -> Samples:
            starts = [start] * len(noisy)
            return self._enhance(noisy, sampling, lambda: self._draws(field, starts, None))[0]

        return Live(enhance, self.spectrogram, rate_of(sample_rate), channels, latency_s)

    def segmentation(self, recording: Recording) -> Segmentation:
        """How a recording is cut: in one piece if it fits a segment."""
        return Segmentation.plan(
            recording.length, self.spectrogram.hop, self._segment_frames, self._overlap_frames
        )

    def enhanced(
        self,
        recording: Recording,
        sampling: Sampling,
        seed: int = 0,
        noise: Draw | None = None,
        comparison: Comparison | None = None,
    ) -> Iterator[Samples]:
        """Enhance a recording of any length: blocks ``[samples, channels]`` at its own rate.

        ``comparison``, if given, learns where the decoders disagree.
        """
        plan = self.segmentation(recording)
        segments = self._segments(recording, plan, sampling, seed, noise, comparison)
        return recording.restored(block.T for block in plan.join(segments))

    def recording(
        self,
        blocks: Iterable[Samples],
        sample_rate: int,
        storage: BinaryIO,
        name: str = "the waveform",
    ) -> Recording:
        """Blocks ``[samples, channels]``, kept as this model reads them; see `Recording`."""
        transform = self.spectrogram
        model_rate, published = transform.sample_rate, transform.published
        return Recording(blocks, sample_rate, model_rate, storage, name, keep_offset=published)

    def _segments(
        self,
        recording: Recording,
        plan: Segmentation,
        sampling: Sampling,
        seed: int,
        noise: Draw | None,
        comparison: Comparison | None,
    ) -> Iterator[Samples]:
        """The enhanced segments ``[channels, length]`` in order, made in batches."""
        field = NoiseField(seed, self.spectrogram.bins)
        segment = np.zeros((recording.channels, plan.length), np.float32)
        audible = [int(channel) for channel in np.flatnonzero(recording.peaks)]
        if not audible:
            # Silence stays silence, and never reaches the network.
            yield from (segment for _ in plan.starts)
            return
        jobs = [(start, channel) for start in plan.starts for channel in audible]
        one_piece = noise is not None and len(plan.starts) == 1
        size = len(audible) if one_piece else self._batch_size
        for first in range(0, len(jobs), size):
            batch = jobs[first : first + size]
            starts = [start for start, _ in batch]
            noisy = [recording.read(start, start + plan.length)[c] for start, c in batch]
            peaks = np.array([[recording.peaks[c]] for _, c in batch])
            draws = partial(self._draws, field, starts, noise)
            clean, compared = self._enhance(np.stack(noisy) / peaks, sampling, draws)
            if comparison is not None and compared is not None:
                comparison.add(starts, compared)
            for (_, channel), piece in zip(batch, clean * peaks, strict=True):
                segment[channel] = piece
                if channel == audible[-1]:
                    yield segment
                    segment = np.zeros_like(segment)

    @torch.inference_mode()
    def _enhance(
        self, noisy: Samples, sampling: Sampling, draws: Callable[[], Draw]
    ) -> tuple[Samples, Tensor | None]:
        """Segments ``[batch, samples]`` of peak 1 -> enhanced, and where the decoders disagree.

        Of several framings each is drawn for anew, and the first is where they are compared.
        """
        compared = None

        def result_of(step: Step, framing: int) -> Tensor:
            nonlocal compared
            if step.generative is not None and step.predictive is not None and framing == 0:
                compared = disagreement(step.generative, step.predictive)
            return step.result

        waveforms = torch.from_numpy(noisy).to(self.device)
        clean = enhance_piece(self.system, self.spectrogram, waveforms, sampling, draws, result_of)
        return clean.cpu().numpy(), compared

    def _draws(self, field: NoiseField, starts: Sequence[int], noise: Draw | None) -> Draw:
        """Draws one after another for a batch of segments that start at these samples."""
        if noise is not None:
            return lambda shape: noise(shape).to(self.device)
        return field.draws([start // self.spectrogram.hop for start in starts], self.device)
