"""Arrays and tensors that users hold, as the columns of samples that the package works on."""

from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from speechduet.audio.formats import Samples
from speechduet.errors import AudioError

Waveform = TypeVar("Waveform", np.ndarray[Any, Any], Tensor)

_MOST_CHANNELS = 256


def columns_of(waveform: Waveform) -> Samples:
    """``[samples]`` or ``[channels, samples]`` -> float32 ``[samples, channels]``, same level.

    Raises AudioError unless it holds floats or signed integers in one of the two shapes.
    """
    kind = str(waveform.dtype).removeprefix("torch.")
    if waveform.ndim not in (1, 2) or not kind.startswith(("float", "bfloat", "int")):
        raise AudioError(
            f"a waveform of shape {list(waveform.shape)} and type {kind}",
            "[samples] or [channels, samples] of floats or signed integers",
        )
    if isinstance(waveform, Tensor):
        columns = np.atleast_2d(waveform.detach().float().cpu().numpy()).T
    else:
        columns = np.atleast_2d(waveform.astype(np.float32)).T
    if columns.shape[1] > _MOST_CHANNELS:
        raise AudioError(
            f"a waveform of {columns.shape[1]} channels",
            f"[channels, samples] with at most {_MOST_CHANNELS} channels",
            "transpose it if it is [samples, channels]",
        )
    return columns


def like(waveform: Waveform, columns: Samples) -> Waveform:
    """Float32 ``[samples, channels]``, of any length, as the waveform's type, axes and dtype."""
    values = np.ascontiguousarray(columns.T)
    if waveform.ndim == 1:
        values = values.reshape(-1)
    kind = str(waveform.dtype).removeprefix("torch.")
    if kind.startswith("int"):
        values = np.rint(values).clip(np.iinfo(kind).min, np.iinfo(kind).max)
    if isinstance(waveform, Tensor):
        return torch.from_numpy(values).to(waveform)
    return values.astype(waveform.dtype)
