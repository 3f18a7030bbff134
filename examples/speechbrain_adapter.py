"""The model with the calls of SpeechBrain's enhancement models, to take the place of one.

    enhancer = DuetEnhancement()
    clean = enhancer.enhance_file("noisy.wav", "clean.wav")
    clean = enhancer.enhance_batch(noisy, lengths=torch.tensor([1.0, 0.8]))

In a SpeechBrain recipe `EnhancementModule` goes into ``modules`` like any other network.
"""

from pathlib import Path

import torch
from torch import Tensor

from speechduet import Enhancer, audio
from speechduet.audio.resampling import resampled


class DuetEnhancement:
    """`enhance_batch` and `enhance_file`, as `speechbrain.inference.enhancement` has them."""

    def __init__(self, model: str | None = None, mode: str = "balanced") -> None:
        self.enhancer = Enhancer.from_pretrained(model)
        self.sample_rate = self.enhancer.spectrogram.sample_rate
        self.mode = mode

    def enhance_batch(self, noisy: Tensor, lengths: Tensor | None = None) -> Tensor:
        """Waveforms ``[batch, time]``, of which ``lengths`` are the shares that are no padding."""
        clean = torch.zeros_like(noisy)
        shares = torch.ones(len(noisy)) if lengths is None else lengths
        for row, share in enumerate(shares.tolist()):
            length = round(share * noisy.shape[1])
            clean[row, :length] = self.enhancer(noisy[row, :length], self.sample_rate, self.mode)
        return clean

    def enhance_file(self, filename: str, output_filename: str | None = None) -> Tensor:
        """The enhanced recording at the model's rate, ``[time]``; written if a name is given."""
        noisy = torch.cat(
            [
                torch.from_numpy(block.mean(axis=1))
                for block in resampled(
                    audio.read_blocks(Path(filename)),
                    audio.probe(Path(filename)).sample_rate,
                    self.sample_rate,
                )
            ]
        )
        clean = self.enhance_batch(noisy[None])[0]
        if output_filename:
            audio.write(Path(output_filename), clean.numpy(), self.sample_rate)
        return clean
