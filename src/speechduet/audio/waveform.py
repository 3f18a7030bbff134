"""Arrays and tensors that users hold, as the columns of samples that the package works on."""

import sys
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from speechduet.audio.formats import Samples
from speechduet.errors import AudioError

if TYPE_CHECKING:
    from torch import Tensor
    from typing_extensions import TypeIs

Waveform = TypeVar("Waveform", np.ndarray[Any, Any], "Tensor")

_MOST_CHANNELS = 256
_FEW_CHANNELS = 8
HIGHEST_RATE = 2**32 - 1
"""Hz: what a WAV header can state."""


def columns_of(waveform: Waveform) -> Samples:
    """``[samples]`` or ``[channels, samples]`` -> float32 ``[samples, channels]``, same level.

    Raises AudioError unless it is a NumPy array or a tensor of floats or signed integers in one of
    the two shapes.
    """
    if not isinstance(waveform, np.ndarray) and not _is_tensor(waveform):
        raise AudioError(
            f"a waveform of type {type(waveform).__name__}",
            "a NumPy array or a torch tensor",
            "numpy.asarray makes one of a list",
        )
    if waveform.ndim not in (1, 2) or not _holds_samples(waveform):
        raise AudioError(
            f"a waveform of shape {list(waveform.shape)} and type {_kind(waveform)}",
            "[samples] or [channels, samples] of floats or signed integers",
        )
    if _is_tensor(waveform):
        columns = np.atleast_2d(waveform.detach().float().cpu().numpy()).T
    else:
        columns = np.atleast_2d(waveform.astype(np.float32)).T
    samples, channels = columns.shape
    most = min(max(samples, _FEW_CHANNELS), _MOST_CHANNELS) if samples else _MOST_CHANNELS
    if not 0 < channels <= most:
        raise AudioError(
            f"a waveform of {channels} channels with {samples} samples each",
            f"[channels, samples] with at most {_MOST_CHANNELS} channels",
            "transpose it if it is [samples, channels]",
        )
    return columns


def like(waveform: Waveform, columns: Samples) -> Waveform:
    """Float32 ``[samples, channels]``, of any length, as the waveform's type, axes and dtype.

    Integers are rounded and clipped, never wrapped.
    """
    values = np.ascontiguousarray(columns.T)
    if waveform.ndim == 1:
        values = values.reshape(-1)
    kind = _kind(waveform)
    if kind.startswith("int"):
        limits = np.iinfo(kind)
        # The largest float64 that fits: 2^63 - 1 itself would be rounded up and wrap.
        most = float(limits.max)
        most = most if int(most) <= limits.max else float(np.nextafter(most, 0))
        values = np.rint(values.astype(np.float64)).clip(float(limits.min), most)
    if _is_tensor(waveform):
        import torch

        return torch.from_numpy(values).to(waveform)
    return values.astype(waveform.dtype)


def rate_of(sample_rate: Any) -> int:
    """A sample rate in Hz as a Python integer: from an integer of any library, 0-d arrays too.

    A whole number that is stored as a float counts as well. Raises AudioError for all else.
    """
    value = sample_rate.item() if hasattr(sample_rate, "item") else sample_rate
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1
    if not whole or not 1 <= value <= HIGHEST_RATE:
        expected = f"a whole number of Hz from 1 to {HIGHEST_RATE}"
        raise AudioError(f"a sample rate of {sample_rate!r}", expected)
    return int(value)


def _is_tensor(waveform: object) -> "TypeIs[Tensor]":
    """Whether it is a tensor of PyTorch, of which there is none where nobody imported that."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(waveform, torch.Tensor)


def _kind(waveform: "np.ndarray[Any, Any] | Tensor") -> str:
    """The name of a dtype, whatever the library and the order of bytes: float32, int16, ..."""
    if _is_tensor(waveform):
        return str(waveform.dtype).removeprefix("torch.")
    name: str = waveform.dtype.name
    return name


def _holds_samples(waveform: "np.ndarray[Any, Any] | Tensor") -> bool:
    return _kind(waveform).startswith(("float", "longdouble", "bfloat", "int"))
