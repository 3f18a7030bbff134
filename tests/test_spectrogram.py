"""Waveform <-> compressed spectrogram."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from speechduet.errors import SettingError
from speechduet.spectrogram import Spectrogram

SPECTROGRAM = Spectrogram()


def waveform(samples: int, batch: int = 2) -> torch.Tensor:
    return torch.rand(batch, samples, dtype=torch.float64) - 0.5


@settings(max_examples=30, deadline=None)
@given(samples=st.integers(1, 3000))
def test_round_trip_of_any_length(samples: int) -> None:
    signal = waveform(samples)
    spectrogram = SPECTROGRAM.encode(signal)
    assert spectrogram.shape == (2, 1, 256, SPECTROGRAM.frames(samples))
    torch.testing.assert_close(SPECTROGRAM.decode(spectrogram, samples), signal)


@pytest.mark.parametrize("samples", [1, 2, 127, 128, 129, 255, 256, 509, 510, 511])
def test_round_trip_of_very_short_signals_at_single_precision(samples: int) -> None:
    signal = waveform(samples).float()
    again = SPECTROGRAM.decode(SPECTROGRAM.encode(signal), samples)
    torch.testing.assert_close(again, signal, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "spectrogram", [Spectrogram(8000, 200, 50, 0.3, 1.0), Spectrogram(hop=100)]
)
def test_round_trip_of_other_transforms(spectrogram: Spectrogram) -> None:
    signal = waveform(2345)
    again = spectrogram.decode(spectrogram.encode(signal), 2345)
    torch.testing.assert_close(again, signal)


@pytest.mark.filterwarnings("ignore:The length of signal")
@pytest.mark.parametrize("beyond", [0, 300])
@pytest.mark.parametrize("samples", [1, 254, 5000])
@pytest.mark.parametrize(("n_fft", "hop"), [(510, 256), (510, 128), (126, 50), (10, 1)])
def test_decoding_is_the_inverse_transform_of_pytorch(
    n_fft: int, hop: int, samples: int, beyond: int
) -> None:
    spectrogram = Spectrogram(n_fft=n_fft, hop=hop, exponent=1.0, factor=1.0)
    shape = 2, 1, spectrogram.bins, spectrogram.frames(samples)
    samples += beyond  # further than the frames reach there is silence
    found = torch.randn(shape, dtype=torch.complex64, requires_grad=True)
    expected = found.detach().clone().requires_grad_()
    window = torch.hann_window(n_fft)
    theirs = torch.istft(expected.squeeze(1), n_fft, hop, window=window, length=samples)
    ours = spectrogram.decode(found, samples)
    torch.testing.assert_close(ours, theirs)
    for waveform in (ours, theirs):
        (waveform * torch.linspace(0, 1, samples)).sum().backward()
    torch.testing.assert_close(found.grad, expected.grad)


def test_windows_that_leave_a_gap_are_refused() -> None:
    with pytest.raises(SettingError, match="hop is 2; expected 1 to 1 samples"):
        Spectrogram(n_fft=2, hop=2)


def test_compression_of_the_magnitude() -> None:
    """``0.15 |S|^0.5 exp(i arg S)``; periodic Hann window, centred frames."""
    signal = waveform(1500)
    plain = torch.stft(
        signal,
        510,
        128,
        window=torch.hann_window(510, dtype=torch.float64),
        center=True,
        return_complex=True,
    )
    expected = torch.polar(0.15 * plain.abs().sqrt(), plain.angle())
    torch.testing.assert_close(SPECTROGRAM.encode(signal)[:, 0], expected)


def test_silence_stays_silent_and_has_a_finite_gradient() -> None:
    signal = torch.zeros(1, 1000, requires_grad=True)
    spectrogram = SPECTROGRAM.encode(signal)
    assert not spectrogram.abs().any()
    again = SPECTROGRAM.decode(spectrogram, 1000)
    assert not again.any()
    again.sum().backward()
    assert signal.grad is not None and signal.grad.isfinite().all()


def test_gradients_pass_after_a_use_in_inference_mode() -> None:
    spectrogram = Spectrogram(n_fft=254, hop=64)  # of a window that no other test has made
    with torch.inference_mode():
        spectrogram.encode(waveform(500).float())
    signal = waveform(500).float().requires_grad_()
    spectrogram.decode(spectrogram.encode(signal), 500).sum().backward()
    assert signal.grad is not None


def test_level_does_not_change_the_phase() -> None:
    signal = waveform(1000)
    quiet, loud = SPECTROGRAM.encode(signal), SPECTROGRAM.encode(100 * signal)
    torch.testing.assert_close(10 * quiet, loud)


def test_dimensions() -> None:
    assert SPECTROGRAM.bins == 256
    assert [SPECTROGRAM.frames(n) for n in (1, 127, 128, 32_640)] == [1, 1, 2, 256]


def test_framing_offsets_divide_a_hop() -> None:
    assert Spectrogram(hop=32).framing_offsets(1) == [0]
    assert Spectrogram(hop=32).framing_offsets(4) == [0, 8, 16, 24]
    assert Spectrogram(hop=32).framing_offsets(3) == [0, 10, 21]


@pytest.mark.parametrize(("exponent", "factor"), [(0.1, 1e-6), (0.1, 1e6), (1, 1e-6), (1, 1e6)])
def test_at_the_ends_of_all_ranges_32_bits_suffice(exponent: float, factor: float) -> None:
    spectrogram, signal = Spectrogram(exponent=exponent, factor=factor), waveform(2345).float()
    again = spectrogram.decode(spectrogram.encode(signal), 2345)
    torch.testing.assert_close(again, signal, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("samples", [0, 1, 127, 128, 129, 3000])
@pytest.mark.parametrize("hop", [100, 128, 256])
def test_a_continued_recording_is_as_short_as_full_overlap_allows(samples: int, hop: int) -> None:
    transform = Spectrogram(hop=hop)

    def missing_frame(length: int) -> int:
        """Where the first frame that is not made would begin."""
        return transform.frames(length) * hop - transform.n_fft // 2

    length = transform.covering(samples)
    assert length % hop == 0 and length >= samples and missing_frame(length) >= samples
    assert length - hop < samples or missing_frame(length - hop) < samples
    assert Spectrogram(hop=hop, published=True).covering(samples) == samples
