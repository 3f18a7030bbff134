"""One training step of any system, as a Lightning module."""

from typing import Any, NamedTuple

import lightning
import torch
from torch import Tensor

from speechduet.network.system import System
from speechduet.process import Process
from speechduet.sampler import Estimate, fuse
from speechduet.spectrogram import Spectrogram
from speechduet.training.adversary import Adversary
from speechduet.training.balance import Balance, gradient_norms
from speechduet.training.draws import Draws, TrainingTime, draw, drawn_anew
from speechduet.training.errors import TrainingError
from speechduet.training.loading import Batch
from speechduet.training.losses import (
    LossSettings,
    further_terms,
    generative_loss,
    perceptual_error,
    predictive_loss,
    waveforms,
)
from speechduet.training.optimisation import Optimisation

Numbers = tuple[int, ...] | None
"""Of the examples of a batch, if they have any."""


class Losses(NamedTuple):
    """The loss of each part, before weights; None where the system lacks the part."""

    generative: Tensor | None
    predictive: Tensor | None


class RunningMeans:
    """Means of what was measured since they were last asked for."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor, int]] = {}

    def add(self, name: str, value: Tensor) -> None:
        """Count a number in; nothing waits for a GPU."""
        total, count = self._sums.get(name, (torch.zeros_like(value.detach()), 0))
        self._sums[name] = total + value.detach(), count + 1

    def means(self) -> dict[str, Tensor]:
        """The mean of each since the last call."""
        means = {name: total / count for name, (total, count) in self._sums.items()}
        self._sums = {}
        return means


class Training(lightning.LightningModule):
    """Joint score-matching and predictive training of a `System` on waveform pairs.

    ``norms_every`` steps the gradient norms of both losses at the shared encoder are measured.
    """

    def __init__(
        self,
        system: System,
        spectrogram: Spectrogram,
        losses: LossSettings,
        times: TrainingTime,
        optimisation: Optimisation,
        seed: int = 0,
        norms_every: int = 0,
    ) -> None:
        super().__init__()
        self.system = system
        self.balance = Balance()
        self.spectrogram = spectrogram
        self.losses = losses
        self.adversary = Adversary() if losses.adversarial or losses.matching else None
        self.times = times
        self.optimisation = optimisation
        self.seed = seed
        self.norms_every = norms_every
        self.examples_seen = 0
        self.running_means = RunningMeans()

    def training_step(self, batch: Batch, batch_index: int) -> Tensor:
        """Weighted loss of a batch; TrainingError if it is not finite."""
        x_0, y = self.spectrogram.encode(batch.clean), self.spectrogram.encode(batch.noisy)
        losses = self.part_losses(x_0, y, batch.clean.shape[-1], batch.examples)
        if self.norms_every and self.global_step % self.norms_every == 0:
            self._measure(losses)
        loss = self.weighted(losses)
        if not torch.isfinite(loss.detach()):
            raise TrainingError(
                f"the loss is {float(loss)} in step {self.global_step} with the examples "
                f"{', '.join(str(example) for example in batch.examples)}",
                "a finite number",
                "lower optimisation.learning_rate or set run.gradient_clip, and start again; the "
                "last checkpoint, if any, is kept",
            )
        self.examples_seen += len(batch.examples) * self.trainer.world_size
        self.running_means.add("loss", loss)
        for name, part in losses._asdict().items():
            if part is not None:
                self.running_means.add(name, part)
        return loss

    def part_losses(self, x_0: Tensor, y: Tensor, samples: int, examples: Numbers) -> Losses:
        """The losses on spectrograms of this many samples, of examples with these numbers.

        What is drawn for an example depends on its number; without numbers it is drawn anew.

        Both decoders read the features of the same x_t, or in a chain each of its own.
        """
        system, settings = self.system, self.losses
        anchor = system.anchor(y)
        generative = None
        if system.layout.generative and system.process is not None:
            estimates = self._chained if self.times.chained else self._at_one_state
            t, (clean, prediction) = estimates(system.process, x_0, y, anchor, examples)
            assert clean is not None
            generative = generative_loss(system.process, clean, x_0, t, settings.weighting)
            if settings.terms_for == "both":
                terms = further_terms(clean, x_0, settings, self.spectrogram, samples)
                generative = generative + terms.mean()
            generative = generative + self._heard(clean, prediction, x_0, samples)
        else:
            prediction = system.prediction(y)
        predictive = None
        if prediction is not None:
            predictive = predictive_loss(prediction, x_0, settings, self.spectrogram, samples)
        return Losses(generative, predictive)

    def _draws(self, y: Tensor, examples: Numbers) -> Draws:
        if examples is None:
            return drawn_anew(len(y), y.shape[1:], y.device)
        return draw(self.seed, examples, y.shape[1:], y.device)

    def _heard(self, clean: Tensor, prediction: Tensor | None, x_0: Tensor, samples: int) -> Tensor:
        """The terms on what a listener gets: the estimate, or its blend with the prediction."""
        settings, terms = self.losses, torch.zeros((), device=clean.device)
        if prediction is not None:
            clean = fuse(clean, prediction.detach(), settings.heard_beta)
        if settings.perceptual:
            distance = perceptual_error(clean, x_0, self.spectrogram, samples).mean()
            self.running_means.add("perceptual", distance)
            terms = terms + settings.perceptual * distance
        if self.adversary is not None:
            judged = self.adversary.step(*waveforms(clean, x_0, self.spectrogram, samples))
            for name, value in judged._asdict().items():
                self.running_means.add("discriminators" if name == "own" else name, value)
            terms = terms + settings.adversarial * judged.adversarial
            terms = terms + settings.matching * judged.matching
        return terms

    def _at_one_state(
        self, process: Process, x_0: Tensor, y: Tensor, anchor: Tensor, examples: Numbers
    ) -> tuple[Tensor, Estimate]:
        """Times, and the estimates of both decoders at one state of each example."""
        t, x_t = self._state(process, x_0, y, anchor, examples)
        predictive = self.system.predicts
        return t, self.system.estimate(x_t, y, anchor, t, generative=True, predictive=predictive)

    def _chained(
        self, process: Process, x_0: Tensor, y: Tensor, anchor: Tensor, examples: Numbers
    ) -> tuple[Tensor, Estimate]:
        """Times of the generative decoder, and each decoder's estimate at its own state.

        No gradient leads from the generative decoder back to the prediction that its state is
        drawn around: the predictive decoder is trained by the predictive loss alone.
        """
        uniform, z, first_z = self._draws(y, examples)
        start, t = torch.ones_like(uniform[:, 0]), self.times.of(uniform, process.t_min)
        first = process.perturb(anchor, anchor, start, first_z)
        _, prediction = self.system.estimate(
            first, y, anchor, start, generative=False, predictive=True
        )
        assert prediction is not None
        x_t = process.perturb(prediction.detach(), anchor, t, z)
        clean, _ = self.system.estimate(x_t, y, anchor, t, generative=True, predictive=False)
        return t, Estimate(clean, prediction)

    def _state(
        self, process: Process, x_0: Tensor, y: Tensor, anchor: Tensor, examples: Numbers
    ) -> tuple[Tensor, Tensor]:
        """Times and states by the settings; see `TrainingTime`."""
        uniform, z, first_z = self._draws(y, examples)
        t = self.times.of(uniform, process.t_min)
        centre = torch.where(self.times.is_initial(uniform)[:, None, None, None], anchor, x_0)
        which = self.times.is_self_predicted(uniform)
        if which.any():
            start = torch.ones_like(t[which])
            first = process.perturb(anchor[which], anchor[which], start, first_z[which])
            with torch.no_grad():
                estimate = self.system.estimate(
                    first,
                    y[which],
                    anchor[which],
                    start,
                    generative=False,
                    predictive=True,
                )
            assert estimate.predictive is not None
            centre[which] = estimate.predictive
        return t, process.perturb(centre, anchor, t, z)

    def weighted(self, losses: Losses) -> Tensor:
        """Sum of the losses, each with its weight."""
        shares = self.losses.generative, self.losses.predictive
        weights: tuple[Tensor | float, ...] = shares
        if self.losses.balance == "gradient_norm":
            weights = self.balance.weights(*shares)
        parts = [part * w for w, part in zip(weights, losses, strict=True) if part is not None]
        return torch.stack(parts).sum()

    def _measure(self, losses: Losses) -> None:
        assert losses.generative is not None and losses.predictive is not None
        assert self.system.encoder is not None
        norms = gradient_norms((losses.generative, losses.predictive), self.system.encoder)
        norms = self.trainer.strategy.reduce(norms, reduce_op="mean")
        assert isinstance(norms, Tensor)
        self.balance.observe(norms)
        weights = self.balance.weights(self.losses.generative, self.losses.predictive)
        for index, name in enumerate(losses._fields):
            self.running_means.add(f"gradient_norm_{name}", norms[index])
            if self.losses.balance == "gradient_norm":
                self.running_means.add(f"weight_{name}", weights[index])

    def configure_optimizers(self) -> Any:
        """The optimiser and its schedule, step by step."""
        optimiser = self.optimisation.optimiser(self.parameters())
        steps = int(self.trainer.max_steps)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimiser, lambda step: self.optimisation.factor(step, steps)
        )
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note how many examples the weights have seen, over all processes, and the adversary."""
        checkpoint["examples_seen"] = self.examples_seen
        if self.adversary is not None:
            checkpoint["adversary"] = self.adversary.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on counting, with the recipe's learning rates and not with the checkpoint's."""
        self.examples_seen = int(checkpoint["examples_seen"])
        if self.adversary is not None and "adversary" in checkpoint:
            self.adversary.load_state_dict(checkpoint["adversary"])
        self.optimisation.put_into(checkpoint, int(self.trainer.max_steps))
