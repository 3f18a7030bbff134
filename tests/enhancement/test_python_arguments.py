"""What people hand to the enhancer from Python: right, or a clear error."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from speechduet.enhancement import batches
from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import AudioError, SettingError

RATE = 16_000


@pytest.fixture(scope="module")
def enhancer(tiny_model: Path) -> Enhancer:
    return Enhancer.from_pretrained(tiny_model, device="cpu")


@pytest.fixture
def noisy(speech: np.ndarray) -> np.ndarray:
    return speech[:9_000]


@pytest.mark.parametrize(
    "rate",
    [
        np.int64(44_100),
        np.uint16(44_100),
        np.array(44_100),
        torch.tensor(44_100),
        torch.tensor([44_100]),
        44_100.0,
        np.float64(44_100),
        torch.tensor(44_100.0),
    ],
    ids=lambda rate: f"{type(rate).__name__} {getattr(rate, 'dtype', '')}",
)
def test_a_rate_of_any_integer_kind(enhancer: Enhancer, noisy: np.ndarray, rate: Any) -> None:
    np.testing.assert_array_equal(enhancer(noisy, rate), enhancer(noisy, 44_100))
    assert len(list(enhancer.stream(noisy, rate))) == 2
    assert enhancer.live(rate).sample_rate == 44_100


@pytest.mark.parametrize(
    "rate", [0, -1, 2**32, 10**12, 44_100.5, np.nan, np.inf, True, "44100", None]
)
def test_what_is_no_rate(enhancer: Enhancer, noisy: np.ndarray, rate: Any) -> None:
    for call in (enhancer, enhancer.stream, lambda _, rate: enhancer.live(rate)):
        with pytest.raises(AudioError, match="a sample rate of .*; expected a whole number of Hz"):
            list(call(noisy, rate))


@pytest.mark.parametrize("dtype", [">f4", "<f8", ">f8", ">i2", "<i4", ">i4", "i8", "i1", "f2", "g"])
def test_every_width_and_order_of_bytes(enhancer: Enhancer, noisy: np.ndarray, dtype: str) -> None:
    kind = np.dtype(dtype)
    scale = np.iinfo(kind).max * 0.9 if kind.kind == "i" else 1.0
    typed = (noisy / np.abs(noisy).max() * scale).astype(kind)
    native = typed.astype(np.float32)
    out = enhancer(typed, RATE)
    assert out.dtype == kind
    rounding = 0.51 + 1e-5 * scale if kind.kind == "i" else 1e-3
    np.testing.assert_allclose(out.astype(float), enhancer(native, RATE), atol=rounding)


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
@pytest.mark.parametrize("library", ["numpy", "torch"])
def test_full_scale_does_not_wrap(enhancer: Enhancer, dtype: str, library: str) -> None:
    limits = np.iinfo(dtype)
    square = np.where(np.arange(4_000) // 40 % 2, limits.max, limits.min).astype(dtype)
    waveform = torch.from_numpy(square) if library == "torch" else square
    # The input itself comes back, from just above and below its own limits.
    out = np.asarray(enhancer(waveform, RATE, strength=0.0))
    assert (np.sign(out.astype(float)) == np.sign(square.astype(float))).all()
    assert np.abs(out.astype(float) - square.astype(float)).max() <= 1e-6 * limits.max + 1


@pytest.mark.parametrize("waveform", [[0.1] * 500, (0.1, 0.2), None, "noisy.wav", 0.5, range(9)])
def test_what_is_neither_array_nor_tensor(enhancer: Enhancer, waveform: Any) -> None:
    with pytest.raises(AudioError, match=r"a waveform of type \w+; expected a NumPy array or a to"):
        enhancer(waveform, RATE)


@pytest.mark.parametrize("shape", [(9_000, 2), (300, 1), (100, 2), (20, 1), (0, 9_000)])
def test_axes_in_the_wrong_order(enhancer: Enhancer, shape: tuple[int, int]) -> None:
    for waveform in (np.zeros(shape, np.float32), torch.zeros(shape)):
        with pytest.raises(AudioError, match="channels with .* transpose it if it is"):
            enhancer(waveform, RATE)


@pytest.mark.parametrize("shape", [(2, 1), (8, 3), (64, 100), (1, 9_000)])
def test_axes_in_the_right_order(enhancer: Enhancer, shape: tuple[int, int]) -> None:
    assert enhancer(np.zeros(shape, np.float32), RATE).shape == shape


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_another_default_dtype_of_torch(dtype: torch.dtype) -> None:
    """Long enough for the fast convolutions; with a model from before, and a new one."""
    noisy = np.random.default_rng(0).uniform(-0.3, 0.3, 5 * RATE).astype(np.float32)
    enhancer = Enhancer.from_pretrained(device="cpu")
    expected = enhancer(noisy, RATE)
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(dtype)
        for one in (enhancer, Enhancer.from_pretrained(device="cpu")):
            np.testing.assert_allclose(one(noisy, RATE), expected, atol=1e-6)
        live = enhancer.live(RATE)
        assert np.isfinite(np.concatenate([live.process(noisy), live.finish()])).all()
    finally:
        torch.set_default_dtype(before)


@pytest.mark.parametrize("seed", [None, 1.5, "1", -1, 2**64, np.nan])
def test_what_is_no_seed(enhancer: Enhancer, noisy: np.ndarray, seed: Any) -> None:
    for call in (enhancer, enhancer.stream):
        with pytest.raises(SettingError, match=r"seed is .*; expected a whole number from 0 to"):
            list(call(noisy, RATE, seed=seed))
    with pytest.raises(SettingError, match="seed is"):
        enhancer.live(RATE, seed=seed)


@pytest.mark.parametrize("seed", [0, 2**64 - 1, np.int64(7), np.uint8(7)])
def test_seeds(enhancer: Enhancer, noisy: np.ndarray, seed: Any) -> None:
    np.testing.assert_array_equal(
        enhancer(noisy, RATE, seed=seed), enhancer(noisy, RATE, seed=int(seed))
    )


@pytest.mark.parametrize("strength", [np.nan, np.inf, -0.1, 1.1, None, "1"])
def test_what_is_no_strength(enhancer: Enhancer, noisy: np.ndarray, strength: Any) -> None:
    with pytest.raises(SettingError, match="strength is"):
        enhancer(noisy, RATE, strength=strength)


@pytest.mark.parametrize("latency_s", [np.nan, np.inf, -1.0, 0.0, 1e9])
def test_what_is_no_latency(enhancer: Enhancer, latency_s: float) -> None:
    with pytest.raises(SettingError, match="a latency of"):
        enhancer.live(RATE, latency_s=latency_s)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("segment_s", [np.nan, np.inf, 0.0, 1e9, "a", None, True]),
        ("threads", ["2", 1.5, True, 1e9, 10**9, 0, -1]),
        ("batch_size", ["2", 1.5, True, 10**9, 0, -1]),
    ],
)
def test_how_an_enhancer_works_is_checked(tiny_model: Path, name: str, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(SettingError, match=rf"^{name} is .*; expected "):
            Enhancer.from_pretrained(tiny_model, device="cpu", **{name: value})


def test_numbers_of_numpy_say_how_an_enhancer_works(tiny_model: Path) -> None:
    given = {"threads": np.int64(1), "batch_size": np.int32(2), "segment_s": np.float32(4)}
    Enhancer.from_pretrained(tiny_model, device="cpu", **given)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["alpha", "beta", "start", "corrector_snr"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_expert_settings_are_numbers(
    enhancer: Enhancer, noisy: np.ndarray, name: str, value: float
) -> None:
    with pytest.raises(SettingError, match=f"{name} is"):
        enhancer(noisy, RATE, **{name: value})  # type: ignore[arg-type]


def test_expert_settings_of_numpy(enhancer: Enhancer, noisy: np.ndarray) -> None:
    given = enhancer(noisy, RATE, steps=np.int64(1), predict_once=np.bool_(True))  # type: ignore[arg-type]
    np.testing.assert_array_equal(given, enhancer(noisy, RATE, steps=1, predict_once=True))


def test_an_unknown_setting_names_the_nearest(enhancer: Enhancer, noisy: np.ndarray) -> None:
    with pytest.raises(SettingError, match="unknown key 'step'.*did you mean 'steps'"):
        enhancer(noisy, RATE, step=1)


def test_a_result_that_is_not_finite_is_an_error(
    enhancer: Enhancer, noisy: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        batches, "enhance_piece", lambda *given: torch.full_like(given[2], torch.nan)
    )
    with pytest.raises(SettingError, match="the reverse process left all bounds"):
        enhancer(noisy, RATE)
