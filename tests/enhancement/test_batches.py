"""A batch that cannot be enhanced as asked: a process that diverges, too small a memory."""

import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from speechduet.enhancement.batches import PREDICTED
from speechduet.enhancement.confidence import DisagreementMap
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.files import enhance_file
from speechduet.enhancement.recordings import recording_for
from speechduet.errors import SettingError, SpeechduetError
from speechduet.network.layout import Layout
from speechduet.process import FlowMatching, OrnsteinUhlenbeck, SchroedingerBridge
from speechduet.sampler import Sampling
from stand_ins import Ruled, noisy, ruled

RATE = 16_000
STEP = Sampling(steps=2, predictor="deterministic", corrector_steps=0, beta=0.5)
MODES = {"fast": Sampling(steps=0), "balanced": STEP}
ONLY_GENERATIVE = {"balanced": Sampling(steps=2, predictor="deterministic", corrector_steps=0)}


def sound(samples: int = 3 * RATE, channels: int = 1) -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


def nothing(x_t: Tensor, y: Tensor) -> Tensor:
    return torch.full_like(y, torch.nan)


def endless(x_t: Tensor, y: Tensor) -> Tensor:
    return 1e30 * y


def loud(x_t: Tensor, y: Tensor) -> Tensor:
    return 100 * y


def half(x_t: Tensor, y: Tensor) -> Tensor:
    return 0.5 * y


# A reverse process that diverges

SYSTEMS = {
    "storm": (Layout(True, "own"), OrnsteinUhlenbeck()),
    "gp_sgmse_plus": (Layout(True, "shared"), OrnsteinUhlenbeck()),
    "gp_unified": (Layout(True, "shared"), OrnsteinUhlenbeck()),
    "schroedinger_bridge": (Layout(True, "shared", "clean"), SchroedingerBridge()),
    "flow_matching": (Layout(True, "shared", "clean"), FlowMatching()),
}


@pytest.mark.parametrize("rule", [nothing, endless, loud])
@pytest.mark.parametrize("name", SYSTEMS)
def test_where_it_diverges_the_predictive_estimate_is_taken(name: str, rule: Any) -> None:
    system = Ruled(rule, half)
    system.layout, system.process = SYSTEMS[name]
    enhancer = ruled(system, MODES, segment_s=1)
    with pytest.warns(UserWarning, match="left all bounds; where it did, the predictive") as said:
        enhanced = enhancer(sound(channels=2), RATE)
    assert len(said) == 1  # of all segments
    np.testing.assert_array_equal(enhanced, enhancer(sound(channels=2), RATE, "fast"))


