"""The log of a run: a file with a line of JSON per event, and a bar or lines on stderr."""

import json
from argparse import Namespace
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from time import monotonic, time
from typing import Any

import lightning
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from speechduet.files.atomic import write_text
from speechduet.names import shown
from speechduet.training.after_step import AfterStep
from speechduet.training.errors import TrainingError
from speechduet.training.module import Training


@rank_zero_only
def print_note(text: str) -> None:
    """A line on stderr, from the first process only."""
    console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False, emoji=False)
    console.print(f"note: {shown(text)}")


class JsonLog(Logger):
    """``log.jsonl``: one object per line with step, seconds (since 1970) and what was measured.

    Lines after the step that a run goes on from are dropped: those steps are done again.
    """

    def __init__(self, path: Path, resumed_step: int) -> None:
        super().__init__()
        self.path = path
        if path.exists():
            self._drop_after(resumed_step)

    @rank_zero_only
    def _drop_after(self, step: int) -> None:
        kept = [line for line in self.path.read_text("utf-8").splitlines() if _step(line) <= step]
        write_text(self.path, "".join(f"{line}\n" for line in kept), TrainingError)

    @property
    def name(self) -> str:
        """Of the log."""
        return "log"

    @property
    def version(self) -> str:
        """There is one."""
        return ""

    @rank_zero_only
    def log_hyperparams(
        self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any
    ) -> None:
        """They are in the recipe."""

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a line of numbers."""
        measured = {k: float(f"{v:.6g}") for k, v in metrics.items() if k != "epoch"}
        if measured:
            self.write(step, measured)

    @rank_zero_only
    def write(self, step: int | None, values: Mapping[str, Any]) -> None:
        """Add a line."""
        entry = {"step": step, "seconds": round(time(), 1), **values}
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(entry) + "\n")
        except OSError as error:
            raise TrainingError(
                f"cannot write {self.path} ({error.strerror})", "free disk space"
            ) from error


def _step(line: str) -> float:
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")  # a line that was cut short


class ProgressLog(AfterStep):
    """Step, mean loss, speed and time left: a bar in a terminal, else lines."""

    def __init__(self, every_steps: int) -> None:
        self.every_steps = every_steps
        self._console = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
        self._bar = Progress(
            BarColumn(), TextColumn("{task.description}", markup=False), console=self._console
        )

    def on_train_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Start the clock."""
        super().on_train_start(trainer, pl_module)
        assert isinstance(pl_module, Training)
        self._clock, self._steps = monotonic(), trainer.global_step
        self._examples = pl_module.examples_seen
        if trainer.is_global_zero and self._console.is_terminal:
            self._bar.add_task("", total=trainer.max_steps, completed=self._steps)
            self._bar.start()

    def after_step(self, trainer: lightning.Trainer, module: Training, step: int) -> None:
        """Log every so often, and after the last step."""
        if step % self.every_steps and step != trainer.max_steps:
            return
        now = monotonic()
        seconds = max(now - self._clock, 1e-9)
        pace = (module.examples_seen - self._examples) / seconds
        left = timedelta(seconds=round((trainer.max_steps - step) * seconds / (step - self._steps)))
        self._clock, self._steps, self._examples = now, step, module.examples_seen
        measured = {
            f"train/{name}": float(trainer.strategy.reduce(mean, reduce_op="mean"))
            for name, mean in module.running_means.means().items()
        }
        measured["train/examples_per_s"] = pace
        measured["train/learning_rate"] = trainer.optimizers[0].param_groups[0]["lr"]
        for logger in trainer.loggers:
            logger.log_metrics(measured, step)
        text = (
            f"step {step}/{trainer.max_steps}  loss {measured['train/loss']:.4g}  "
            f"{pace:.1f} examples/s  {left} left"
        )
        if self._bar.tasks:
            self._bar.update(self._bar.tasks[0].id, completed=step, description=text)
        elif trainer.is_global_zero:
            self._console.print(text)

    def on_train_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule
    ) -> None:
        """Leave the last state of the bar in place."""
        self._bar.stop()

    def on_exception(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        exception: BaseException,
    ) -> None:
        """Leave the terminal as it was."""
        self._bar.stop()
