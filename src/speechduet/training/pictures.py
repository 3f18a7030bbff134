"""Audio and spectrograms for TensorBoard."""

from collections.abc import Sequence

from lightning.pytorch.loggers import Logger, TensorBoardLogger
from torch import Tensor

from speechduet.picture import DYNAMIC_RANGE_DB, level_db


def show(
    loggers: Sequence[Logger], name: str, waveform: Tensor, sample_rate: int, step: int
) -> None:
    """Log a waveform ``[samples]`` as audio and as a picture of its spectrogram."""
    for logger in loggers:
        if isinstance(logger, TensorBoardLogger):
            level = level_db(waveform, sample_rate)
            bright = (level - level.max()) / DYNAMIC_RANGE_DB + 1
            board = logger.experiment
            board.add_image(name, bright.clamp(0, 1).flip(0), step, dataformats="HW")
            board.add_audio(name, waveform.clamp(-1, 1)[None], step, sample_rate=sample_rate)


def has_tensorboard() -> bool:
    """Whether TensorBoard can be written for."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError:
        return False
    return True
