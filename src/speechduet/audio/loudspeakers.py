"""The order of channels: that of WAV and FLAC everywhere, except inside Vorbis and Opus."""

import numpy as np

from speechduet.audio.formats import Samples

_IN_OGG = {
    3: (0, 2, 1),
    5: (0, 2, 1, 3, 4),
    6: (0, 2, 1, 4, 5, 3),
    7: (0, 2, 1, 5, 6, 4, 3),
    8: (0, 2, 1, 6, 7, 4, 5, 3),
}
"""Channels of WAV, as they follow each other in Vorbis and Opus (the centre second, ...)."""


def as_stored(block: Samples, container: str) -> Samples:
    """Samples ``[samples, channels]`` in the order of WAV -> as libsndfile is to write them."""
    order = _IN_OGG.get(block.shape[1]) if container == "OGG" else None
    return block if order is None else np.ascontiguousarray(block[:, order])


def as_heard(block: Samples, container: str) -> Samples:
    """Samples ``[samples, channels]`` as libsndfile reads them -> in the order of WAV."""
    order = _IN_OGG.get(block.shape[1]) if container == "OGG" else None
    return block if order is None else np.ascontiguousarray(block[:, np.argsort(order)])
