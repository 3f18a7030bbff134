from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.enhancement.enhancer import Enhancer
from speechduet.evaluation import ScoredPair, UnscoredFile
from speechduet.model.folder import Pretrained
from speechduet.network.compact import Compact
from speechduet.network.layout import Layout
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck, Process, SchroedingerBridge
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram
from speechduet.study.cache import TimedScores
from speechduet.study.trajectory import Trajectory, enhance_and_score, enhance_with_each

BETAS = (0.0, 0.1, 0.5, 1.0)


@pytest.fixture
def enhancer(tiny_model: Path) -> Enhancer:
    return Enhancer.from_pretrained(tiny_model, "cpu")


def new(layout: Layout, process: Process | None) -> Enhancer:
    """An enhancer with random weights."""
    size = Compact(bins=64, channels=(4, 4), width=8, encoder_blocks=1, decoder_blocks=1)
    modes = {"fast": Sampling(steps=0)}
    transform = Spectrogram(n_fft=126, hop=64)
    return Enhancer(
        Pretrained("new", System(layout, process, size).eval(), transform, modes), "cpu"
    )


def pair_of(folder: Path, name: str = "a") -> ScoredPair:
    noisy = folder / f"valid/noisy/{name}.wav"
    return ScoredPair(name, folder / f"valid/clean/{name}.wav", noisy, noisy)


@pytest.mark.parametrize(("steps", "framings"), [(1, 1), (3, 1), (2, 3)])
def test_every_beta_is_what_the_enhancer_makes(
    enhancer: Enhancer, speech: np.ndarray, steps: int, framings: int
) -> None:
    sampling = Sampling(steps=steps, alpha=0.2, corrector_steps=1, framings=framings)
    waveforms = enhance_with_each(enhancer, speech, sampling, BETAS, seed=3)
    for beta, samples in zip(BETAS, waveforms, strict=True):
        settings = vars(replace(sampling, beta=beta))
        expected = enhancer(speech, 16_000, mode="fast", seed=3, **settings)
        assert np.abs(samples - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize(
    ("layout", "process", "sampling", "betas"),
    [
        (Layout(False, "own"), None, Sampling(steps=0), (1.0,)),
        (Layout(True, "none"), OrnsteinUhlenbeck(), Sampling(steps=2, grid="paper"), (1.0,)),
        (Layout(True, "own"), OrnsteinUhlenbeck(), Sampling(steps=2), BETAS),
        (
            Layout(True, "shared", "clean"),
            SchroedingerBridge(),
            Sampling(steps=2, predictor="ancestral", corrector_steps=0),
            BETAS,
        ),
    ],
    ids=["predictive", "sgmse_plus", "storm", "bridge"],
)
def test_every_layout_makes_one_for_each_beta(
    layout: Layout,
    process: Process | None,
    sampling: Sampling,
    betas: tuple[float, ...],
    speech: np.ndarray,
) -> None:
    enhancer = new(layout, process)
    waveforms = enhance_with_each(enhancer, speech[:8000], sampling, betas, seed=0)
    for beta, samples in zip(betas, waveforms, strict=True):
        settings = vars(replace(sampling, beta=beta))
        expected = enhancer(speech[:8000], 16_000, mode="fast", seed=0, **settings)
        assert np.abs(samples - expected).max() < 1e-5 * max(1e-3, np.abs(expected).max())


def test_one_trajectory_serves_all(enhancer: Enhancer, speech: np.ndarray) -> None:
    called = []
    system = enhancer.system
    assert system.encoder is not None
    system.encoder.register_forward_hook(lambda *_: called.append(1))
    enhance_with_each(enhancer, speech, Sampling(steps=4, corrector_steps=0), BETAS, seed=0)
    assert len(called) == 4


def test_the_generative_result_alone_needs_no_predictive_decoder(
    enhancer: Enhancer, speech: np.ndarray
) -> None:
    decoder = enhancer.pretrained.system.predictive_decoder
    assert decoder is not None
    decoder.register_forward_hook(lambda *_: pytest.fail("was evaluated"))
    enhance_with_each(enhancer, speech, Sampling(steps=2), (1.0,), seed=0)


def test_scores_come_with_the_time_they_took(tiny_model: Path, pairs: Path) -> None:
    trajectory = Trajectory(str(tiny_model), Sampling(steps=2), (0.5, 1.0), 0, pair_of(pairs))
    one, two = enhance_and_score(trajectory)
    assert isinstance(one, TimedScores) and isinstance(two, TimedScores)
    assert one.seconds_per_s == two.seconds_per_s > 0
    assert one.scores != two.scores


def test_the_noisy_recording_is_scored_as_it_is(pairs: Path) -> None:
    (timed,) = enhance_and_score(Trajectory(None, None, (1.0,), 0, pair_of(pairs)))
    assert isinstance(timed, TimedScores)
    assert timed.scores.si_sar is not None and timed.scores.si_sar > 30


def test_failures_are_of_their_file(tiny_model: Path, pairs: Path) -> None:
    other_rate = pairs / "valid/noisy/a.wav"
    soundfile.write(other_rate, np.ones(99), 8_000)
    stereo = pairs / "valid/clean/b.wav"
    soundfile.write(stereo, np.ones((99, 2)), 16_000)
    for name, message in (("a", "expected one sample rate"), ("b", "has 2 channels")):
        trajectory = Trajectory(
            str(tiny_model), Sampling(steps=1), (0.5, 1.0), 0, pair_of(pairs, name)
        )
        for outcome in enhance_and_score(trajectory):
            assert isinstance(outcome, UnscoredFile) and outcome.file == name
            assert message in outcome.error


def test_silence_has_no_score(tiny_model: Path, pairs: Path) -> None:
    soundfile.write(pairs / "valid/noisy/a.wav", np.zeros(24_000), 16_000)
    trajectory = Trajectory(str(tiny_model), Sampling(steps=1), (1.0,), 0, pair_of(pairs))
    (outcome,) = enhance_and_score(trajectory)
    assert isinstance(outcome, UnscoredFile) and "silent" in outcome.error
