"""Waveform in, enhanced waveform out: any length, sample rate and number of channels."""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Le

from speechduet.audio import Samples
from speechduet.audio.notices import Notify, once, warn
from speechduet.audio.recording import Recording, check_strength, mixed
from speechduet.audio.waveform import Waveform, columns_of, like, rate_of
from speechduet.backend import BackendName, BackendPrecision
from speechduet.backend.choice import choose, find_device
from speechduet.enhancement.batches import Batches
from speechduet.enhancement.confidence import DisagreementMap
from speechduet.enhancement.live import LATENCY_S, Live
from speechduet.enhancement.noise import NoiseField
from speechduet.enhancement.recordings import enhanced_recording, recording_for
from speechduet.enhancement.segments import Segmentation, segment_frames
from speechduet.errors import SettingError
from speechduet.model.find import load_any
from speechduet.model.folder import Pretrained, save
from speechduet.model.hub import publish
from speechduet.network.cost import evaluations
from speechduet.sampler import Draw, Sampling, Step
from speechduet.sampling import SettingValue
from speechduet.settings import BatchSize, Settings, check_names


@dataclass(frozen=True)
class _Work(Settings):
    """How an enhancer goes about its work; None leaves it to the device."""

    threads: Annotated[int, Ge(1), Le(1024)] | None
    segment_s: Annotated[float, Ge(1), Le(86_400)]
    batch_size: BatchSize | None


