"""Train a recipe: from a YAML file to a model folder, resuming whatever its run folder holds."""

import logging
import os
import warnings
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy

from speechduet.audio.notices import Notify
from speechduet.backend.fast_convolutions import fast_convolutions
from speechduet.errors import AudioError, ModelError, SettingError
from speechduet.model.find import load_any
from speechduet.network.system import System
from speechduet.training.averages import Averages
from speechduet.training.checkpoints import Checkpoints, Resumed, newest, save_model
from speechduet.training.errors import is_full
from speechduet.training.loading import examples_of, training_batches, validation_pairs
from speechduet.training.module import Training
from speechduet.training.pictures import has_tensorboard
from speechduet.training.progress import JsonLog, ProgressLog, tell
from speechduet.training.recipe_file import TrainingRecipe
from speechduet.training.settings import RunSettings
from speechduet.training.validation import Validation, metrics


def train(recipe: TrainingRecipe, folder: Path, notify: Notify = tell) -> Path:
    """Train, or go on training, and return the model folder ``folder/model``.

    ``folder`` holds ``last.ckpt`` and ``previous.ckpt`` to resume from, ``log.jsonl``, TensorBoard
    events, the models ``best/*`` of validation, and in the end ``model``: the averaged weights, and
    ``model_ema_DECAY`` of every other average. ``notify`` learns what is odd about the recordings,
    and which settings are others than when the run was last started.
    """
    settings = recipe.run
    examples, pairs = examples_of(recipe, notify), validation_pairs(recipe, notify)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise is_full(error, folder) or SettingError(
            f"cannot create {folder} ({error.strerror})", "a folder for the run"
        ) from None
    resumed = newest(folder, recipe)
    step, seen, processes, checkpoint = 0, 0, None, None
    if resumed:
        step, seen = resumed.state["global_step"], resumed.state["examples_seen"]
        processes, checkpoint = resumed.state.get("processes"), resumed.path
        _tell_resumed(resumed, folder, step, settings.max_steps, notify)
    module = build(recipe, with_weights=resumed is None)
    del resumed  # a mapped file, soon to be renamed
    averages = Averages(settings.ema_decays)
    callbacks: list[lightning.Callback] = [averages]
    if pairs:
        if "pesq" not in metrics():
            notify(
                "the best models are chosen by SI-SDR, for pesq or pystoi is not installed; to "
                "choose by PESQ: pip install 'speechduet[evaluation]'"
            )
        callbacks.append(Validation(pairs, recipe, averages, folder / "best"))
    callbacks += [ProgressLog(settings.log_every_steps), Checkpoints(folder, recipe, checkpoint)]
    trainer = _trainer(settings, module.system, callbacks, _loggers(folder, step))
    if processes not in (None, trainer.world_size):
        notify(f"{folder} goes on with {trainer.world_size} processes instead of {processes}")
    batches = training_batches(examples, seen, recipe, trainer.global_rank, trainer.world_size)
    try:
        trainer.fit(module, batches, ckpt_path=checkpoint, weights_only=True)
    except OSError as error:
        if full := is_full(error, folder):
            raise full from error
        raise
    except AudioError as error:
        # A worker's error arrives with its traceback as its text; the last line is the error.
        line = str(error).strip().splitlines()[-1]
        raise AudioError(line.rpartition("AudioError: ")[2]) from None
    if trainer.is_global_zero:
        for decay in averages.decays:
            with averages.in_place(module, decay):
                own = decay == settings.ema_decay
                place = folder / ("model" if own else f"model_ema_{decay}")
                save_model(recipe, module, place, trainer.global_step)
    return folder / "model"


