"""Noise of any stretch of frames."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from speechduet.enhancement.noise import NoiseField
from speechduet.errors import SettingError


def test_noise_is_standard_complex_normal() -> None:
    noise = NoiseField(0, 256).frames(0, 0, 1000)
    assert noise.shape == (1, 256, 1000)
    assert noise.dtype == np.complex64
    for part in (noise.real, noise.imag):
        assert abs(part.mean()) < 5e-3
        assert part.var() == pytest.approx(0.5, abs=5e-3)
    assert abs((noise.real * noise.imag).mean()) < 5e-3


@given(start=st.integers(0, 500), length=st.integers(1, 200))
@settings(deadline=None, max_examples=30)
def test_stretches_of_noise_agree(start: int, length: int) -> None:
    field = NoiseField(3, 4)
    whole = field.frames(5, 0, 700)
    assert np.array_equal(
        field.frames(5, start, start + length), whole[..., start : start + length]
    )


def test_noise_differs_by_seed_draw_and_place() -> None:
    fields = [NoiseField(seed, 4).frames(draw, 0, 128) for seed in (0, 1) for draw in (0, 1)]
    stretches = [part for field in fields for part in (field[..., :64], field[..., 64:])]
    for i, one in enumerate(stretches):
        assert not any(np.array_equal(one, other) for other in stretches[i + 1 :])
        assert all(abs((one * other.conj()).mean()) < 0.3 for other in stretches[i + 1 :])


def test_a_negative_seed() -> None:
    with pytest.raises(SettingError, match="seed is -1; expected a whole number from 0"):
        NoiseField(-1, 4)


def test_noise_is_what_it_was() -> None:
    """The same seed gives the same result in every version."""
    most = NoiseField(2**64 - 1, 3)
    for noise, expected in (
        (NoiseField(7, 3).frames(0, 0, 1), [-0.207422 + 1.20479j, 1.088373 + 0.450253j]),
        (NoiseField(7, 3).frames(2, 130, 131), [-0.102718 + 1.202566j, 0.811447 + 0.979932j]),
        (most.frames(1, 64, 65), [-0.117518 - 0.454455j, 0.355058 + 0.001066j]),
    ):
        np.testing.assert_allclose(noise[0, :2, 0], expected, atol=1e-5)


def test_a_batch_of_noise_is_that_of_its_stretches() -> None:
    field = NoiseField(3, 4)
    batch = field.batch(5, [70, 0, 70], 10)
    assert batch.shape == (3, 1, 4, 10)
    for found, start in zip(batch, (70, 0, 70), strict=True):
        assert np.array_equal(found, field.frames(5, start, start + 10))
