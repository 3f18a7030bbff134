"""Does the confidence in a frame tell where an enhanced recording is wrong?"""

import numpy as np
from numpy.typing import NDArray

from speechduet.expected_error import FRAME_S, expected_error
from speechduet.metrics.signals import MetricError, Samples, Signal, not_silent, same_length

Frames = NDArray[np.float64]

_WORST = 0.1
_LEAST_FRAMES = 20
_FLOOR = 1e-5
"""Of the energies of a frame, relative to the mean frame of the noisy recording: in silence there
is no speech that an error could be relative to."""


def confidence_scores(
    estimate: Signal, reference: Signal, noisy: Signal, sample_rate: int
) -> dict[str, float]:
    """How well the expected error of each frame ranks its true error relative to the speech.

    ``confidence_rank`` is Spearman's rank correlation, ``confidence_auc`` the area under the curve
    for finding the worst tenth of the frames (0.5: by chance). MetricError for a recording shorter
    than 20 frames of 32 ms, one that nothing was removed from, or one whose frames cannot be
    ranked: a noisy one that was only made quieter has the same expected error everywhere.
    """
    from scipy.stats import spearmanr

    kept, removed, error = frame_errors(estimate, reference, noisy, sample_rate)
    expected = expected_error(kept, removed)
    for name, values in (("expected", expected), ("true", error)):
        # Beyond rounding, which would be ranked too.
        if np.ptp(values) <= 1e-9 * np.abs(values).max():
            raise MetricError(f"the {name} error is the same in all frames", "frames to rank")
    # All, where nine tenths have the least error that there is.
    worst = error >= np.quantile(error, 1 - _WORST)
    if worst.all():
        worst = error > error.min()
    return {
        "confidence_rank": float(spearmanr(expected, error).statistic),
        "confidence_auc": area_under_curve(expected, worst),
    }


def frame_errors(
    estimate: Signal, reference: Signal, noisy: Signal, sample_rate: int
) -> tuple[Frames, Frames, Frames]:
    """Energies kept and removed, and the error relative to the speech, of each frame of 32 ms."""
    s_hat, s, y = same_length(estimate=estimate, reference=reference, noisy=noisy)
    not_silent(y, "noisy")
    kept, removed, error, speech, whole = (
        frame_energies(signal, sample_rate) for signal in (s_hat, y - s_hat, s_hat - s, s, y)
    )
    if len(kept) < _LEAST_FRAMES:
        raise MetricError(f"{len(kept)} frames", f"{_LEAST_FRAMES} at least")
    if not removed.any():
        raise MetricError("nothing was removed", "an enhanced recording")
    floor = _FLOOR * max(whole.mean(), np.finfo(np.float64).tiny)
    return kept + floor, removed + floor, (error + floor) / (speech + floor)


def frame_energies(signal: Samples, sample_rate: int) -> Frames:
    """Energy of each frame under a Hann window, half overlapping."""
    length = max(2, round(FRAME_S * sample_rate))
    if len(signal) < length:
        return np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(signal, length)[:: length // 2]
    energies: Frames = np.square(frames) @ np.square(np.hanning(length + 1)[:-1])
    return energies


def area_under_curve(values: Frames, positive: NDArray[np.bool_]) -> float:
    """The share of pairs of a positive and another in which the positive has the larger value."""
    from scipy.stats import rankdata

    ranks, count = rankdata(values), int(positive.sum())
    above = ranks[positive].sum() - count * (count + 1) / 2
    return float(above / (count * (len(values) - count)))
