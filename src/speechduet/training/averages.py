"""Exponential moving averages of the weights, of several decays at once."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import lightning
import torch
from torch import Tensor

from speechduet.training.after_step import AfterStep
from speechduet.training.module import Training


class Averages(AfterStep):
    """The averages, updated after every step and saved with every checkpoint.

    In the first steps, in which an average would mostly hold the random initial weights, the decay
    is at most ``(1 + step) / (10 + step)``.
    """

    def __init__(self, decays: Sequence[float]) -> None:
        self.decays = tuple(dict.fromkeys(decays))
        self._weights: dict[float, list[Tensor]] = {}

    def on_fit_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Start from the present weights, or from the averages of a checkpoint."""
        assert isinstance(pl_module, Training)
        parameters = _parameters(pl_module)
        for decay in self.decays:
            initial = self._weights.get(decay) or parameters
            self._weights[decay] = [
                average.detach().to(parameter.device, copy=True)
                for average, parameter in zip(initial, parameters, strict=True)
            ]

    @torch.no_grad()
    def after_step(self, trainer: lightning.Trainer, module: Training, step: int) -> None:
        """Move each average towards the weights."""
        parameters = _parameters(module)
        for decay, average in self._weights.items():
            change = 1 - min(decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(average, parameters, change)

    @contextmanager
    def in_place(self, module: Training, decay: float) -> Iterator[None]:
        """The module with an average as its weights."""
        parameters, average = _parameters(module), self._weights[decay]
        _exchange(parameters, average)
        try:
            yield
        finally:
            _exchange(parameters, average)

    def state_dict(self) -> dict[str, Any]:
        """The averages, for a checkpoint."""
        return {"weights": {str(decay): tensors for decay, tensors in self._weights.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The averages of a checkpoint."""
        saved = state_dict["weights"]
        self._weights = {decay: saved[str(decay)] for decay in self.decays if str(decay) in saved}


def _parameters(module: Training) -> list[Tensor]:
    return [parameter.detach() for parameter in module.system.parameters()]


def _exchange(some: list[Tensor], others: list[Tensor]) -> None:
    for one, other in zip(some, others, strict=True):
        kept = one.clone()
        one.copy_(other)
        other.copy_(kept)
