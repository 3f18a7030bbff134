"""What every metric demands of its signals."""

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from speechduet.errors import SpeechduetError

if TYPE_CHECKING:
    # Scoring NumPy arrays does without the second that importing torch takes.
    from torch import Tensor

Signal: TypeAlias = "ArrayLike | Tensor"
"""One channel, ``[samples]``: NumPy, torch on any device, or a list."""

Samples: TypeAlias = NDArray[np.float64]


class MetricError(SpeechduetError, ValueError):
    """Signals for which a metric has no value."""


def as_samples(signal: Signal, name: str) -> Samples:
    """The signal in double precision; MetricError if it is not one channel of finite samples."""
    array = signal.detach().cpu() if hasattr(signal, "detach") else signal
    samples = np.asarray(array, dtype=np.float64)
    if samples.ndim != 1:
        raise MetricError(
            f"{name} of shape {list(samples.shape)}", "one channel, [samples]", "score each channel"
        )
    if samples.size == 0:
        raise MetricError(f"{name} without samples", "at least one sample")
    if not np.isfinite(samples).all():
        raise MetricError(f"{name} with NaN or infinite samples", "finite samples")
    return samples


def same_length(**signals: Signal) -> list[Samples]:
    """The named signals in double precision; MetricError if their lengths differ."""
    checked = {name: as_samples(signal, name) for name, signal in signals.items()}
    if len({samples.size for samples in checked.values()}) > 1:
        found = ", ".join(f"{name} {samples.size}" for name, samples in checked.items())
        raise MetricError(f"lengths differ ({found} samples)", "signals of one length")
    return list(checked.values())


def not_silent(samples: Samples, name: str) -> None:
    """MetricError if the signal is zero throughout."""
    if not samples.any():
        raise MetricError(f"{name} is silent", "sound in it")
