"""Direct current taken out: the slow mean around each sample, which no speech has."""

from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

from speechduet.audio.formats import Samples

WIDTH_S = 0.5
"""The mean is taken twice over this long: it follows an offset that drifts, and keeps less than two
ten-thousandths of a tone of 50 Hz or more."""
SHORTEST_S = 0.1
"""A shorter recording keeps its mean, which a low voice could have as well."""
_ROUNDING = np.float32(2.0**-20)
"""Largest remainder of a constant, against the constant, after its mean has been taken out."""


def without_offset(blocks: Iterable[Samples], sample_rate: int) -> Iterator[Samples]:
    """Blocks ``[samples, channels]`` less the mean around each sample; as many samples in all.

    Beyond both ends the recording is taken to go on as its mirror image. A constant becomes
    silence, exactly. At most three widths are held. Less than `SHORTEST_S` stays as it is.
    """
    width = max(1, round(WIDTH_S * sample_rate))
    reach = width - 1
    held: Samples | None = None
    pending: list[Samples] = []
    for block in blocks:
        pending.append(block)
        if sum(map(len, pending)) < 2 * width:
            continue
        joined = np.concatenate(pending)
        held = _mirrored(joined, reach, 0) if held is None else np.concatenate([held, joined])
        pending = []
        yield _centred(held, width)
        held = held[len(held) - 2 * reach :]
    if held is not None:
        yield _centred(_mirrored(np.concatenate([held, *pending]), 0, reach), width)
    elif sum(map(len, pending)) < SHORTEST_S * sample_rate:
        yield from pending
    else:
        yield _centred(_mirrored(np.concatenate(pending), reach, reach), width)


def centred(samples: Samples, sample_rate: int) -> Samples:
    """The same for samples ``[samples, channels]`` in memory."""
    return np.concatenate([samples[:0], *without_offset([samples], sample_rate)])


def _mirrored(samples: Samples, before: int, after: int) -> Samples:
    return np.pad(samples, ((before, after), (0, 0)), mode="reflect")


def _centred(held: Samples, width: int) -> Samples:
    """Samples less their mean, without the ``width - 1`` at each end that only serve the mean."""
    samples = held[width - 1 : len(held) - width + 1].copy()
    for channel in range(held.shape[1]):
        mean = _moving_mean(_moving_mean(held[:, channel], width), width).astype(np.float32)
        column = samples[:, channel] - mean
        column[np.abs(column) <= _ROUNDING * np.abs(mean)] = 0
        samples[:, channel] = column
    return samples


def _moving_mean(samples: npt.NDArray[np.floating], width: int) -> npt.NDArray[np.float64]:
    """Means of ``width`` neighbours, ``width - 1`` fewer than there are samples."""
    sums = np.concatenate([[0.0], np.cumsum(samples, dtype=np.float64)])
    means: npt.NDArray[np.float64] = (sums[width:] - sums[:-width]) / width
    return means
