"""A model as a `torch.nn.Module` from waveforms to waveforms, for other people's networks."""

from pathlib import Path

import torch
from torch import Tensor, nn

from speechduet.enhancement.noise import NoiseField
from speechduet.enhancement.piece import reverse_steps
from speechduet.errors import SettingError
from speechduet.model.find import load_any
from speechduet.sampler import Sampling

NOISE_FRAMES = 1024
"""At least 8 s of the models that there are."""


class EnhancementModule(nn.Module):
    """Enhances waveforms ``[batch, samples]`` in mode *fast*: one differentiable evaluation.

    ``sample_rate`` is that of its input and output. The rest is as for `Enhancer`, but that each
    waveform is taken in one piece and its direct current is left in. Gradients reach the input, and
    the weights too if ``trainable``. It can be moved, put into `eval` or `train`, saved by its
    ``state_dict``, and exported by `torch.export`.

    Raises ModelError, or SettingError for a model without a predictive decoder.
    """

    def __init__(
        self,
        name_or_path: str | Path | None = None,
        *,
        revision: str | None = None,
        trainable: bool = False,
    ) -> None:
        super().__init__()
        model = load_any(name_or_path, revision)
        self.sampling = model.modes.get("fast", Sampling(steps=0))
        try:
            model.system.layout.check_sampling(self.sampling)
        except SettingError as error:
            raise SettingError(f"model {model.name}: {error}") from None
        self.system = model.system.requires_grad_(trainable)
        self.spectrogram = model.spectrogram
        self.sample_rate = model.spectrogram.sample_rate
        # The state that the prediction is made at is drawn as `Enhancer` draws it; longer input
        # meets the same noise again, so that it can be a constant of an exported program.
        field = NoiseField(0, model.spectrogram.bins)
        noise = torch.from_numpy(field.frames(0, 0, NOISE_FRAMES))
        self.register_buffer("noise", noise, persistent=False)

    def forward(self, noisy: Tensor) -> Tensor:
        """Noisy waveforms ``[batch, samples]`` -> enhanced, of the same length and level."""
        peak = noisy.detach().abs().amax(dim=1, keepdim=True)
        scale = peak.where(peak > 0, 1)
        (step,) = reverse_steps(
            self.system, self.spectrogram, noisy / scale, self.sampling, self._draw
        )
        return peak * self._decoded(step.result, noisy.shape[1])

    def _decoded(self, spectrogram: Tensor, samples: int) -> Tensor:
        """`Spectrogram.decode` by an overlap-add that can be exported for any length."""
        sound = self.spectrogram
        transform = sound.expanded(spectrogram)
        window = torch.hann_window(sound.n_fft, device=transform.device)[:, None]
        frames = window * torch.fft.irfft(transform, sound.n_fft, dim=1)
        powers = window.square().expand(1, -1, frames.shape[-1])
        length = sound.n_fft + sound.hop * (frames.shape[-1] - 1)
        summed, power = (
            nn.functional.fold(part, (1, length), (1, sound.n_fft), stride=(1, sound.hop))
            for part in (frames, powers)
        )
        start = sound.n_fft // 2
        waveform = (summed / power.clamp_min(1e-8))[:, 0, 0, start : start + samples]
        return nn.functional.pad(waveform, (0, samples - waveform.shape[-1]))

    def _draw(self, shape: tuple[int, ...]) -> Tensor:
        noise = self.get_buffer("noise")
        places = torch.arange(shape[-1], device=noise.device) % noise.shape[-1]
        return noise[..., places].expand(shape)
