"""What the owner of a recording should know although nothing failed."""

import warnings
from collections.abc import Callable

Notify = Callable[[str], None]
"""Takes one line of text, such as "a.wav: the header promises 3 s, 2.9 s are there"."""


class AudioWarning(UserWarning):
    """A recording was read or written, but not quite as it claims to be or was asked for."""


def warn(text: str) -> None:
    """Issue an AudioWarning: the `Notify` of calls from Python that name no other."""
    warnings.warn(text, AudioWarning, stacklevel=3)
