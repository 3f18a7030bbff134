"""Any samples, rate and number of channels: a result as long and as finite, or an error."""

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.files import enhance_file
from speechduet.errors import AudioError, SpeechduetError

RATES = (1, 2, 7, 100, 999, 4000, 8000, 11_025, 16_000, 44_100, 48_000, 96_000, 192_000, 384_000)
LONGEST_S = 0.5
MOST_VALUES = 12_000
SUBTYPES = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW")
DTYPES = ("float16", "float32", "float64", "int8", "int16", "int32", "int64")
CONTENTS = (
    "noise",
    "silence",
    "click",
    "direct",
    "full",
    "denormal",
    "tiny",
    "loud",
    "alternating",
)


@pytest.fixture(scope="module")
def enhancer(tiny_model: Path) -> Enhancer:
    return Enhancer.from_pretrained(str(tiny_model))


def samples_of(content: str, length: int, channels: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    samples = np.zeros((length, channels))
    if content == "noise":
        samples = rng.uniform(-0.5, 0.5, samples.shape)
    elif content == "click" and length:
        samples[length // 2, channels - 1] = 1.0
    elif content == "alternating":
        samples[::2], samples[1::2] = 1.0, -1.0
    else:
        level = {"direct": 0.3, "full": -1.0, "denormal": 1e-40, "tiny": 1e-30, "loud": 1e4}
        samples += level.get(content, 0.0)
    return samples


@st.composite
def recordings(draw: st.DrawFn) -> tuple[np.ndarray, int]:
    rate = draw(st.sampled_from(RATES) | st.integers(1, 384_000))
    # Each channel is enhanced by itself: seconds of all of them together are what takes time.
    channels = min(draw(st.sampled_from([1, 1, 2, 6, 64]) | st.integers(1, 64)), max(1, rate // 8))
    most = min(MOST_VALUES // channels, max(2, math.ceil(LONGEST_S * rate / channels)))
    length = draw(st.sampled_from([0, 1, 2, most]) | st.integers(0, most))
    content = draw(st.sampled_from(CONTENTS))
    return samples_of(content, length, channels, draw(st.integers(0, 9))), rate


QUICK = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@QUICK
@given(
    recordings(),
    st.sampled_from(SUBTYPES),
    st.sampled_from(["fast", "balanced"]),
    st.sampled_from([1.0, 0.5]),
)
def test_from_file_to_file(
    enhancer: Enhancer,
    recording: tuple[np.ndarray, int],
    subtype: str,
    mode: str,
    strength: float,
) -> None:
    samples, rate = recording
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.wav"), Path(folder, "out.wav")
        soundfile.write(source, samples, rate, subtype)
        notes: list[str] = []
        if not len(samples):
            with pytest.raises(AudioError, match="no samples"):
                enhance_file(source, target, enhancer, mode, notify=notes.append)
            assert not target.exists()
            return
        enhance_file(source, target, enhancer, mode, strength=strength, notify=notes.append)
        enhanced, enhanced_rate = soundfile.read(target, always_2d=True)
        assert (enhanced.shape, enhanced_rate) == (samples.shape, rate)
        assert soundfile.info(target).subtype == subtype
        assert np.isfinite(enhanced).all()
        if not soundfile.read(source)[0].any() and subtype != "ULAW":
            assert not enhanced.any()


@QUICK
@given(
    recordings(),
    st.sampled_from([math.nan, math.inf, -math.inf]),
    st.floats(0, 1, exclude_max=True),
)
def test_what_is_no_number_is_named(
    enhancer: Enhancer, recording: tuple[np.ndarray, int], bad: float, place: float
) -> None:
    samples, rate = recording
    if not samples.size:
        return
    index = int(place * samples.size)
    samples.reshape(-1)[index] = bad
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in.wav"), Path(folder, "out.wav")
        soundfile.write(source, samples, rate, "FLOAT")
        with pytest.raises(AudioError, match=f"sample {index // samples.shape[1]} of .*in.wav is"):
            enhance_file(source, target, enhancer, "fast")
        assert not target.exists()
    with pytest.raises(AudioError, match="is NaN or infinite|transpose it"):
        enhancer(samples.T, rate, mode="fast")


@QUICK
@given(recordings(), st.sampled_from(DTYPES), st.booleans(), st.sampled_from(["fast", "best"]))
def test_arrays_and_tensors(
    enhancer: Enhancer, recording: tuple[np.ndarray, int], dtype: str, tensor: bool, mode: str
) -> None:
    samples, rate = recording
    waveform: Any = samples.T
    if dtype.startswith("int"):
        waveform = np.clip(waveform, -1, 1) * np.iinfo(dtype).max * 0.99
    waveform = np.ascontiguousarray(waveform).astype(dtype)
    if tensor:
        waveform = torch.from_numpy(waveform)
    try:
        enhanced = enhancer(waveform, rate, mode=mode)
    except SpeechduetError as error:
        assert not samples.size or samples.shape[1] > 8 > samples.shape[0], error
        return
    assert type(enhanced) is type(waveform)
    assert enhanced.shape == waveform.shape and enhanced.dtype == waveform.dtype
    assert np.isfinite(np.asarray(enhanced)).all()


@pytest.mark.parametrize("peak", [1e-45, 1e-38, 1e29, 1e31, 3.4e38])
def test_the_ends_of_what_floats_can_hold(
    tmp_path: Path, enhancer: Enhancer, rng: np.random.Generator, peak: float
) -> None:
    samples = (peak * rng.uniform(-1, 1, 800)).astype(np.float32)
    soundfile.write(tmp_path / "in.wav", samples, 8000, "FLOAT")
    try:
        enhance_file(tmp_path / "in.wav", tmp_path / "out.wav", enhancer, "fast")
    except SpeechduetError as error:
        assert peak > 1e30 and "is beyond 1e+30; expected finite samples" in str(error)
        assert not (tmp_path / "out.wav").exists()
    else:
        enhanced, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
        assert peak < 1e30 and len(enhanced) == 800 and np.isfinite(enhanced).all()
