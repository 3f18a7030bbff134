"""The optimiser and the course of its learning rate."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from speechduet.settings import NotNegative, Settings, Whole


@dataclass(frozen=True)
class Optimisation(Settings):
    """AdamW's settings and the course of the learning rate.

    It rises over ``warmup_steps``, stays, and falls linearly to 0 over the last ``decay_steps`` of
    the run; both 0 keep it constant, as SGMSE+ does.
    """

    learning_rate: NotNegative = 1e-4
    weight_decay: NotNegative = 0.0
    warmup_steps: Whole = 0
    decay_steps: Whole = 0

    def optimiser(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """For the parameters that are trained."""
        trained = [parameter for parameter in parameters if parameter.requires_grad]
        return torch.optim.AdamW(trained, lr=self.learning_rate, weight_decay=self.weight_decay)

    def put_into(self, checkpoint: dict[str, Any], steps: int) -> None:
        """Let a saved optimiser and its schedule go on with these settings; ``steps`` of the run.

        Otherwise those that they were saved with would come back with them.
        """
        rate = self.learning_rate
        for schedule in checkpoint["lr_schedulers"]:
            rate = self.learning_rate * self.factor(schedule["last_epoch"], steps)
            schedule["base_lrs"] = [self.learning_rate] * len(schedule["base_lrs"])
            schedule["_last_lr"] = [rate] * len(schedule["base_lrs"])
        for optimiser in checkpoint["optimizer_states"]:
            for group in optimiser["param_groups"]:
                group["lr"], group["initial_lr"] = rate, self.learning_rate
                group["weight_decay"] = self.weight_decay

    def factor(self, step: int, steps: int) -> float:
        """Of the learning rate at a step, where the run has ``steps``; in [0, 1]."""
        rise = min(1.0, (step + 1) / self.warmup_steps) if self.warmup_steps else 1.0
        left = (steps - step) / self.decay_steps if self.decay_steps else 1.0
        return max(0.0, min(rise, left))
