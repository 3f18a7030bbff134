"""Waveform to waveform: shapes and kinds, seams, noise, settings, and the published systems."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from speechduet.audio import offset
from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import AudioError, SettingError
from speechduet.network.layout import Layout
from speechduet.sampler import Sampling
from stand_ins import Rule, Ruled, noisy, ruled

MODES = {
    "fast": Sampling(steps=0),
    "balanced": Sampling(steps=2, predictor="ancestral", corrector_steps=0, beta=0.5),
}


def enhancer(rule: Rule, modes: dict[str, Sampling] = MODES, **machine: Any) -> Enhancer:
    return ruled(Ruled(rule, lambda x_t, y: rule(y, y)), modes, **machine)


def batches(of: Enhancer) -> list[tuple[int, ...]]:
    system: Any = of.pretrained.system
    return list(system.batches)


def noisy_speech(*shape: int) -> np.ndarray[Any, Any]:
    """``[samples]`` or, of ``samples, channels``, ``[channels, samples]``."""
    return np.random.default_rng(1).uniform(-0.5, 0.5, shape[::-1]).astype(np.float32)


def centred(waveform: np.ndarray[Any, Any], sample_rate: int = 16_000) -> np.ndarray[Any, Any]:
    """Without direct current, ``[samples]`` or ``[channels, samples]``."""
    return offset.centred(np.atleast_2d(waveform).T, sample_rate).T.reshape(waveform.shape)


def from_state(x_t: Tensor, y: Tensor) -> Tensor:  # depends on the noise
    return 0.7 * x_t + 0.3 * y


def smeared(x_t: Tensor, y: Tensor) -> Tensor:  # depends on the frames around
    return sum(y.roll(shift, -1) for shift in range(-5, 6)) / 11  # type: ignore[return-value]


# Shapes and kinds


@pytest.mark.parametrize("samples", [1, 2, 127, 128, 255, 256, 5000])
@pytest.mark.parametrize("mode", ["fast", "balanced"])
def test_an_identity_system_gives_back_the_input(samples: int, mode: str) -> None:
    waveform = noisy_speech(samples)
    enhanced = enhancer(noisy)(waveform, 16_000, mode)
    np.testing.assert_allclose(enhanced, centred(waveform), atol=2e-5)


@pytest.mark.parametrize("channels", [1, 2, 8])
@pytest.mark.parametrize(
    "sample_rate", [8000, 11_025, 12_345, 16_000, 22_050, 44_100, 48_000, 96_000]
)
def test_rates_and_channels(channels: int, sample_rate: int) -> None:
    times = np.arange(sample_rate // 2) / sample_rate
    pitches = 300 * np.arange(1, channels + 1)[:, None]
    waveform = (0.3 * np.sin(2 * np.pi * pitches * times)).astype(np.float32)
    out = enhancer(noisy)(waveform, sample_rate)
    assert out.shape == waveform.shape
    middle = slice(sample_rate // 10, -sample_rate // 10)
    np.testing.assert_allclose(out[:, middle], waveform[:, middle], atol=2e-3)


@pytest.mark.parametrize("convert", [np.float64, np.int16, torch.tensor])
def test_the_same_kind_comes_back(convert: Any) -> None:
    waveform = convert(1000 * noisy_speech(3000, 2))
    out = enhancer(noisy)(waveform, 16_000)
    assert type(out) is type(waveform) and out.dtype == waveform.dtype
    expected = centred(np.asarray(waveform, np.float32))
    np.testing.assert_allclose(out, expected, atol=1)


def test_the_input_is_left_alone() -> None:
    waveform = noisy_speech(3000)
    before = waveform.copy()
    enhancer(from_state)(waveform, 16_000, strength=0.5)
    np.testing.assert_array_equal(waveform, before)


@pytest.mark.parametrize("level", [1e-6, 1e-3, 1, 1e4])
def test_the_level_does_not_matter(level: float) -> None:
    waveform = noisy_speech(3000)
    plain = enhancer(from_state)(waveform, 16_000)
    np.testing.assert_allclose(
        enhancer(from_state)(np.float32(level) * waveform, 16_000) / level, plain, atol=1e-4
    )


def test_channels_are_enhanced_on_their_own() -> None:
    waveform = noisy_speech(3000, 3) * np.array([[1], [0.1], [0.01]], np.float32)
    together = enhancer(from_state)(waveform, 16_000)
    for channel, alone in zip(together, waveform, strict=True):
        expected = enhancer(from_state)(alone, 16_000)
        np.testing.assert_allclose(channel, expected, atol=1e-4 * np.abs(alone).max())


def test_silence_never_reaches_the_network() -> None:
    tested = enhancer(lambda x_t, y: torch.ones_like(y))
    assert not tested(np.zeros((2, 40_000), np.float32), 44_100).any()
    assert not batches(tested)
    half_silent = np.stack([np.zeros(3000, np.float32), noisy_speech(3000)])
    out = tested(half_silent, 16_000)
    assert not out[0].any() and out[1].any()
    assert [shape[0] for shape in batches(tested)] == [1]


@pytest.mark.parametrize(
    "waveform",
    [
        np.clip(5 * noisy_speech(5000), -1, 1),
        np.eye(1, 5000, 2500, dtype=np.float32)[0],
    ],
    ids=["clipped", "click"],
)
def test_odd_input_is_enhanced_like_any_other(waveform: np.ndarray[Any, Any]) -> None:
    enhanced = enhancer(noisy)(waveform, 16_000)
    np.testing.assert_allclose(enhanced, centred(waveform), atol=1e-4)


# Long recordings


def longer(rule: Rule, **machine: Any) -> tuple[Enhancer, np.ndarray[Any, Any]]:
    """One that has to cut its recording of 3.1 s into pieces of about 1 s."""
    return enhancer(rule, segment_s=1, **machine), noisy_speech(50_001, 2)


@pytest.mark.parametrize("rule", [noisy, from_state])
def test_segments_give_what_one_piece_gives(rule: Rule) -> None:
    cut, waveform = longer(rule)
    whole = enhancer(rule)
    # One piece mirrors its end, and a last segment may have a few zeros there.
    end = 50_001 if rule is noisy else 49_000
    np.testing.assert_allclose(
        cut(waveform, 16_000)[:, :end], whole(waveform, 16_000)[:, :end], atol=1e-4
    )
    assert len(batches(whole)) == 2
    assert len(batches(cut)) > 6
    assert len(set(batches(cut))) == 1, "segments are of one length"


def test_both_segments_know_what_lies_around_their_seam() -> None:
    cut, waveform = longer(smeared)
    np.testing.assert_allclose(
        cut(waveform, 16_000, "fast")[:, 1000:-1000],
        enhancer(smeared)(waveform, 16_000, "fast")[:, 1000:-1000],
        atol=1e-4,
    )


@pytest.mark.parametrize("batch_size", [2, 3, 100])
def test_the_batch_size_does_not_matter(batch_size: int) -> None:
    one, waveform = longer(from_state)
    many, _ = longer(from_state, batch_size=batch_size)
    np.testing.assert_allclose(one(waveform, 16_000), many(waveform, 16_000), atol=1e-5)
    assert max(shape[0] for shape in batches(many)) == min(batch_size, len(batches(one)))


def test_frames_are_padded_to_what_the_network_needs() -> None:
    tested, waveform = enhancer(noisy), noisy_speech(3000)
    tested.system.frame_multiple = 16
    out = tested(waveform, 16_000)
    assert batches(tested) == [(1, 1, 256, 32)]
    # As in SGMSE+, the padding's frames overlap with the last half window and change it.
    np.testing.assert_allclose(out[:-255], centred(waveform)[:-255], atol=2e-5)


# Noise


def test_seeds() -> None:
    tested, waveform = enhancer(from_state), noisy_speech(3000)
    one, again, other = (tested(waveform, 16_000, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert np.abs(one - other).max() > 0.01


def test_noise_of_the_users_own() -> None:
    shapes = []

    def draw(shape: tuple[int, ...]) -> Tensor:
        shapes.append(tuple(shape))
        return torch.zeros(shape, dtype=torch.complex64)

    tested, waveform = enhancer(from_state), noisy_speech(3000, 2)
    silent_noise = tested(waveform, 16_000, noise=draw, seed=1)
    # Two steps without a corrector draw for the start and for one step; the last adds no noise.
    assert shapes == [(2, 1, 256, 26)] * 2
    np.testing.assert_array_equal(silent_noise, tested(waveform, 16_000, noise=draw, seed=2))


# Settings


def test_modes_and_expert_settings() -> None:
    tested = enhancer(noisy)
    assert tested.sampling() == MODES["balanced"]
    assert tested.sampling("fast") == MODES["fast"]
    chosen = tested.sampling("balanced", steps=30, alpha=0.2, beta=0.1)
    assert (chosen.steps, chosen.alpha, chosen.beta) == (30, 0.2, 0.1)
    assert chosen.predictor == "ancestral"


def test_the_paper_grid_brings_its_predictor() -> None:
    assert enhancer(noisy).sampling(grid="paper").predictor == "euler_maruyama"
    with pytest.raises(SettingError, match="grid 'paper' with the ancestral predictor"):
        enhancer(noisy).sampling(grid="paper", predictor="ancestral")


def test_a_mode_that_a_model_lacks() -> None:
    with pytest.raises(SettingError, match="has no mode 'best'; expected one of fast, balanced"):
        enhancer(noisy)(noisy_speech(100), 16_000, "best")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": -1}, "steps is -1"),
        ({"grid": "fine"}, "grid is 'fine'; expected one of exact, paper"),
        ({"alpha": 2}, "alpha is 2"),
        ({"start": 0}, "start is 0"),
        ({"strength": 2}, "strength is 2"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_a_setting_out_of_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        enhancer(noisy)(noisy_speech(100), 16_000, **settings)


def test_an_unknown_setting() -> None:
    with pytest.raises(SettingError, match="stepz.*did you mean 'steps'"):
        enhancer(noisy)(noisy_speech(100), 16_000, stepz=3)


def test_decoders_that_a_model_lacks() -> None:
    tested = enhancer(noisy)
    tested.system.layout = Layout(generative=True, predictive="none")
    with pytest.raises(SettingError, match="no predictive decoder"):
        tested.sampling(beta=0.1)
    tested.system.layout = Layout(generative=False, predictive="own")
    with pytest.raises(SettingError, match="no generative decoder.*use mode 'fast'"):
        tested.sampling("fast", steps=1)


@pytest.mark.parametrize("strength", [0.0, 0.25])
def test_strength_mixes_with_the_input(strength: float) -> None:
    tested, waveform = enhancer(lambda x_t, y: 0 * y), noisy_speech(3000, 2)
    out = tested(waveform, 44_100, strength=strength)
    np.testing.assert_allclose(out, (1 - strength) * waveform, atol=1e-6)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(0, np.float32), "the waveform holds no samples"),
        (np.array([0.1, np.nan], np.float32), "sample 1 of the waveform is NaN"),
        (np.array([np.inf], np.float32), "sample 0 of the waveform is NaN or infinite"),
    ],
)
def test_unusable_waveforms(waveform: np.ndarray[Any, Any], message: str) -> None:
    with pytest.raises(AudioError, match=message):
        enhancer(noisy)(waveform, 16_000)


# Each step


def test_the_stream_gives_every_step() -> None:
    tested, waveform = enhancer(from_state), noisy_speech(3000, 2)
    steps = list(tested.stream(waveform, 16_000, steps=3))
    assert [step.time for step in steps] == pytest.approx([1, 0.515, 0.03])
    assert [step.predictive is not None for step in steps] == [False, False, True]
    assert steps[0].state.shape == (2, 1, 256, 26)
    clean = tested.spectrogram.decode(steps[-1].result, 3000).numpy()
    peaks = np.abs(centred(waveform)).max(axis=1, keepdims=True)
    np.testing.assert_allclose(clean * peaks, tested(waveform, 16_000, steps=3), atol=1e-5)


def test_the_stream_leaves_gradients_on() -> None:
    for _ in enhancer(noisy).stream(noisy_speech(3000), 16_000):
        assert torch.is_grad_enabled() and not torch.is_inference_mode_enabled()
