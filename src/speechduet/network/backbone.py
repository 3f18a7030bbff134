"""The seam between systems and networks: Encoder -> Features -> Decoder.

A backbone is a frozen record of dimensions that builds encoders and decoders. Any system runs on
any backbone; two decoders may read the features of one encoder.
"""

from typing import NamedTuple, Protocol

from torch import Tensor, nn


class Features(NamedTuple):
    """What an encoder makes of its input. Immutable, so that several decoders can share it."""

    skips: tuple[Tensor, ...]
    """Activations on the way down, in the order in which they were made."""
    bottleneck: Tensor
    embedding: Tensor | None
    """Embedding of the time, ``[batch, channels]``; None in a network without time."""
    spectrograms: Tensor
    """The encoder's input, real ``[batch, 2 * spectrograms, bins, frames]``."""
    t: Tensor | None
    """The time ``[batch]``; None in a network without time."""


class Backbone(Protocol):
    """Dimensions of a network, and how to build its two halves.

    An encoder is called as ``encoder(spectrograms, t)`` and returns `Features`; a decoder as
    ``decoder(features)`` and returns real ``[batch, 2, bins, frames]``.
    """

    @property
    def frame_multiple(self) -> int:
        """Numbers of frames must be divisible by this."""
        ...

    def encoder(self, spectrograms: int, timed: bool) -> nn.Module:
        """An encoder of this many complex spectrograms, with or without a time."""
        ...

    def decoder(self, spectrograms: int, timed: bool, generative: bool) -> nn.Module:
        """A decoder for the features of such an encoder; generative or predictive."""
        ...
