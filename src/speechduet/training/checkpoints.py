"""What a run leaves on disk: its state, to be resumed from, and its models."""

import os
import re
import shutil
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from time import monotonic
from typing import Annotated, Any, NamedTuple

import lightning
import torch
from annotated_types import Ge
from lightning.pytorch.plugins.io import TorchCheckpointIO
from pydantic import ConfigDict, TypeAdapter, with_config
from torch import Tensor
from typing_extensions import NotRequired, TypedDict

from speechduet.audio.notices import Notify
from speechduet.errors import ModelError
from speechduet.files.zipped import DAMAGED_ZIP
from speechduet.model.folder import CONFIG, Pretrained, save
from speechduet.settings import Count, Whole
from speechduet.training.after_step import AfterStep
from speechduet.training.errors import TrainingError, going_on
from speechduet.training.module import Training
from speechduet.training.progress import print_note
from speechduet.training.recipe_file import TrainingRecipe
from speechduet.training.resuming import changes, recorded_in, settings_of
from speechduet.training.settings import Precision

LAST, PREVIOUS = "last.ckpt", "previous.ckpt"


@with_config(ConfigDict(strict=True, arbitrary_types_allowed=True))
class _State(TypedDict):
    """What a checkpoint of a run holds, as far as a run goes on from it."""

    global_step: Whole
    examples_seen: Annotated[int, Ge(0)]
    state_dict: dict[str, Tensor]
    loops: dict[str, Any]
    callbacks: dict[str, Any]
    optimizer_states: list[dict[str, Any]]
    lr_schedulers: list[dict[str, Any]]
    adversary: NotRequired[dict[str, dict[str, Any]]]
    settings: NotRequired[dict[str, Any]]
    identity: NotRequired[dict[str, Any]]
    processes: NotRequired[Count | None]
    precision: NotRequired[Precision | None]


class Resumed(NamedTuple):
    """A checkpoint, what it holds, and which settings are others now, in words."""

    path: Path
    state: dict[str, Any]
    changed: list[str]

    @property
    def precision(self) -> Precision | None:
        """What the run was last trained in; None if the checkpoint is too old to say."""
        found: Precision | None = self.state.get("precision")
        return found or recorded_in(self.state).get("run.precision")


def has_checkpoint(folder: Path) -> bool:
    """Whether there is anything to go on from in a run folder."""
    return any((folder / name).exists() for name in (LAST, PREVIOUS))


def newest(folder: Path, recipe: TrainingRecipe, notify: Notify = print_note) -> Resumed | None:
    """The newest checkpoint of a run folder that can be resumed from; None in a new folder.

    ``notify`` learns that it is not the last one. Raises TrainingError if all are damaged,
    ModelError if they are none of a run, or if a setting differs that a run must keep.
    """
    found = [path for path in (folder / LAST, folder / PREVIOUS) if path.exists()]
    whole = [path for path in found if _whole(path)]
    if found and not whole:
        raise TrainingError(
            f"{' and '.join(map(str, found))} are damaged",
            "a checkpoint to resume from",
            "delete them to start again",
        )
    for path in whole:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            TypeAdapter(_State).validate_python(state)
            changed = changes(recorded_in(state), recipe)
        except (UnpicklingError, RuntimeError, LookupError, AttributeError, TypeError, ValueError):
            continue
        if changed.refused:
            raise ModelError(
                f"{path} is of another run: {'; '.join(changed.refused)}",
                "the settings that the run was begun with",
                "give another --folder for a new run",
            )
        if path != found[0]:
            notify(f"{found[0]} is damaged: the run goes on from {path}, one checkpoint earlier")
        return Resumed(path, state, changed.applied)
    if not found:
        return None
    raise ModelError(
        f"{whole[0]} is no checkpoint of a run",
        "one that speechduet train has written",
        "give another --folder for a new run",
    )


