"""Arrays and tensors of every kind, to columns of samples and back."""

from typing import Any

import numpy as np
import pytest
import torch

from speechduet.audio.waveform import columns_of, like
from speechduet.errors import AudioError


@pytest.mark.parametrize("shape", [(5,), (1, 5), (3, 5), (1,), (2, 1)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int16, np.int32])
def test_arrays(shape: tuple[int, ...], dtype: type) -> None:
    waveform = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    columns = columns_of(waveform)
    assert columns.dtype == np.float32
    assert columns.shape == (shape[-1], 1 if len(shape) == 1 else shape[0])
    again = like(waveform, columns)
    assert type(again) is np.ndarray and again.dtype == dtype
    np.testing.assert_array_equal(again, waveform)


@pytest.mark.parametrize("shape", [(5,), (3, 5)])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64, torch.int16])
def test_tensors(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    waveform = torch.arange(int(np.prod(shape))).reshape(shape).to(dtype)
    again = like(waveform, columns_of(waveform))
    assert again.dtype == dtype and again.device == waveform.device
    assert torch.equal(again, waveform)


def test_a_tensor_with_a_gradient() -> None:
    waveform = torch.ones(5, requires_grad=True)
    again = like(waveform, columns_of(waveform))
    assert not again.requires_grad and torch.equal(again, waveform.detach())


def test_any_strides() -> None:
    waveform = np.arange(20.0).reshape(2, 10)[:, ::-2]
    np.testing.assert_array_equal(like(waveform, columns_of(waveform)), waveform)


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_integers_are_rounded_and_clipped_and_not_wrapped(kind: Any) -> None:
    integers = np.zeros(4, np.int16)
    columns = np.array([[40_000], [-40_000], [0.6], [-1.5]], np.float32)
    again = like(kind(integers), columns)
    assert again.tolist() == [32_767, -32_768, 1, -2]


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros((1, 2, 3), np.float32), r"shape \[1, 2, 3\] and type float32; expected \[sam"),
        (np.zeros((), np.float32), r"shape \[\]"),
        (np.zeros(9, np.complex64), "type complex64"),
        (torch.zeros(9, dtype=torch.bool), "type bool"),
        (np.zeros(9, np.uint8), "type uint8"),
        (np.zeros((5000, 2), np.float32), r"5000 channels.*transpose it if it is \[samples, ch"),
    ],
)
def test_what_is_no_waveform(waveform: Any, message: str) -> None:
    with pytest.raises(AudioError, match=message):
        columns_of(waveform)