class Enhancer:
    """A model, on a device, that enhances recordings.

    ``segment_s`` is the length in seconds up to which a recording is enhanced in one piece, and
    of the segments into which a longer one is cut; ``batch_size`` counts segments enhanced at
    once (default 1 on a CPU, 8 elsewhere). Both bound the memory. ``threads`` is how many threads
    PyTorch uses while something is enhanced.

    ``backend`` and ``precision`` say what evaluates the network; `Enhancer.backend` is a line that
    tells what was chosen, and why. Calls from several threads are safe with each of them. The given
    model stays as and where it is; several enhancers of it share the weights on one device.
    """

    def __init__(
        self,
        pretrained: Pretrained,
        device: str = "auto",
        threads: int | None = None,
        segment_s: float = 16.0,
        batch_size: int | None = None,
        backend: BackendName = "auto",
        precision: BackendPrecision = "auto",
    ) -> None:
        work = _Work(threads, segment_s, batch_size)
        self.device = find_device(device)
        self.pretrained = pretrained
        self.spectrogram = pretrained.spectrogram
        system = pretrained.system.placed(self.device)
        bins = self.spectrogram.bins
        chosen = choose(system, self.device, backend, precision, bins, work.threads)
        self.backend = chosen.description
        self.system = system.evaluated_by(chosen.backend)
        size = work.batch_size or (1 if self.device.type == "cpu" else 8)
        self._batches = Batches(self.system, self.spectrogram, self.device, size, work.threads)
        self._segment_frames, self._overlap_frames = segment_frames(
            work.segment_s,
            self.spectrogram.sample_rate / self.spectrogram.hop,
            self.system.frame_multiple,
        )

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: str | Path | None = None,
        device: str = "auto",
        threads: int | None = None,
        segment_s: float = 16.0,
        batch_size: int | None = None,
        backend: BackendName = "auto",
        precision: BackendPrecision = "auto",
        *,
        revision: str | None = None,
    ) -> "Enhancer":
        """An enhancer with the bundled model, or one of one's own.

        That is a model folder, a checkpoint of SGMSE+ or StoRM (.ckpt), or a model of the Hugging
        Face Hub, ``org/name``, at a ``revision`` (branch, tag or commit) if one is given.
        ``device``: auto, cpu, cuda, cuda:1, mps, ... Raises ModelError or SettingError.
        """
        model = load_any(name_or_path, revision)
        return cls(model, device, threads, segment_s, batch_size, backend, precision)

    def save_pretrained(self, folder: str | Path) -> None:
        """Write the model as a model folder, whatever it was loaded from. Raises ModelError."""
        save(self.pretrained, folder)

    def push_to_hub(
        self,
        name: str,
        *,
        private: bool | None = None,
        commit_message: str = "Upload a model of speechduet",
        token: str | None = None,
    ) -> str:
        """Publish the model on the Hugging Face Hub as ``org/name``; the address of the commit.

        The repository is made if it is not there; ``private`` None is what the organisation does.
        Without ``token`` it is that of ``hf auth login`` or HF_TOKEN. Raises ModelError.
        """
        return publish(self.pretrained, name, private, commit_message, token)

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
        check_names(changed, (member.name for member in fields(Sampling)))
        sampling = replace(modes[mode], **changed)
        try:
            self.system.layout.check_sampling(sampling)
        except SettingError as error:
            raise SettingError(f"model {self.pretrained.name}: {error}") from None
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
        recording = recording_for(self.spectrogram, [columns], rate_of(sample_rate), io.BytesIO())
        enhanced = self.enhanced(recording, sampling, seed, noise)
        return like(waveform, np.concatenate(list(mixed(enhanced, iter([columns]), strength))))

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

        A `Step` has the time, the state, its mean, and the estimates of the decoders that were
        evaluated: compressed spectrograms ``[channels, 1, bins, frames]`` of the waveform divided
        by its peak, their frames padded as the network needs it.
        ``enhancer.spectrogram.decode`` makes them audible. Of several framings it is the first.
        """
        sampling = self.sampling(mode, **expert)
        columns = columns_of(waveform)
        recording = recording_for(self.spectrogram, [columns], rate_of(sample_rate), io.BytesIO())
        scales: Samples = np.where(recording.peaks > 0, recording.peaks, np.float32(1))
        noisy = recording.read(0, recording.length) / scales[:, None]
        draw = self._batches.draws(self._noise(seed), [0] * len(noisy), noise)
        yield from self._batches.steps(noisy, sampling, draw)

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

        Its levels are the mode, *fast* if that takes fewer evaluations, and ``input``.

        Raises SettingError for unusable settings, of which one is a latency that is too short.
        """
        sampling = self.sampling(mode, **expert)
        batches, field, notify = self._batches, self._noise(seed), once(warn, "the stream")

        def enhance(sampling: Sampling, noisy: Samples, start: int) -> Samples:
            return batches.enhance(noisy, sampling, [start] * len(noisy), field, notify)[0]

        fast = self.pretrained.modes.get("fast")
        layout = self.system.layout
        cheaper = {}
        if mode != "fast" and fast and evaluations(layout, fast) < evaluations(layout, sampling):
            cheaper["fast"] = partial(enhance, fast)
        return Live(
            partial(enhance, sampling),
            *(self.spectrogram, rate_of(sample_rate), channels, latency_s, mode, cheaper),
        )

    def segmentation(self, recording: Recording) -> Segmentation:
        """How a recording is cut: in one piece if it fits a segment."""
        return self.plan(recording.length)

    def plan(self, samples: int) -> Segmentation:
        """How so many samples at the model's rate are cut."""
        return Segmentation.plan(
            samples, self.spectrogram.hop, self._segment_frames, self._overlap_frames
        )

    @property
    def batch_size(self) -> int:
        """How many segments are enhanced at once."""
        return self._batches.size

    def enhanced(
        self,
        recording: Recording,
        sampling: Sampling,
        seed: int = 0,
        noise: Draw | None = None,
        disagreements: DisagreementMap | None = None,
        notify: Notify = warn,
    ) -> Iterator[Samples]:
        """Enhance a recording of any length: blocks ``[samples, channels]`` at its own rate.

        Where the decoders disagree is added to ``disagreements``, if given; ``notify`` learns if
        something was done in another way than asked: see `Batches.enhance`.
        """
        plan, field, batches = self.segmentation(recording), self._noise(seed), self._batches
        tell = once(notify, recording.name)

        def enhance(noisy: Samples, starts: Sequence[int]) -> Samples:
            clean, compared = batches.enhance(noisy, sampling, starts, field, tell, noise)
            if disagreements is not None and compared is not None:
                disagreements.add(starts, compared)
            return clean

        one_piece = noise is not None and len(plan.starts) == 1
        size = recording.channels if one_piece else batches.size
        return enhanced_recording(recording, plan, size, enhance)

    def _noise(self, seed: int) -> NoiseField:
        return NoiseField(seed, self.spectrogram.bins)