def test_only_where_it_does() -> None:
    def now_and_then(x_t: Tensor, y: Tensor) -> Tensor:
        return torch.where(torch.arange(len(y)).view(-1, 1, 1, 1) == 1, torch.nan, y)

    enhancer = ruled(Ruled(now_and_then, half), MODES, segment_s=1, batch_size=3)
    usual = ruled(Ruled(noisy, half), MODES, segment_s=1, batch_size=3)
    with pytest.warns(UserWarning, match="left all bounds"):
        enhanced = enhancer(sound(RATE // 2, 3), RATE)
    expected = usual(sound(RATE // 2, 3), RATE)
    np.testing.assert_array_equal(enhanced[[0, 2]], expected[[0, 2]])
    np.testing.assert_allclose(enhanced[1], usual(sound(RATE // 2, 3), RATE, "fast")[1], atol=1e-6)


def test_without_a_predictive_decoder_it_is_an_error() -> None:
    system = Ruled(nothing, None)
    system.layout = Layout(True, "none")
    with pytest.raises(SettingError, match=r"left all bounds; .*corrector_snr"):
        ruled(system, ONLY_GENERATIVE)(sound(), RATE)


def test_what_is_only_loud_is_the_result_of_a_model_without_a_predictive_decoder() -> None:
    def loud(x_t: Tensor, y: Tensor) -> Tensor:
        return 1e3 * y

    system = Ruled(loud, None)
    system.layout = Layout(True, "none")
    enhanced = ruled(system, ONLY_GENERATIVE)(sound(), RATE)
    assert np.isfinite(enhanced).all() and np.abs(enhanced).max() > 1e4


def test_if_the_predictive_estimate_is_no_better_it_is_an_error() -> None:
    enhancer = ruled(Ruled(nothing, nothing), MODES)
    for mode in MODES:
        with pytest.raises(SettingError, match="left all bounds"):
            enhancer(sound(), RATE, mode)


def test_a_live_stream_goes_on_too() -> None:
    enhancer = ruled(Ruled(nothing, half), MODES)
    live = enhancer.live(RATE, mode="balanced")
    with pytest.warns(UserWarning, match="the stream: the reverse process") as said:
        enhanced = [*map(live.process, np.split(sound()[0], 30)), live.finish()]
    assert len(said) == 1
    np.testing.assert_allclose(np.concatenate(enhanced), 0.25 * sound()[0], atol=5e-3)


def test_a_file_is_named(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "in.wav", sound()[0], RATE)
    said: list[str] = []
    enhancer = ruled(Ruled(nothing, half), MODES, segment_s=1)
    enhance_file(tmp_path / "in.wav", tmp_path / "out.wav", enhancer, notify=said.append)
    assert said == [f"{tmp_path / 'in.wav'}: {PREDICTED}"]
    assert np.isfinite(soundfile.read(tmp_path / "out.wav")[0]).all()


# Memory that is too small


class Narrow(Ruled):
    """A system with memory for so many frames at once, those of all examples together."""

    def __init__(self, most: int, error: Exception) -> None:
        super().__init__()
        self.most, self.error = most, error

    def estimate(self, x_t: Tensor, y: Tensor, *given: Any, **named: Any) -> Any:
        if y.shape[0] * y.shape[-1] > self.most:
            raise self.error
        return super().estimate(x_t, y, *given, **named)


ERRORS = [
    MemoryError(),
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't "
                 "allocate memory: you tried to allocate 17179869184 bytes."),
]  # fmt: skip


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("batch_size", [1, 3])
def test_less_is_enhanced_at_a_time(error: Exception, batch_size: int) -> None:
    machine = {"segment_s": 8, "batch_size": batch_size}
    enhancer = ruled(Narrow(300, error), MODES, **machine)
    with pytest.warns(UserWarning, match="memory ran out; less is enhanced at a time") as said:
        enhanced = enhancer(sound(20 * RATE, 2), RATE)
    assert len(said) == 1
    expected = ruled(Ruled(), MODES, **machine)(sound(20 * RATE, 2), RATE)
    np.testing.assert_allclose(enhanced, expected, atol=1e-4)


def test_where_decoders_disagree_is_put_together_likewise() -> None:
    def measured(enhancer: Enhancer) -> Any:
        recording = recording_for(enhancer.spectrogram, [sound().T], RATE, BytesIO())
        disagreements = DisagreementMap(enhancer.segmentation(recording), enhancer.spectrogram, 1)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            list(enhancer.enhanced(recording, STEP, disagreements=disagreements))
        return disagreements.map

    narrow = Narrow(200, MemoryError())
    whole = Ruled()
    narrow.rules = whole.rules = (noisy, half)
    found = measured(ruled(narrow, MODES))
    expected = measured(ruled(whole, MODES))
    assert expected.mean() > 0.2
    np.testing.assert_allclose(found, expected, atol=0.05)


def test_a_memory_too_small_for_a_second_is_an_error() -> None:
    enhancer = ruled(Narrow(50, MemoryError()), MODES)
    with (
        pytest.warns(UserWarning, match="memory ran out"),
        pytest.raises(SpeechduetError, match=r"memory ran out, even for 1\.\d s at a time; free"),
    ):
        enhancer(sound(), RATE)


def test_other_errors_are_what_they_are() -> None:
    enhancer = ruled(Narrow(0, RuntimeError("shapes do not fit")), MODES)
    with pytest.raises(RuntimeError, match="shapes do not fit"):
        enhancer(sound(), RATE)


def test_draws_of_ones_own_are_never_drawn_again() -> None:
    def draw(shape: torch.Size) -> Tensor:
        return torch.zeros(shape, dtype=torch.complex64)

    with pytest.raises(MemoryError):
        ruled(Narrow(50, MemoryError()), MODES)(sound(), RATE, noise=draw)
    with pytest.raises(SettingError, match="left all bounds"):
        ruled(Ruled(nothing, half), MODES)(sound(), RATE, noise=draw)