def _tell_resumed(
    resumed: Resumed, folder: Path, step: int, max_steps: int, notify: Notify
) -> None:
    """What a run goes on with, or that it has nothing left to do."""
    if step >= max_steps:
        told = f"{folder} is complete after step {step}: nothing was trained"
        changed = f"; other settings than before: {'; '.join(resumed.changed)}"
        notify(f"{told}; to go on, raise run.max_steps{changed if resumed.changed else ''}")
        return
    for change in resumed.changed:
        notify(f"{folder} goes on after step {step} with another setting: {change}")


def build(recipe: TrainingRecipe, with_weights: bool = True) -> Training:
    """The module with the weights that a run begins with."""
    settings = recipe.run
    _check_excerpt(recipe)
    # config.build() restores the random state, which therefore has to be set for it.
    torch.manual_seed(settings.seed)
    system = recipe.model.build()
    if settings.start_from and with_weights:
        _start_from(settings.start_from, system)
    if settings.compile:
        if settings.gradient_norms_every_steps:
            raise SettingError(
                "run.compile with run.gradient_norms_every_steps",
                "one of the two: compiled networks allow one backward pass",
            )
        for part in system.children():
            part.compile()
    else:
        system = system.evaluated_by(fast_convolutions(system))
    return Training(
        system,
        recipe.model.spectrogram,
        recipe.losses,
        recipe.times,
        recipe.optimisation,
        settings.seed,
        settings.gradient_norms_every_steps,
    )


def _check_excerpt(recipe: TrainingRecipe) -> None:
    transform, multiple = recipe.model.spectrogram, recipe.model.network.frame_multiple
    frames = transform.frames(round(recipe.mixing.excerpt_s * transform.sample_rate))
    if frames % multiple:
        fitting = (frames + -frames % multiple - 1) * transform.hop / transform.sample_rate
        raise SettingError(
            f"mixing.excerpt_s of {recipe.mixing.excerpt_s} makes {frames} frames",
            f"a multiple of the network's {multiple}",
            f"set mixing.excerpt_s to {fitting:.12g}",
        )


def _start_from(source: str, system: System) -> None:
    known = load_any(source).system
    if (known.layout, known.backbone) != (system.layout, system.backbone):
        raise ModelError(
            f"{source} has {known.layout} on {known.backbone}",
            f"{system.layout} on {system.backbone}",
            "start from a model of the same system and size",
        )
    system.load_state_dict(known.state_dict())


def _trainer(
    settings: RunSettings,
    system: System,
    callbacks: list[lightning.Callback],
    loggers: list[Logger],
) -> lightning.Trainer:
    # torchrun says how many processes there are; SLURM's word is checked by Lightning.
    devices = int(os.environ.get("LOCAL_WORLD_SIZE", settings.devices))
    nodes = int(os.environ.get("GROUP_WORLD_SIZE", settings.nodes))
    strategy: Any = "auto"
    if devices * nodes > 1:
        strategy = DDPStrategy(
            # A predictive network carries the time layers of its kind, which stay idle.
            find_unused_parameters=system.predictive_network is not None,
            broadcast_buffers=False,
        )
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", ".*(does not have many workers|LeafSpec).*")
    try:
        return lightning.Trainer(
            accelerator=settings.accelerator,
            devices=devices,
            num_nodes=nodes,
            strategy=strategy,
            precision=settings.precision,
            max_steps=settings.max_steps,
            accumulate_grad_batches=settings.accumulate,
            gradient_clip_val=settings.gradient_clip or None,
            logger=loggers,
            callbacks=callbacks,
            use_distributed_sampler=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
        )
    except (MisconfigurationException, ValueError) as error:
        raise SettingError(
            f"this machine cannot train so ({' '.join(str(error).split())})",
            remedy="change run.accelerator, run.devices or run.precision",
        ) from error


def _loggers(folder: Path, step: int) -> list[Logger]:
    loggers: list[Logger] = [JsonLog(folder / "log.jsonl", step)]
    if has_tensorboard():
        board = TensorBoardLogger(folder, name="tensorboard", version="", purge_step=step or None)
        loggers.append(board)
    return loggers
