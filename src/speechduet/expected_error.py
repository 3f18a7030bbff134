"""How wrong a frame of enhanced speech probably is, from what enhancement kept and removed."""

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

Energies = TypeVar("Energies", "Tensor", "NDArray[np.float64]")

FRAME_S = 0.032
"""Length of the frames that it was fitted to."""

_ERROR_AT_0_DB, _EXPONENT = 0.11, 0.43
"""Fitted by `recipes/corpus/confidence.py` to the frames of 25 recordings."""
_SILENCE = 1e-10


def expected_error(kept: Energies, removed: Energies) -> Energies:
    """Expected energy of the error of each frame, relative to that of the speech in it.

    From the energies ``[..., frames]`` of what enhancement kept and of what it removed, for
    waveforms with a peak of about 1.
    """
    return _ERROR_AT_0_DB * ((removed + _SILENCE) / (kept + _SILENCE)) ** _EXPONENT
