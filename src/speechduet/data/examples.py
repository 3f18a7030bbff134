"""What training asks for: an example by its number."""

from typing import Protocol

from speechduet.data.mono import Samples


class Examples(Protocol):
    """Pairs of waveforms without end, each a function of its number (and of a seed) alone.

    So a run can be stopped at any example and resumed, with any number of workers and processes.
    """

    def example(self, index: int) -> tuple[Samples, Samples]:
        """Clean and noisy waveform number ``index``, float32 ``[samples]`` each."""
