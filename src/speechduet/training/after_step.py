"""What happens after every step of the optimiser."""

from abc import ABC, abstractmethod
from typing import Any

import lightning

from speechduet.training.module import Training


class AfterStep(lightning.Callback, ABC):
    """Called once per step, however many batches make one."""

    _done = 0

    @abstractmethod
    def after_step(self, trainer: lightning.Trainer, module: Training, step: int) -> None:
        """Act after this step, counted from 1."""

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Count from the step that the run starts or resumes at."""
        self._done = trainer.global_step

    def on_train_batch_end(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """See whether the batch completed a step."""
        if trainer.global_step > self._done:
            self._done = trainer.global_step
            assert isinstance(pl_module, Training)
            self.after_step(trainer, pl_module, self._done)
