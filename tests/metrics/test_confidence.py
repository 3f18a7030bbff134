"""Does the confidence tell where the errors are? Signals whose errors are known."""

import numpy as np
import pytest

from speechduet.metrics import MetricError, confidence_scores

RATE = 16_000


@pytest.fixture
def speech(rng: np.random.Generator) -> np.ndarray:
    """Four seconds of noise whose level moves up and down by 40 dB."""
    time = np.arange(4 * RATE) / RATE
    return 0.1 * rng.standard_normal(len(time)) * 10 ** (-1 + np.sin(2 * np.pi * time))


def test_errors_where_more_was_removed_are_found(
    speech: np.ndarray, rng: np.random.Generator
) -> None:
    noise = 0.02 * rng.standard_normal(len(speech))
    left = speech + 0.2 * noise
    scores = confidence_scores(left, speech, speech + noise, RATE)
    # The lower the speech, the more of the frame is removed, and the larger the relative error.
    assert scores["confidence_rank"] > 0.95
    assert scores["confidence_auc"] > 0.9


def test_errors_that_lie_elsewhere_are_missed(speech: np.ndarray, rng: np.random.Generator) -> None:
    noise = 0.02 * rng.standard_normal(len(speech))
    # The error is large where the speech is loud, and little is removed there.
    wrong = speech + 3 * speech**2 * np.sign(rng.standard_normal(len(speech)))
    scores = confidence_scores(wrong, speech, wrong + noise, RATE)
    assert scores["confidence_rank"] < -0.5
    assert scores["confidence_auc"] < 0.3


def test_the_level_does_not_matter(speech: np.ndarray, rng: np.random.Generator) -> None:
    noise = 0.02 * rng.standard_normal(len(speech))
    signals = speech + 0.2 * noise, speech, speech + noise
    scores = confidence_scores(*signals, RATE)
    quiet = confidence_scores(*(1e-3 * signal for signal in signals), RATE)
    for name, value in scores.items():
        assert quiet[name] == pytest.approx(value, abs=0.02)


@pytest.mark.parametrize(
    ("samples", "message"),
    [(100, "0 frames; expected 20 at least"), (4000, "14 frames; expected 20 at least")],
)
def test_recordings_that_are_too_short(speech: np.ndarray, samples: int, message: str) -> None:
    short = speech[:samples]
    with pytest.raises(MetricError, match=message):
        confidence_scores(0.9 * short, short, 1.1 * short, RATE)


def test_an_untouched_recording(speech: np.ndarray) -> None:
    with pytest.raises(MetricError, match="nothing was removed"):
        confidence_scores(speech, speech, speech, RATE)


def test_frames_that_cannot_be_ranked(speech: np.ndarray, rng: np.random.Generator) -> None:
    noisy = speech + 0.02 * rng.standard_normal(len(speech))
    with pytest.raises(MetricError, match="the expected error is the same in all frames"):
        confidence_scores(0.5 * noisy, speech, noisy, RATE)
    with pytest.raises(MetricError, match="the true error is the same in all frames"):
        confidence_scores(2 * speech, speech, noisy, RATE)


def test_a_silent_input(speech: np.ndarray) -> None:
    with pytest.raises(MetricError, match="noisy is silent"):
        confidence_scores(speech, speech, 0 * speech, RATE)


def test_the_worst_are_found_where_most_frames_are_equal(speech: np.ndarray) -> None:
    clean = np.concatenate([speech[:RATE], np.zeros(20 * RATE)])
    noise = np.concatenate([0.1 * speech[RATE : 2 * RATE], np.zeros(20 * RATE)])
    scores = confidence_scores(-clean, clean, clean + noise, RATE)
    assert all(np.isfinite(value) for value in scores.values())
