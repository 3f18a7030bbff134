"""Train a recipe: from a YAML file to a model folder, resuming whatever its run folder holds."""

import logging
import os
import warnings
from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any, NamedTuple

import lightning
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy
from torch.utils.data import DataLoader

from speechduet.audio.notices import Notify
from speechduet.data import Examples, FittingPair
from speechduet.errors import AudioError, SettingError
from speechduet.network.system import System
from speechduet.training.averages import Averages
from speechduet.training.building import build
from speechduet.training.checkpoints import (
    Checkpoints,
    InPlace,
    Resumed,
    has_checkpoint,
    newest,
    save_model,
)
from speechduet.training.errors import is_full, is_killed, stopped
from speechduet.training.loading import (
    Numbered,
    batch_of,
    examples_of,
    training_batches,
    validation_pairs,
)
from speechduet.training.module import Training
from speechduet.training.pictures import has_tensorboard
from speechduet.training.precision import candidates, device_of, fastest
from speechduet.training.progress import JsonLog, ProgressLog, print_note
from speechduet.training.recipe_file import TrainingRecipe
from speechduet.training.settings import Precision, RunSettings
from speechduet.training.validation import Validation, metrics


def train(
    recipe: TrainingRecipe,
    folder: Path,
    notify: Notify = print_note,
    examples: Examples | None = None,
    weights: System | None = None,
) -> Path:
    """Train, or go on training, and return the model folder ``folder/model``.

    ``folder`` holds ``last.ckpt`` and ``previous.ckpt`` to resume from, ``log.jsonl``, TensorBoard
    events, the models ``best/*`` of validation, and in the end ``model``: the averaged weights, and
    ``model_ema_DECAY`` of every other average. ``notify`` learns what is odd about the recordings,
    which settings are others than when the run was last started, and which precision was chosen.
    ``examples`` are trained on in place of those that the recipe describes; a new run begins with
    ``weights`` in place of those that run.start_from names.
    """
    _check_machine(recipe)
    start = _start(newest(folder, recipe, notify), folder, recipe.run, notify)
    module = build(recipe, start.checkpoint is None, weights)
    # After all that can be wrong in a moment: reading takes minutes.
    examples = examples or examples_of(recipe, notify)
    pairs = validation_pairs(recipe, notify)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise is_full(error, folder, has_checkpoint(folder)) or SettingError(
            f"cannot create {folder} ({error.strerror})", "a folder for the run"
        ) from None
    log = JsonLog(folder / "log.jsonl", start.step)
    precision = recipe.run.precision
    if precision == "auto" and start.precision is not None:
        precision = start.precision
        notify(f"run.precision auto: {precision}, as before")
    elif precision == "auto":
        precision = _chosen(recipe, module, examples, log, notify)
    averages = Averages(recipe.run.ema_decays)
    callbacks: list[lightning.Callback] = [averages]
    if pairs:
        callbacks.append(_validation(pairs, recipe, averages, folder, notify))
    callbacks.append(ProgressLog(recipe.run.log_every_steps))
    callbacks.append(Checkpoints(folder, recipe, start.checkpoint))
    loggers = [log, *_boards(folder, start.step)]
    trainer = _trainer(recipe.run, precision, module.system, callbacks, loggers)
    world = trainer.world_size
    if start.processes not in (None, world):
        notify(f"{folder} goes on with {world} processes instead of {start.processes}")
    batches = training_batches(examples, start.examples, recipe, trainer.global_rank, world)
    _fit(trainer, module, batches, start.checkpoint, folder)
    if trainer.is_global_zero:
        for decay in averages.decays:
            with averages.in_place(module, decay):
                own = decay == recipe.run.ema_decay
                place = folder / ("model" if own else f"model_ema_{decay}")
                save_model(recipe, module, place, trainer.global_step)
    return folder / "model"


class _Start(NamedTuple):
    """Where a run starts or resumes."""

    step: int = 0
    examples: int = 0
    processes: int | None = None
    precision: Precision | None = None
    checkpoint: Path | None = None


def _start(resumed: Resumed | None, folder: Path, settings: RunSettings, notify: Notify) -> _Start:
    """Where the run resumes; notifies of changed settings, and if nothing is left to do."""
    if resumed is None:
        return _Start()
    state = resumed.state
    start = _Start(
        state["global_step"],
        state["examples_seen"],
        state.get("processes"),
        resumed.precision,
        resumed.path,
    )
    if start.step >= settings.max_steps:
        complete = f"{folder} is complete after step {start.step}: nothing was trained"
        changed = f"; other settings than before: {'; '.join(resumed.changed)}"
        notify(f"{complete}; to go on, raise run.max_steps{changed if resumed.changed else ''}")
        return start
    for change in resumed.changed:
        notify(f"{folder} goes on after step {start.step} with another setting: {change}")
    return start


