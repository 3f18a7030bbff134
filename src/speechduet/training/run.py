"""Train a recipe: from a YAML file to a model folder, resuming whatever its run folder holds."""

from collections.abc import Iterator
from pathlib import Path

import lightning
import numpy as np
import soundfile
import torch
from lightning.pytorch.callbacks import (
    EMAWeightAveraging,
    LearningRateMonitor,
    ModelCheckpoint,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from speechduet.checkpoint import Pretrained, load, save
from speechduet.data import Mixtures, Recordings
from speechduet.errors import AudioError
from speechduet.training.module import Training, ValidationPass
from speechduet.training.recipe_file import TrainingRecipe


class Pairs(Dataset[tuple[Tensor, Tensor]]):
    """Recordings of the same name in a clean and a noisy folder."""

    def __init__(self, clean: Path, noisy: Path) -> None:
        self.clean = sorted(path for path in clean.iterdir() if path.is_file())
        self.noisy = [noisy / path.name for path in self.clean]
        missing = [path.name for path in self.noisy if not path.exists()]
        if missing or not self.clean:
            raise AudioError(
                f"{len(missing)} of {len(self.clean)} files of {clean} have no partner in {noisy}"
                + (f" (first: {missing[0]})" if missing else ""),
                "the same file names in both folders",
            )

    def __len__(self) -> int:
        return len(self.clean)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        clean, noisy = (
            torch.from_numpy(soundfile.read(path[index], dtype="float32")[0])
            for path in (self.clean, self.noisy)
        )
        return clean, noisy

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        return (self[index] for index in range(len(self)))


def train(recipe: TrainingRecipe, folder: Path) -> Path:
    """Train, or go on training, and return the model folder ``folder/model``.

    ``folder`` holds the checkpoints (``last.ckpt`` is resumed from), CSV and TensorBoard logs. The
    weights of the model are the exponential moving average.
    """
    folder.mkdir(parents=True, exist_ok=True)
    settings = recipe.run
    lightning.seed_everything(settings.seed, verbose=False)
    system = recipe.model.build()
    if settings.start_from:
        system.load_state_dict(load(settings.start_from).system.state_dict())
    module = Training(
        system,
        recipe.model.spectrogram,
        recipe.losses,
        recipe.times,
        recipe.optimisation,
        [ValidationPass(name, sampling) for name, sampling in recipe.model.modes.items()],
    )
    last = folder / "last.ckpt"
    resume = last if last.exists() else None
    loaders = _loaders(recipe, _steps_done(resume))
    trainer = lightning.Trainer(
        accelerator=settings.accelerator,
        precision=settings.precision,
        max_steps=settings.max_steps,
        gradient_clip_val=settings.gradient_clip or None,
        val_check_interval=settings.valid_every_steps if loaders[1] is not None else None,
        check_val_every_n_epoch=None,
        limit_val_batches=None if loaders[1] is not None else 0,
        num_sanity_val_steps=0,
        log_every_n_steps=settings.log_every_steps,
        logger=[
            CSVLogger(folder, name="log", version=""),
            TensorBoardLogger(folder, name="tensorboard", version=""),
        ],
        callbacks=[
            EMAWeightAveraging(decay=settings.ema_decay),
            ModelCheckpoint(
                folder, filename="last", every_n_train_steps=settings.checkpoint_every_steps,
                enable_version_counter=False,
            ),
            LearningRateMonitor("step"),
            TQDMProgressBar(refresh_rate=settings.log_every_steps),
        ],
        enable_model_summary=False,
    )
    trainer.fit(module, loaders[0], loaders[1], ckpt_path=resume, weights_only=False)
    system.eval()
    model = folder / "model"
    steps = trainer.global_step
    trained = {"steps": steps, "audio_hours": round(recipe.audio_hours(steps), 1)}
    metadata = {**recipe.model.metadata, "training": trained}
    save(
        Pretrained(
            recipe.model.name, system, recipe.model.spectrogram, recipe.model.modes, metadata
        ),
        model,
        torch.float16,
    )
    return model


def _steps_done(checkpoint: Path | None) -> int:
    if checkpoint is None:
        return 0
    return int(torch.load(checkpoint, map_location="cpu", weights_only=False)["global_step"])


def _loaders(
    recipe: TrainingRecipe, steps_done: int
) -> tuple[DataLoader[tuple[Tensor, Tensor]], DataLoader[tuple[Tensor, Tensor]] | None]:
    data, settings = recipe.data, recipe.run
    rate = recipe.model.spectrogram.sample_rate
    mixtures = Mixtures(
        Recordings(data.speech, rate, data.speech_weights),
        Recordings(data.noise, rate, data.noise_weights),
        recipe.mixing,
        rate,
        settings.seed,
    )
    mixtures.first = steps_done * settings.batch_size
    training = DataLoader(
        mixtures,
        batch_size=settings.batch_size,
        num_workers=settings.workers,
        persistent_workers=settings.workers > 0,
    )
    if not data.valid_clean:
        return training, None
    pairs = Pairs(Path(data.valid_clean), Path(data.valid_noisy))
    return training, DataLoader(pairs, batch_size=1)
