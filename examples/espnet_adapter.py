"""The model with the call of ESPnet's `SeparateSpeech`, to take the place of one.

separate_speech = DuetSeparateSpeech()
(clean,) = separate_speech(noisy[None], fs=16000)
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from speechduet import Enhancer

Array = npt.NDArray[np.float32]


class DuetSeparateSpeech:
    """As `espnet2.bin.enh_inference.SeparateSpeech`, with one speaker."""

    def __init__(self, model: str | Path | None = None, mode: str = "balanced") -> None:
        self.enhancer = Enhancer.from_pretrained(model)
        self.mode = mode

    def __call__(self, speech_mix: Array | torch.Tensor, fs: int = 8000) -> Sequence[Array]:
        """Mixtures ``[batch, samples]`` -> for each speaker, of whom there is one, the same."""
        noisy = np.asarray(speech_mix, np.float32)
        if noisy.ndim != 2:
            raise ValueError(f"speech_mix has {noisy.ndim} axes; expected [batch, samples]")
        return [np.stack([self.enhancer(row, fs, self.mode) for row in noisy])]
