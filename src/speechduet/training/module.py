"""One training step of any system, as a Lightning module."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import lightning
import torch
from torch import Tensor

from speechduet.network.joint import System
from speechduet.sampler import Sampling, reverse
from speechduet.spectrogram import Spectrogram
from speechduet.training.losses import LossSettings, generative_loss, predictive_loss


@dataclass(frozen=True)
class Optimisation:
    """Adam's settings and the course of the learning rate.

    It rises over ``warmup_steps``, stays, and falls linearly to 0 over the last ``decay_steps`` of
    the run; both 0 keep it constant, as SGMSE+ does.
    """

    learning_rate: float = 1e-4
    weight_decay: float = 0.0
    warmup_steps: int = 0
    decay_steps: int = 0


@dataclass(frozen=True)
class TrainingTime:
    """How the diffusion time of an example is drawn.

    Uniform from the process's t_min to 1 (paper eq. 8), but exactly 1 for a share ``at_start`` of
    the examples: the first reverse step, and all that a purely predictive answer ever sees.
    """

    at_start: float = 0.0

    def draw(self, batch: int, t_min: float, device: torch.device) -> Tensor:
        """Times ``[batch]``."""
        t = t_min + (1 - t_min) * torch.rand(batch, device=device)
        return torch.where(torch.rand(batch, device=device) < self.at_start, torch.ones_like(t), t)


@dataclass(frozen=True)
class ValidationPass:
    """A sampler setting to validate with, under a name for the log."""

    name: str
    sampling: Sampling = field(default_factory=lambda: Sampling(steps=0))


class Training(lightning.LightningModule):
    """Joint score-matching and predictive training of a `System` on waveform pairs."""

    def __init__(
        self,
        system: System,
        spectrogram: Spectrogram,
        losses: LossSettings,
        times: TrainingTime,
        optimisation: Optimisation,
        validation: Sequence[ValidationPass] = (),
    ) -> None:
        super().__init__()
        self.system = system
        self.spectrogram = spectrogram
        self.losses = losses
        self.times = times
        self.optimisation = optimisation
        self.validation = tuple(validation)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> Tensor:
        """Loss of a batch of ``(clean, noisy)`` waveforms ``[batch, samples]``."""
        clean, noisy = batch
        x_0, y = self.spectrogram.forward(clean), self.spectrogram.forward(noisy)
        loss = self.joint_loss(x_0, y, clean.shape[-1])
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def joint_loss(self, x_0: Tensor, y: Tensor, samples: int) -> Tensor:
        """Weighted sum of the losses of the parts that the system has.

        The spectrograms cover so many samples. Both decoders read the features of the same x_t.
        """
        system, weights = self.system, self.losses
        anchor = system.anchor(y)
        total = torch.zeros((), device=y.device)
        generative = prediction = None
        if system.layout.generative and system.process is not None:
            t = self.times.draw(y.shape[0], system.process.t_min, y.device)
            x_t = system.process.perturb(x_0, anchor, t, torch.randn_like(y))
            generative, prediction = system.estimate(
                x_t, y, anchor, t, generative=True, predictive=system.predicts
            )
            assert generative is not None
            error = generative_loss(system.process, generative, x_0, t, weights.weighting)
            total = total + weights.generative * error
            self.log("train/generative", error)
        elif system.predictive_network is not None:
            prediction = system.predictive_network(y)
        if prediction is not None:
            error = predictive_loss(prediction, x_0, weights, self.spectrogram, samples)
            total = total + weights.predictive * error
            self.log("train/predictive", error)
        return total

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_index: int) -> None:
        """Enhance one pair ``[1, samples]`` with each validation setting; logs SI-SDR in dB."""
        clean, noisy = batch
        peak = noisy.abs().max()
        y = self.spectrogram.forward(noisy / peak)
        padding = -y.shape[-1] % self.system.frame_multiple
        y = torch.nn.functional.pad(y, (0, padding))
        generator = torch.Generator(y.device).manual_seed(batch_index)

        def draw(shape: tuple[int, ...]) -> Tensor:
            return torch.randn(shape, dtype=y.dtype, device=y.device, generator=generator)

        for check in self.validation:
            *_, last = reverse(self.system, self.system.process, y, check.sampling, draw)
            enhanced = self.spectrogram.inverse(last.result, noisy.shape[-1]) * peak
            scale = (enhanced * clean).sum() / clean.square().sum()
            target = scale * clean
            si_sdr = 10 * torch.log10(
                target.square().sum() / ((enhanced - target).square().sum() + 1e-9)
            )
            self.log(f"valid/si_sdr_{check.name}", si_sdr, batch_size=1, prog_bar=True)

    def configure_optimizers(self) -> Any:
        """AdamW with the learning rate's course."""
        settings = self.optimisation
        optimizer = torch.optim.AdamW(
            (p for p in self.parameters() if p.requires_grad),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        total = int(self.trainer.estimated_stepping_batches)

        def factor(step: int) -> float:
            rise = min(1.0, (step + 1) / settings.warmup_steps) if settings.warmup_steps else 1.0
            left = (total - step) / settings.decay_steps if settings.decay_steps else 1.0
            return max(0.0, min(rise, left))

        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, factor)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
