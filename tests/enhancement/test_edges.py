"""Ends of recordings, and direct current: what no frame covers well, and what is no sound."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.piece import extended
from speechduet.metrics import si_sdr
from speechduet.spectrogram import Spectrogram

RATE = 16_000
MODES = ("fast", "balanced", "best")


@pytest.fixture(scope="module")
def enhancer() -> Enhancer:
    return Enhancer.from_pretrained(device="cpu")


@pytest.fixture(scope="module")
def noisy(root: Path) -> np.ndarray:
    return soundfile.read(root / "samples/noisy/cafe.flac", dtype="float32")[0]


@pytest.fixture(scope="module")
def clean(root: Path) -> np.ndarray:
    return soundfile.read(root / "samples/clean/cafe.flac", dtype="float32")[0]


def overlap(transform: Spectrogram, samples: int, covering: int) -> np.ndarray:
    """Sum of squared windows over each sample, of all frames of the covering length."""
    half = transform.n_fft // 2
    window = torch.hann_window(transform.n_fft, periodic=True).numpy() ** 2
    total = np.zeros(covering + transform.n_fft)
    for frame in range(transform.frames(covering)):
        total[frame * transform.hop : frame * transform.hop + transform.n_fft] += window
    return total[half : half + samples]


@given(st.integers(600, 2_000), st.sampled_from([(510, 128), (510, 256), (62, 16), (62, 32)]))
def test_every_sample_after_the_first_frames_lies_under_full_overlap(
    samples: int, lengths: tuple[int, int]
) -> None:
    transform = Spectrogram(n_fft=lengths[0], hop=lengths[1])
    covering = transform.covering(samples)
    assert covering >= samples
    inside = slice(transform.n_fft // 2, None)
    np.testing.assert_allclose(
        overlap(transform, samples, covering)[inside],
        overlap(transform, samples, covering + 4 * transform.n_fft)[inside],
    )


def test_covering_adds_no_frame_without_need() -> None:
    """Fewer would leave a sample behind; the published code adds none."""
    transform = Spectrogram(hop=256)
    assert [transform.covering(n) for n in (1, 255, 256, 257, 512)] == [256, 256, 256, 512, 512]
    assert [Spectrogram().covering(n) for n in (1, 128, 129, 256)] == [128, 256, 256, 384]
    published = Spectrogram(published=True)
    assert [published.covering(n) for n in (1, 200, 256)] == [1, 200, 256]


@given(st.integers(1, 40), st.integers(0, 200))
def test_a_waveform_goes_on_as_its_mirror_image(samples: int, more: int) -> None:
    waveform = torch.randn(2, samples)
    longer = extended(waveform, samples + more)
    expected = np.pad(waveform.numpy(), ((0, 0), (0, more)), mode="reflect")
    np.testing.assert_array_equal(longer.numpy(), expected)


@pytest.mark.parametrize("mode", MODES)
@settings(max_examples=12, deadline=None)
@given(st.integers(0, 255))
def test_no_length_ends_in_a_spike(
    enhancer: Enhancer, noisy: np.ndarray, mode: str, extra: int
) -> None:
    piece = noisy[: 15 * 1024 + extra]
    enhanced = enhancer(piece, RATE, mode=mode)
    assert np.abs(enhanced[-300:]).max() < 1.2 * np.abs(piece[-600:]).max()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("samples", [1, 2, 17, 128, 250, 255, 256, 257, 300, 511, 513, 767])
def test_the_shortest_recordings_have_no_spike_either(
    enhancer: Enhancer, noisy: np.ndarray, mode: str, samples: int
) -> None:
    piece = noisy[20_000 : 20_000 + samples]
    enhanced = enhancer(piece, RATE, mode=mode)
    assert enhanced.shape == piece.shape
    assert np.abs(enhanced).max() <= 1.2 * np.abs(piece).max()


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100, 48_000])
@pytest.mark.parametrize("extra", [64, 192, 250, 255])
def test_nor_do_other_rates(enhancer: Enhancer, noisy: np.ndarray, rate: int, extra: int) -> None:
    from speechduet.audio.resampling import resampled

    samples = round((30_000 // 256 * 256 + extra) * rate / RATE)
    columns = noisy[:32_000, None]
    piece = np.concatenate(list(resampled([columns], RATE, rate)))[:samples, 0]
    enhanced = enhancer(piece, rate, mode="balanced")
    end = round(0.02 * rate)
    assert np.abs(enhanced[-end:]).max() < 1.2 * np.abs(piece[-2 * end :]).max()


@pytest.mark.parametrize("mode", ["fast", "balanced"])
@settings(max_examples=10, deadline=None)
@given(st.integers(0, 255), st.sampled_from([0.1, 0.5, 1.0]))
def test_a_live_stream_ends_without_one(
    enhancer: Enhancer, noisy: np.ndarray, mode: str, extra: int, latency_s: float
) -> None:
    piece = noisy[: 15 * 1024 + extra]
    live = enhancer.live(RATE, latency_s=latency_s, mode=mode)
    enhanced = np.concatenate([live.process(piece), live.finish()])
    assert enhanced.shape == piece.shape
    assert np.abs(enhanced[-300:]).max() < 1.2 * np.abs(piece[-600:]).max()


@pytest.mark.parametrize("extra", [192, 250, 255])
def test_a_sample_more_hardly_changes_the_score(
    enhancer: Enhancer, noisy: np.ndarray, clean: np.ndarray, extra: int
) -> None:
    samples = 30_000 // 256 * 256 + extra
    scores = [
        si_sdr(enhancer(noisy[:length], RATE, mode="fast"), clean[:length])
        for length in (samples, samples // 256 * 256 + 256)
    ]
    assert abs(scores[0] - scores[1]) < 0.1


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("offset", [0.03, 0.1, -0.5])
def test_direct_current_costs_nothing(
    enhancer: Enhancer, noisy: np.ndarray, clean: np.ndarray, mode: str, offset: float
) -> None:
    level = 0.35 / np.abs(noisy).max()
    noisy, clean = noisy * level, clean * level
    plain = enhancer(noisy, RATE, mode=mode)
    shifted = enhancer(noisy + np.float32(offset), RATE, mode=mode)
    assert si_sdr(plain, clean) - si_sdr(shifted, clean) < 0.02
    means = [abs(float(shifted[at : at + RATE].mean())) for at in range(0, len(shifted), RATE)]
    assert max(means) < 2e-3


@pytest.mark.parametrize("offset", [0.1, -0.5])
def test_direct_current_costs_a_live_stream_nothing(
    enhancer: Enhancer, noisy: np.ndarray, clean: np.ndarray, offset: float
) -> None:
    streams = []
    for added in (0, offset):
        live = enhancer.live(RATE, mode="fast")
        blocks = np.split(noisy + np.float32(added), range(1_000, len(noisy), 1_000))
        streams.append(np.concatenate([*map(live.process, blocks), live.finish()]))
    assert si_sdr(streams[0], clean) - si_sdr(streams[1], clean) < 0.1


def test_each_channel_has_its_own_and_other_rates_too(
    enhancer: Enhancer, noisy: np.ndarray
) -> None:
    stereo = np.stack([noisy[:24_000] + 0.1, noisy[:24_000] - 0.2]).astype(np.float32)
    for rate in (RATE, 44_100):
        enhanced = enhancer(stereo, rate, mode="fast")
        scale = np.abs(enhanced[0]).max()
        assert np.abs(enhanced[0] - enhanced[1]).max() < 2e-3 * scale


def test_a_constant_is_silence(enhancer: Enhancer) -> None:
    for rate in (RATE, 44_100):
        assert not enhancer(np.full(20_000, 0.25, np.float32), rate, mode="balanced").any()
    live = enhancer.live(RATE)
    live.process(np.full(20_000, 0.25, np.float32))
    assert not live.finish().any()
