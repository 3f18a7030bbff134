"""Streams: the same time line, at most so far behind, and in the limit the whole recording."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechduet.audio import Samples
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.live import CONTEXT_S, LEVEL_S, LOOKAHEAD_S, Live, Window
from speechduet.errors import AudioError, SettingError
from speechduet.model.find import bundled
from speechduet.spectrogram import Spectrogram

RATE = 16_000
FRAME = 256
SPECTROGRAM = Spectrogram(hop=FRAME, published=True)
"""Direct current is left in, so that windows come out as they are; tests/test_edges.py has it."""


class Watched:
    """A way to enhance windows that keeps them as they came."""

    def __init__(self, sound: Any = lambda noisy, start: noisy) -> None:
        self.sound = sound
        self.windows: list[Samples] = []
        self.starts: list[int] = []

    def __call__(self, noisy: Samples, start: int) -> Samples:
        self.windows.append(noisy.copy())
        self.starts.append(start)
        return self.sound(noisy, start)


def smeared(noisy: Samples, start: int) -> Samples:
    """What depends on 2000 samples before and after."""
    sums = np.cumsum(np.pad(noisy.astype(np.float64), ((0, 0), (2001, 2000))), axis=1)
    return ((sums[:, 4001:] - sums[:, :-4001]) / 4001).astype(np.float32)


def noisy_speech(samples: int, channels: int | None = None) -> np.ndarray[Any, Any]:
    shape = samples if channels is None else (channels, samples)
    return np.random.default_rng(1).uniform(-0.5, 0.5, shape).astype(np.float32)


def streamed(live: Live, waveform: np.ndarray[Any, Any], size: int) -> np.ndarray[Any, Any]:
    """A waveform block by block through a stream, which must never fall behind its latency."""
    out = []
    given = 0
    for first in range(0, waveform.shape[-1], size):
        block = waveform[..., first : first + size]
        out.append(live.process(block))
        given += block.shape[-1]
        assert given - sum(piece.shape[-1] for piece in out) <= live.latency_samples
    return np.concatenate([*out, live.finish()], axis=-1)


# The time line


@settings(deadline=None, max_examples=40)
@given(
    samples=st.integers(0, 60_000),
    size=st.integers(1, 20_000),
    latency_s=st.floats(0.05, 5),
    channels=st.sampled_from([None, 1, 3]),
)
def test_windows_left_alone_join_to_the_input(
    samples: int, size: int, latency_s: float, channels: int | None
) -> None:
    waveform = noisy_speech(samples, channels)
    live = Live(Watched(), SPECTROGRAM, RATE, channels or 1, latency_s)
    out = streamed(live, waveform, max(size, samples // 200))
    if samples:
        assert out.shape == waveform.shape
        np.testing.assert_allclose(out, waveform, atol=1e-6)


@pytest.mark.parametrize("sample_rate", [8000, 22_255, 44_100, 96_000])
@pytest.mark.parametrize("size", [160, 50_000])
def test_any_rate(sample_rate: int, size: int) -> None:
    times = np.arange(sample_rate + 11) / sample_rate
    waveform = (0.4 * np.sin(600 * np.pi * np.array([[1], [2]]) * times)).astype(np.float32)
    live = Live(Watched(), SPECTROGRAM, sample_rate, 2, 0.5)
    assert live.latency_s <= 0.5
    out = streamed(live, waveform, size)
    assert out.shape == waveform.shape
    middle = slice(sample_rate // 10, -sample_rate // 10)
    np.testing.assert_allclose(out[:, middle], waveform[:, middle], atol=2e-3)


@pytest.mark.parametrize("samples", [1, 2, 100, 255, 256, 8001])
@pytest.mark.parametrize("sample_rate", [8000, 16_000, 44_100])
def test_short_streams(samples: int, sample_rate: int) -> None:
    live = Live(Watched(), SPECTROGRAM, sample_rate, 1, 0.5)
    assert streamed(live, noisy_speech(samples), samples).shape == (samples,)


def test_a_stream_of_nothing() -> None:
    watched = Watched()
    assert Live(watched, SPECTROGRAM, 44_100, 2).finish().shape == (2, 0)
    assert not watched.windows


@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
def test_the_size_of_blocks_does_not_matter(sample_rate: int) -> None:
    waveform = noisy_speech(3 * sample_rate, 2)
    one, *others = (
        streamed(Live(Watched(smeared), SPECTROGRAM, sample_rate, 2, 0.4), waveform, size)
        for size in (160, 1001, 3 * sample_rate)
    )
    for other in others:
        np.testing.assert_allclose(other, one, atol=1e-6)


@pytest.mark.parametrize("convert", [np.float64, np.int16, torch.tensor])
def test_the_same_kind_comes_back(convert: Any) -> None:
    waveform = convert(1000 * noisy_speech(20_000))
    live = Live(Watched(), SPECTROGRAM, RATE)
    pieces = [live.process(waveform[:3000]), live.process(waveform[3000:]), live.finish()]
    for piece in pieces:
        assert type(piece) is type(waveform) and piece.dtype == waveform.dtype
    joined = np.concatenate([np.asarray(piece) for piece in pieces])
    np.testing.assert_allclose(joined, np.asarray(waveform), atol=1)


# Windows


def test_a_window_holds_context_hop_and_look_ahead() -> None:
    watched = Watched()
    live = Live(watched, SPECTROGRAM, RATE, 1, 0.4)
    context, hop, lookahead = (FRAME * part for part in live.window)
    assert (hop + lookahead) / RATE == live.latency_s <= 0.4
    live.process(noisy_speech(10 * RATE))
    assert len(watched.windows) == (10 * RATE - lookahead) // hop
    # As many samples in each as in the first whole one, however long the stream.
    assert {window.shape[1] for window in watched.windows[context // hop + 1 :]} == {
        context + hop + lookahead
    }
    assert watched.starts[-1] == hop * (len(watched.windows) - 1) - context
    assert all(start % FRAME == 0 for start in watched.starts)


@pytest.mark.parametrize("latency_s", [0.016, 0.1, 0.5, 2.4, 2.5, 30.0])
def test_half_of_the_latency_is_look_ahead_up_to_a_bound(latency_s: float) -> None:
    context, hop, lookahead = Window.within(latency_s, 62.5)
    assert hop >= 1 and hop + lookahead == int(62.5 * latency_s)
    assert lookahead == min((hop + lookahead) // 2, round(62.5 * LOOKAHEAD_S))
    assert context == max(round(62.5 * CONTEXT_S), lookahead)


def test_with_enough_look_ahead_nothing_is_missing() -> None:
    waveform = noisy_speech(5 * RATE)
    whole = smeared(waveform[None], 0)[0]
    exact = streamed(Live(Watched(smeared), SPECTROGRAM, RATE, 1, 0.3), waveform, 999)
    np.testing.assert_allclose(exact, whole, atol=1e-6)
    hasty = streamed(Live(Watched(smeared), SPECTROGRAM, RATE, 1, 0.1), waveform, 999)
    assert np.abs(hasty - whole).max() > 1e-4


def test_windows_are_faded_into_each_other() -> None:
    signs = iter(np.tile([1.0, -1.0], 1000))
    live = Live(Watched(lambda x, start: np.full_like(x, next(signs))), SPECTROGRAM, RATE)
    out = streamed(live, np.ones(3 * RATE, np.float32), 1000)
    assert out.max() == pytest.approx(1) and out.min() == pytest.approx(-1)
    assert np.abs(np.diff(out)).max() < 0.02


def test_silence_never_reaches_the_network() -> None:
    watched = Watched(lambda x, start: np.ones_like(x))
    live = Live(watched, SPECTROGRAM, RATE, 2)
    assert not streamed(live, np.zeros((2, 2 * RATE), np.float32), 999).any()
    assert not watched.windows
    live = Live(watched, SPECTROGRAM, RATE, 2)
    half_silent = np.stack([np.zeros(2 * RATE, np.float32), noisy_speech(2 * RATE)])
    out = streamed(live, half_silent, 999)
    assert not out[0].any() and out[1].any()
    assert {len(window) for window in watched.windows} == {1}


def test_windows_are_scaled_by_the_largest_magnitude_so_far() -> None:
    watched = Watched()
    waveform = np.full(5 * RATE, 0.1, np.float32)
    waveform[3 * RATE] = -0.5
    live = Live(watched, SPECTROGRAM, RATE)
    streamed(live, waveform, 777)
    peaks = [np.abs(window).max() for window in watched.windows]
    assert all(peak == pytest.approx(1) for peak in peaks[:3])
    assert watched.windows[-1].max() == pytest.approx(0.2)


def test_a_bang_is_forgotten_in_the_end() -> None:
    watched = Watched()
    waveform = np.full(round((LEVEL_S + 6) * RATE), 0.1, np.float32)
    waveform[RATE] = 1
    streamed(Live(watched, SPECTROGRAM, RATE, 1, 2.0), waveform, RATE)
    levels = [window.max() for window in watched.windows]
    assert levels[len(levels) // 2] == pytest.approx(0.1)
    assert levels[-1] == pytest.approx(1)


# A model


@pytest.fixture(scope="module")
def tiny(tiny_model: Path) -> Enhancer:
    return Enhancer.from_pretrained(tiny_model)


@pytest.mark.parametrize("mode", ["fast", "balanced"])
@pytest.mark.parametrize("sample_rate", [16_000, 44_100])
def test_a_latency_beyond_the_end_gives_what_the_whole_recording_gives(
    tiny: Enhancer, mode: str, sample_rate: int
) -> None:
    waveform = noisy_speech(sample_rate, 2)
    live = tiny.live(sample_rate, 2, 3.0, mode, seed=7)
    out = streamed(live, waveform, 1000)
    np.testing.assert_allclose(out, tiny(waveform, sample_rate, mode, seed=7), atol=3e-5)


def test_a_look_ahead_as_far_as_the_model_sees_gives_it_too() -> None:
    if not bundled():
        pytest.skip("needs the bundled model")
    model = Enhancer.from_pretrained()
    waveform = noisy_speech(5 * RATE)
    # The loudest sample comes first, so that the levels agree.
    waveform[0] = 0.6
    whole = model(waveform, RATE, "fast")
    largest = np.abs(whole).max()

    def difference(latency_s: float) -> float:
        out = streamed(model.live(RATE, 1, latency_s), waveform, 4000)
        return float(np.abs(out - whole).max() / largest)

    assert difference(0.3) > 1e-2
    assert difference(2.5 * LOOKAHEAD_S) < 5e-5


# Wrong usage


@pytest.mark.parametrize(
    ("stream", "message"),
    [
        ({"latency_s": 0.01}, r"a latency of 0.01 s at 16000 Hz; expected at least 0.016 s"),
        ({"sample_rate": 8000, "latency_s": 0.1}, r"at 8000 Hz; expected at least 0.2\d\d s"),
        ({"latency_s": -1.0}, "a latency of -1.0 s"),
        ({"sample_rate": 0}, "1 channels at 0 Hz; expected at least"),
        ({"channels": 0}, "0 channels at 16000 Hz"),
    ],
)
def test_streams_that_cannot_be(stream: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Live(Watched(), SPECTROGRAM, **{"sample_rate": RATE, **stream})


def test_blocks_that_cannot_be() -> None:
    live = Live(Watched(), SPECTROGRAM, RATE, 2)
    waveform = noisy_speech(RATE, 2)
    first = live.process(waveform[:, :100])
    with pytest.raises(AudioError, match="sample 103 of the stream is NaN or infinite"):
        live.process(np.array([[0, 0, 0, 0], [0, 0, 0, np.nan]]))
    with pytest.raises(AudioError, match="a block of 3 channels; expected the 2 of the stream"):
        live.process(np.zeros((3, 5)))
    out = np.concatenate([first, live.process(waveform[:, 100:]), live.finish()], axis=1)
    np.testing.assert_allclose(out, waveform, atol=1e-6)
    with pytest.raises(AudioError, match="the stream is finished; begin another"):
        live.process(waveform)
