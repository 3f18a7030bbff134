"""Waveform in, enhanced waveform out, by ONNX Runtime: any length, sample rate and channels."""

import io
import operator
from collections.abc import Callable, Iterator, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from speechduet.audio import Samples
from speechduet.audio.notices import Notify, warn
from speechduet.audio.recording import Recording, check_strength, mixed
from speechduet.audio.waveform import Waveform, columns_of, like, rate_of
from speechduet.backend.per_program import PerProgram
from speechduet.enhancement.noise import Complexes, NoiseField
from speechduet.enhancement.recordings import check_finite, enhanced_recording, recording_for
from speechduet.enhancement.rewriting import Progress, rewrite_file
from speechduet.enhancement.segments import Segmentation, segment_frames
from speechduet.errors import ModelError, SettingError
from speechduet.extras import missing
from speechduet.onnx.description import NOISE, Description, Plan, Run

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

LONGEST_SEGMENT_S = 86_400.0

Draw = Callable[[int, int], Complexes]
"""Standard complex normal numbers ``[batch, 1, bins, frames]`` (total variance 1): of the draw with
this number, for so many frames."""


class Enhancer:
    """An exported model that enhances recordings, as `speechduet.Enhancer` does with PyTorch.

    ``folder`` was made by ``speechduet export --onnx``. ``threads`` is how many ONNX Runtime uses,
    None as many as there are cores; ``segment_s`` is the length in seconds up to which a recording
    is enhanced in one piece, and of the segments into which a longer one is cut. Each program is
    loaded when a mode first needs it. Calls from several threads are safe.

    Raises ModelError for a folder without a model, SettingError for unusable settings or where
    ONNX Runtime is missing.
    """

    def __init__(
        self, folder: str | Path, threads: int | None = None, segment_s: float = 16.0
    ) -> None:
        if threads is not None and threads < 1:
            raise SettingError(f"{threads} threads", "at least 1")
        if not 1 <= segment_s <= LONGEST_SEGMENT_S:
            expected = f"at least 1 s and at most {LONGEST_SEGMENT_S:g} s"
            raise SettingError(f"segments of {segment_s} s", expected)
        self._folder, self._threads = Path(folder), threads
        self.description = Description.read(self._folder)
        self.spectrogram = transform = self.description.spectrogram
        frames_per_s = transform.sample_rate / transform.hop
        multiple = self.description.frame_multiple
        self._segment_frames, self._overlap_frames = segment_frames(
            segment_s, frames_per_s, multiple
        )
        self._session = PerProgram(self._start)

    def sampling(self, mode: str = "balanced") -> Plan:
        """What a mode (fast, balanced, best) does; SettingError if the model lacks it."""
        modes = self.description.modes
        if mode not in modes:
            raise SettingError(
                f"model {self.description.name} has no mode {mode!r}", "one of " + ", ".join(modes)
            )
        return modes[mode]

    def __call__(
        self,
        waveform: Waveform,
        sample_rate: int,
        mode: str = "balanced",
        *,
        strength: float = 1.0,
        seed: int = 0,
    ) -> Waveform:
        """Enhance a waveform ``[samples]`` or ``[channels, samples]``; the same comes back.

        Same type, shape, dtype, sample rate and level; every channel is enhanced on its own.
        ``strength`` mixes the enhanced speech (1) with the input (0).

        Raises AudioError for unusable samples, SettingError for unusable settings.
        """
        plan = self.sampling(mode)
        check_strength(strength)
        columns = columns_of(waveform)
        recording = recording_for(self.spectrogram, [columns], rate_of(sample_rate), io.BytesIO())
        enhanced = self.enhanced(recording, plan, seed)
        return like(waveform, np.concatenate(list(mixed(enhanced, iter([columns]), strength))))

    def enhanced(self, recording: Recording, plan: Plan, seed: int = 0) -> Iterator[Samples]:
        """Enhance a recording of any length: blocks ``[samples, channels]`` at its own rate."""
        hop = self.spectrogram.hop
        field = NoiseField(seed, self.spectrogram.bins)

        def enhance(noisy: Samples, starts: Sequence[int]) -> Samples:
            def draw(number: int, frames: int) -> Complexes:
                return field.batch(number, [start // hop for start in starts], frames)

            return self.enhance_piece(noisy, plan, draw)

        cut = Segmentation.plan(recording.length, hop, self._segment_frames, self._overlap_frames)
        return enhanced_recording(recording, cut, 1, enhance)

    def enhance_piece(self, noisy: Samples, plan: Plan, draw: Draw) -> Samples:
        """Waveforms ``[batch, samples]`` of peak 1 at the model's rate -> enhanced, in one go."""
        framings = []
        for offset in plan.offsets:
            framed = np.pad(noisy, ((0, 0), (offset, 0)))
            y = self.spectrogram.encode(framed)
            beyond = -y.shape[-1] % self.description.frame_multiple
            y = np.pad(y, ((0, 0), (0, 0), (0, 0), (0, beyond)))
            result = carried_out(plan, y, draw, self._evaluate)
            framings.append(self.spectrogram.decode(result, framed.shape[-1])[:, offset:])
        enhanced: Samples = np.mean(framings, axis=0)
        check_finite(enhanced)
        return enhanced

    def _evaluate(self, step: Run, inputs: Sequence[Complexes]) -> list[Complexes]:
        """The outputs of a program."""
        parts = [part for value in inputs for part in (value.real, value.imag)]
        given = {"spectrograms": np.concatenate(parts, axis=1)}
        if step.t is not None:
            given["t"] = np.full(len(inputs[0]), step.t, np.float32)
        session = self._session(step.run)
        try:
            outputs = session.run(None, given)
        except _failures() as error:
            raise self._damaged(step.run, error) from None
        made = (len(inputs[0]), 2, *inputs[0].shape[2:])
        if [output.shape for output in outputs] != [made] * len(step.make):
            raise self._damaged(step.run, "it makes something else than it should")
        return [output[:, :1] + np.complex64(1j) * output[:, 1:] for output in outputs]

    def _start(self, program: str) -> "InferenceSession":
        try:
            from onnxruntime import InferenceSession, SessionOptions
        except ImportError as error:
            raise missing(error, "onnxruntime") from None
        options = SessionOptions()
        options.intra_op_num_threads = self._threads or 0
        # Its threads wait asleep: the cores are other programs' as well.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            return InferenceSession(
                self._path(program), options, providers=["CPUExecutionProvider"]
            )
        except _failures() as error:
            raise self._damaged(program, error) from None

    def _path(self, program: str) -> Path:
        # By its name alone: a description must not lead out of its folder.
        return self._folder / Path(self.description.programs[program]).name

    def _damaged(self, program: str, reason: object) -> ModelError:
        return ModelError(
            f"{self._path(program)} is missing or damaged ({' '.join(str(reason).split())})",
            "the file as it was exported",
            "export it again",
        )


def _failures() -> tuple[type[Exception], ...]:
    """How ONNX Runtime says that it cannot load or run a file."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    return (
        *(state.Fail, state.InvalidArgument, state.InvalidGraph, state.InvalidProtobuf),
        *(state.NoSuchFile, state.NotImplemented, state.RuntimeException),
    )


def carried_out(
    plan: Plan,
    y: Complexes,
    draw: Draw,
    evaluate: Callable[[Run, Sequence[Complexes]], Sequence[Complexes]],
) -> Complexes:
    """What a plan makes of noisy spectrograms ``[batch, 1, bins, frames]``."""
    values = {"y": y}

    def value(name: str) -> Complexes:
        number = name.removeprefix(NOISE)
        return draw(int(number), y.shape[-1]) if number.isdecimal() else values[name]

    for step, forgotten in zip(plan.steps, plan.forgotten, strict=True):
        if isinstance(step, Run):
            inputs = map(value, step.inputs)
            values.update(zip(step.make, evaluate(step, [*inputs]), strict=True))
        else:
            weighted = (np.complex64(weight) * value(name) for name, weight in step.of.items())
            # In place: they are as large as all that a segment is, and many.
            values[step.make] = reduce(operator.iadd, weighted)
        for name in forgotten:
            values.pop(name, None)
    return value(plan.result)


def enhance_file(
    source: str | Path,
    target: str | Path,
    enhancer: Enhancer,
    mode: str = "balanced",
    *,
    strength: float = 1.0,
    seed: int = 0,
    salvage: bool = False,
    notify: Notify = warn,
    progress: Progress | None = None,
) -> float:
    """Enhance a recording from disk to disk, and return its duration in seconds.

    As `speechduet.enhance_file` does, of and to what libsndfile can read and write. Raises
    AudioError, SettingError or ModelError, and then leaves nothing behind.
    """
    plan = enhancer.sampling(mode)
    return rewrite_file(
        Path(source),
        Path(target),
        partial(recording_for, enhancer.spectrogram),
        partial(enhancer.enhanced, plan=plan, seed=seed),
        strength=strength,
        salvage=salvage,
        notify=notify,
        progress=progress,
    )
