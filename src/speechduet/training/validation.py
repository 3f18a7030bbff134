"""Validation: a fixed set is really enhanced, in every mode, and scored."""

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

import lightning
import torch
from torch import Tensor

from speechduet.data import FittingPair
from speechduet.enhancement.piece import enhance_whole
from speechduet.extras import installed
from speechduet.metrics import MetricError, estoi, pesq, si_sdr
from speechduet.sampler import Sampling
from speechduet.training.after_step import AfterStep
from speechduet.training.averages import Averages
from speechduet.training.checkpoints import keep_best, save_model
from speechduet.training.loading import read_pair
from speechduet.training.module import Training
from speechduet.training.pictures import show
from speechduet.training.recipe_file import TrainingRecipe


def metrics() -> tuple[str, ...]:
    """Names of what can be measured here, the decisive one first."""
    # pystoi needs scipy, and does not say so before it is imported.
    perceptual = installed("pesq", "pystoi", "scipy")
    return ("pesq", "estoi", "si_sdr") if perceptual else ("si_sdr",)


def score(enhanced: Tensor, clean: Tensor, sample_rate: int) -> list[float]:
    """Values of `metrics`; NaN where a metric has none, such as for silence."""
    values = []
    for metric in metrics():
        try:
            if metric == "si_sdr":
                values.append(si_sdr(enhanced, clean))
            else:
                perceptual = pesq if metric == "pesq" else estoi
                values.append(perceptual(enhanced, clean, sample_rate))
        except MetricError:
            values.append(math.nan)
    return values


def means(table: Tensor, modes: Sequence[str]) -> dict[str, float]:
    """Mean scores of ``[pairs, modes, metrics]`` by name, with the number of pairs without one."""
    scores = {}
    for column, mode in enumerate(modes):
        for row, metric in enumerate(metrics()):
            values = table[:, column, row]
            scores[f"valid/{metric}_{mode}"] = float(values.nanmean())
            if missing := int(values.isnan().sum()):
                scores[f"valid/{metric}_{mode}_missing"] = missing
    return scores


class Validation(AfterStep):
    """Enhances the pairs with the averaged weights, logs the scores, keeps the best models.

    With several processes each takes its share of the pairs; all get the same means.
    """

    def __init__(
        self, pairs: Sequence[FittingPair], recipe: TrainingRecipe, averages: Averages, folder: Path
    ) -> None:
        self.pairs = pairs
        self.recipe = recipe
        self.averages = averages
        self.folder = folder

    def after_step(self, trainer: lightning.Trainer, module: Training, step: int) -> None:
        """Validate, when it is time."""
        settings = self.recipe.run
        if step % settings.valid_every_steps and step != settings.max_steps:
            return
        with self.averages.in_place(module, settings.ema_decay):
            scores = self.scores(trainer, module, step)
            if trainer.is_global_zero and settings.keep_best:
                self._keep(module, scores, step)
        for logger in trainer.loggers:
            logger.log_metrics(scores, step)

    def scores(self, trainer: lightning.Trainer, module: Training, step: int) -> dict[str, float]:
        """Means over all pairs."""
        compiled = self.recipe.run.compile
        # Recordings differ in length, and every length would be compiled anew.
        eager = torch.compiler.set_stance("force_eager") if compiled else nullcontext()
        with eager:
            return self._scores(trainer, module, step)

    def _scores(self, trainer: lightning.Trainer, module: Training, step: int) -> dict[str, float]:
        modes: Mapping[str, Sampling] = self.recipe.model.modes
        table = torch.zeros(len(self.pairs), len(modes), len(metrics()), dtype=torch.float64)
        rate = module.spectrogram.sample_rate
        module.eval()
        for index in range(trainer.global_rank, len(self.pairs), trainer.world_size):
            pair = read_pair(self.pairs[index])
            for column, (mode, sampling) in enumerate(modes.items()):
                (made,) = enhance_whole(
                    module.system, module.spectrogram, pair.noisy.numpy(), sampling, seed=index
                )
                enhanced = torch.from_numpy(made)
                table[index, column] = torch.tensor(score(enhanced, pair.clean, rate))
                if index < self.recipe.run.show_examples:
                    show(trainer.loggers, f"{pair.name}/{mode}", enhanced, rate, step)
        module.train()
        table = table.to(module.device, torch.float32)
        gathered = trainer.strategy.reduce(table, reduce_op="sum")
        assert isinstance(gathered, Tensor)
        return means(gathered, list(modes))

    def _keep(self, module: Training, scores: Mapping[str, float], step: int) -> None:
        mode = "balanced" if "balanced" in self.recipe.model.modes else "fast"
        decisive = scores.get(f"valid/{metrics()[0]}_{mode}", math.nan)
        name = f"{metrics()[0]}_{decisive:.3f}_step_{step:07d}"
        if math.isfinite(decisive) and keep_best(self.folder, self.recipe.run.keep_best, name):
            save_model(self.recipe, module, self.folder / name, step, scores)