class InPlace(TorchCheckpointIO):
    """Checkpoints are written where they are to be, and brought to the disk.

    Lightning writes them to /tmp first, which may be full, and where a killed run leaves them.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None
    ) -> None:
        """Write a checkpoint. Raises OSError, which `torch.save` to a file turns into others."""
        content = BytesIO()
        torch.save(checkpoint, content)
        with Path(path).open("wb") as file:
            file.write(content.getbuffer())
            file.flush()
            os.fsync(file.fileno())


class Checkpoints(AfterStep):
    """Saves the state of the run now and then, under a temporary name that is then changed.

    The state before it is kept too, so that one of the two is whole whenever the machine fails.
    """

    def __init__(self, folder: Path, recipe: TrainingRecipe, resumed_from: Path | None) -> None:
        self.folder = folder
        self.recipe = recipe
        self._last_is_whole = resumed_from == folder / LAST
        self._begun = monotonic()

    def after_step(self, trainer: lightning.Trainer, module: Training, step: int) -> None:
        """Save, and stop when the time is over."""
        settings = self.recipe.run
        minutes = (monotonic() - self._begun) / 60
        # All processes must agree when to stop, or some would wait for the others.
        over = bool(settings.max_minutes) and bool(
            trainer.strategy.broadcast(minutes >= settings.max_minutes)
        )
        if over or step % settings.checkpoint_every_steps == 0 or step == settings.max_steps:
            self._save(trainer, module, step)
        if over:
            trainer.should_stop = True

    def on_save_checkpoint(
        self,
        trainer: lightning.Trainer,
        pl_module: lightning.LightningModule,
        checkpoint: dict[str, Any],
    ) -> None:
        """Note the settings, the precision that was chosen and the number of processes."""
        checkpoint["settings"] = settings_of(self.recipe)
        checkpoint["precision"] = trainer.precision
        checkpoint["processes"] = trainer.world_size

    def _save(self, trainer: lightning.Trainer, module: Training, step: int) -> None:
        if not all(bool(weights.isfinite().all()) for weights in module.parameters()):
            raise TrainingError(
                f"weights are not finite after step {step}",
                "finite numbers",
                "set run.gradient_clip, and start again; the last checkpoint, if any, is kept",
            )
        last, part = self.folder / LAST, self.folder / f"{LAST}.part"
        try:
            trainer.save_checkpoint(part)
            if trainer.is_global_zero:
                if self._last_is_whole and last.exists():
                    last.replace(self.folder / PREVIOUS)
                part.replace(last)
        except OSError as error:
            with suppress(OSError):
                part.unlink()
            raise TrainingError(
                f"cannot write the checkpoint of step {step} to {self.folder} ({error.strerror})",
                "free disk space",
                f"start again when there is: the run {going_on(has_checkpoint(self.folder))}",
            ) from error
        self._last_is_whole = True


def save_model(
    recipe: TrainingRecipe,
    module: Training,
    folder: Path,
    step: int,
    scores: Mapping[str, float] | None = None,
) -> None:
    """The module's present weights as a model folder, with 16-bit numbers."""
    trained: dict[str, Any] = {
        "steps": step,
        "audio_hours": round(recipe.audio_hours(module.examples_seen), 1),
    }
    if scores:
        trained["validation"] = {name: round(score, 4) for name, score in scores.items()}
    model = recipe.model
    metadata = {**model.metadata, "training": trained}
    pretrained = Pretrained(model.name, module.system, model.spectrogram, model.modes, metadata)
    try:
        save(pretrained, folder, torch.float16)
    except ModelError as error:
        # Nothing is wrong with what was asked for; a run has failed.
        raise TrainingError(str(error), remedy="start again when that is mended") from error


def keep_best(folder: Path, keep: int, name: str) -> bool:
    """Whether a model of this name is among the best of a folder; those it displaces are deleted.

    Names are ``METRIC_SCORE_step_STEP``, and more is better. A folder without a config is one whose
    saving was cut short.
    """
    names = [path.name for path in folder.glob("*_step_*") if (path / CONFIG).exists()]
    ranked = sorted({*names, name}, key=_rank, reverse=True)
    for path in folder.glob("*_step_*"):
        if path.name not in ranked[:keep]:
            shutil.rmtree(path)
    return name in ranked[:keep]


def _rank(name: str) -> tuple[float, int]:
    parts = re.fullmatch(r".*_(-?[\d.]+)_step_(\d+)", name)
    return (float(parts[1]), int(parts[2])) if parts else (float("-inf"), 0)


def _whole(path: Path) -> bool:
    """Whether every part of a checkpoint, which is a zip file, has its checksum."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.testzip() is None
    except (*DAMAGED_ZIP, OSError):
        return False