def _chosen(
    recipe: TrainingRecipe, module: Training, examples: Examples, log: JsonLog, notify: Notify
) -> Precision:
    """The precision of a new run whose recipe says auto; it is notified of and logged."""
    settings = recipe.run
    device = device_of(settings.accelerator)
    choices = candidates(device)
    if prod(_processes(settings)) > 1 or len(choices) == 1:
        # Processes that measured on their own might disagree.
        precision = choices[-1] if device.type == "cuda" else choices[0]
        notify(f"run.precision auto: {precision}, without measuring")
        return precision
    choice = fastest(module, batch_of(examples, settings.batch_size), device)
    notify(f"run.precision auto: {choice}")
    log.write(0, {"precision": choice.precision, "seconds_per_step": dict(choice.seconds)})
    return choice.precision


def _validation(
    pairs: Sequence[FittingPair],
    recipe: TrainingRecipe,
    averages: Averages,
    folder: Path,
    notify: Notify,
) -> Validation:
    if "pesq" not in metrics():
        notify(
            "the best models are chosen by SI-SDR, for pesq or pystoi is not installed; to "
            "choose by PESQ: pip install 'speechduet[evaluation]'"
        )
    return Validation(pairs, recipe, averages, folder / "best")


def _fit(
    trainer: lightning.Trainer,
    module: Training,
    batches: DataLoader[Numbered],
    checkpoint: Path | None,
    folder: Path,
) -> None:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*(does not have many workers|LeafSpec).*")
        try:
            trainer.fit(module, batches, ckpt_path=checkpoint, weights_only=True)
        except AudioError as error:
            # A worker's error arrives with its traceback as its text; the last line is the error.
            line = str(error).strip().splitlines()[-1]
            raise AudioError(line.rpartition("AudioError: ")[2]) from None
        except (OSError, EOFError, RuntimeError) as error:
            stopping, saved = trainer.received_sigterm, has_checkpoint(folder)
            full = is_full(error, folder, saved) if isinstance(error, OSError) else None
            raise full or is_killed(error, stopping, saved) or error from None
        except (KeyboardInterrupt, SystemExit):
            raise stopped(has_checkpoint(folder)) from None


def _check_machine(recipe: TrainingRecipe) -> None:
    """The accelerator is there, and does the arithmetic that is asked for."""
    accelerator, device = recipe.run.accelerator, device_of(recipe.run.accelerator)
    if device.type == "cpu" and accelerator not in ("auto", "cpu"):
        raise SettingError(
            f"{recipe.place_of('run.accelerator')}: run.accelerator is {accelerator!r}, "
            "which this machine lacks, or PyTorch does not find",
            "auto or cpu",
        )
    if recipe.run.precision == "16-mixed" and device.type == "cpu":
        raise SettingError(
            f"{recipe.place_of('run.precision')}: run.precision is '16-mixed' on a CPU",
            "a GPU",
            "set run.precision to 32-true, bf16-mixed or auto",
        )


def _processes(settings: RunSettings) -> tuple[int, int]:
    """Processes on a machine, and machines; torchrun knows them better than the settings."""
    return (
        int(os.environ.get("LOCAL_WORLD_SIZE", settings.devices)),
        int(os.environ.get("GROUP_WORLD_SIZE", settings.nodes)),
    )


def _trainer(
    settings: RunSettings,
    precision: Precision,
    system: System,
    callbacks: list[lightning.Callback],
    loggers: list[Logger],
) -> lightning.Trainer:
    # What SLURM says is checked by Lightning.
    devices, nodes = _processes(settings)
    strategy: Any = "auto"
    if devices * nodes > 1:
        strategy = DDPStrategy(
            # A predictive network carries the time layers of its kind, which stay idle.
            find_unused_parameters=system.predictive_network is not None,
            broadcast_buffers=False,
        )
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    try:
        return lightning.Trainer(
            accelerator=settings.accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=strategy,
            precision=precision,
            max_steps=settings.max_steps,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.gradient_clip or None,
            logger=loggers,
            callbacks=callbacks,
            plugins=[InPlace()],
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, ValueError) as error:
        raise SettingError(
            f"this machine cannot train with the recipe's run.accelerator {settings.accelerator}, "
            f"run.devices {devices} and run.precision {precision} ({' '.join(str(error).split())})",
            remedy="change one of them",
        ) from error


def _boards(folder: Path, step: int) -> list[Logger]:
    if not has_tensorboard():
        return []
    return [TensorBoardLogger(folder, name="tensorboard", version="", purge_step=step or None)]
