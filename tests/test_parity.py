"""Agreement with the public SGMSE+ and StoRM code, from one network evaluation to the waveform.

Everywhere the largest error may be 1e-4 of the largest magnitude. The numbers in the repository
are a part of the full vectors (see reference/README.md), which are tested too where they are.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from speechduet.model.folder import Pretrained
from speechduet.model.upstream import released
from speechduet.network.cost import evaluations
from speechduet.network.system import unstack
from speechduet.sampler import Draw, Sampling, reverse
from speechduet.sampler.transition import euler_maruyama, langevin

REFERENCE = Path(__file__).parent / "reference"

RECORDED = {
    "sgmse_plus": {"backbone": "ncsnpp", "sde": "ouve"},
    "storm": {
        "backbone_denoiser": "ncsnpp",
        "backbone_score": "ncsnpp",
        "sde": "ouve",
        "condition": "both",
        "spatial_channels": 1,
    },
}


def vectors(path: Path) -> dict[str, Tensor]:
    """Reference numbers, complex where they mean it."""
    return {
        name.removesuffix(".complex"): torch.view_as_complex(value.contiguous())
        if name.endswith(".complex")
        else value
        for name, value in load_file(path).items()
    }


def kept(system: str, folder: Path) -> tuple[Pretrained, dict[str, Tensor]]:
    """A system from the repository's own numbers, by way of a checkpoint of the public format."""
    numbers = vectors(REFERENCE / f"{system}.safetensors")
    weights = {
        name.removeprefix("weights."): numbers.pop(name)
        for name in list(numbers)
        if name.startswith("weights.")
    }
    path = folder / f"{system}.ckpt"
    torch.save({"state_dict": weights, "hyper_parameters": RECORDED[system]}, path)
    return released.load(path), numbers


def full(system: str, folder: Path) -> tuple[Pretrained, dict[str, Tensor]]:
    """A system and its vectors from the neighbouring folder."""
    source = Path(__file__).parents[2] / "shared" / "reference"
    if not source.is_dir():
        pytest.skip("needs the folder `shared/reference` beside the repository")
    numbers = vectors(source / f"{system}_vectors.safetensors")
    return released.load(source / f"{system}.ckpt"), numbers


Source = Callable[[str, Path], tuple[Pretrained, dict[str, Tensor]]]


@pytest.fixture(scope="module", params=[kept, full])
def sgmse_plus(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Pretrained, dict[str, Tensor]]:
    source: Source = request.param
    return source("sgmse_plus", tmp_path_factory.mktemp("reference"))


@pytest.fixture(scope="module", params=[kept, full])
def storm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Pretrained, dict[str, Tensor]]:
    source: Source = request.param
    return source("storm", tmp_path_factory.mktemp("reference"))


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Within 1e-4 of the largest magnitude; of thinned numbers, at those that are there."""
    if found.shape != expected.shape:
        found = found[..., ::8, ::8]
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()


def replay(noise: Tensor) -> Draw:
    """Recorded noise, in the order in which it is asked for."""
    rest: Iterator[Tensor] = iter(noise)
    return lambda shape: next(rest).reshape(shape)


def enhance(pretrained: Pretrained, noisy: Tensor, sampling: Sampling, draw: Draw) -> Tensor:
    """From waveform to waveform, as the public code does it."""
    system, spectrogram = pretrained.system, pretrained.spectrogram
    level = noisy.abs().max()
    y = spectrogram.encode(noisy[None] / level)
    y = torch.nn.functional.pad(y, (0, -y.shape[-1] % system.frame_multiple))
    *_, last = reverse(system, system.process, y, sampling, draw)
    return spectrogram.decode(last.result, len(noisy))[0] * level


@torch.inference_mode()
def test_sgmse_plus_score(sgmse_plus: tuple[Pretrained, dict[str, Tensor]]) -> None:
    pretrained, expected = sgmse_plus
    system, x_t, y, t = pretrained.system, *(expected[name] for name in ("x_t", "y", "t"))
    assert system.process is not None
    score = unstack(system("generative", system.inputs(x_t, y, y), t)[0])
    assert_close(score, expected["score"])
    # By way of the clean estimate, which is what the sampler works with.
    clean = system.estimate(x_t, y, y, t).generative
    assert clean is not None
    assert_close(system.process.score_from_clean(clean, x_t, y, t), expected["score"])


@torch.inference_mode()
def test_sgmse_plus_process(sgmse_plus: tuple[Pretrained, dict[str, Tensor]]) -> None:
    pretrained, expected = sgmse_plus
    process, x_t, y, t = pretrained.system.process, *(expected[n] for n in ("x_t", "y", "t"))
    assert process is not None
    assert_close(process.kernel(t).std, expected["std"])
    drift, diffusion = process.forward_equation(x_t, y, t)
    assert_close(diffusion, expected["diffusion"])
    assert_close(drift, expected["drift"])
    assert_close(process.mean(x_t, y, t), expected["mean"])


@torch.inference_mode()
def test_sgmse_plus_steps(sgmse_plus: tuple[Pretrained, dict[str, Tensor]]) -> None:
    pretrained, expected = sgmse_plus
    system, x_t, y, t = pretrained.system, *(expected[name] for name in ("x_t", "y", "t"))
    assert system.process is not None
    clean = system.estimate(x_t, y, y, t).generative
    assert clean is not None
    size = expected["predictor_stepsize"].expand(len(t))

    def known(x_t: Tensor, t: Tensor) -> Tensor:
        return clean

    for name, transition in (
        ("corrector", langevin(system.process, known, x_t, y, t, 0.5)),
        ("predictor", euler_maruyama(system.process, known, x_t, y, t, size)),
    ):
        mean, noise = transition.mean, expected[f"{name}_noise"]
        if noise.shape != mean.shape:
            mean = mean[..., ::8, ::8]
        assert_close(mean, expected[f"{name}_mean"])
        state = transition._replace(mean=mean).sample(noise)
        assert_close(state, expected[f"{name}_state"])


@torch.inference_mode()
def test_sgmse_plus_sampler(tmp_path: Path) -> None:
    pretrained, expected = full("sgmse_plus", tmp_path)
    system, sampling = pretrained.system, replace(pretrained.modes["best"], steps=4)
    assert evaluations(system.layout, sampling) == expected["sampler_nfe"]
    draw = replay(expected["sampler_noise"])
    *_, last = reverse(system, system.process, expected["sampler_y"], sampling, draw)
    assert_close(last.result, expected["sampler_result"])


@torch.inference_mode()
def test_sgmse_plus_waveform(sgmse_plus: tuple[Pretrained, dict[str, Tensor]]) -> None:
    pretrained, expected = sgmse_plus
    noisy = expected["waveform_noisy"]
    if "waveform_spectrogram" in expected:
        y = pretrained.spectrogram.encode(noisy[None] / noisy.abs().max())
        assert_close(y[0], expected["waveform_spectrogram"])
    sampling = replace(pretrained.modes["best"], steps=int(expected["waveform_N"]))
    enhanced = enhance(pretrained, noisy, sampling, replay(expected["waveform_noise"]))
    assert_close(enhanced, expected["waveform_enhanced"])


@torch.inference_mode()
def test_storm_networks(storm: tuple[Pretrained, dict[str, Tensor]]) -> None:
    pretrained, expected = storm
    system, x_t, y, t = pretrained.system, *(expected[name] for name in ("x_t", "y", "t"))
    prediction = system.anchor(y)
    assert_close(prediction, expected["denoised"])
    score = unstack(system("generative", system.inputs(x_t, y, prediction), t)[0])
    assert_close(score, expected["score"])


@torch.inference_mode()
def test_storm_waveform(storm: tuple[Pretrained, dict[str, Tensor]]) -> None:
    pretrained, expected = storm
    noisy = expected["waveform_noisy"]
    predicted = enhance(pretrained, noisy, pretrained.modes["fast"], no_noise)
    assert_close(predicted, expected["waveform_denoiser_only"])
    if "waveform_noise" in expected:
        sampling = replace(pretrained.modes["best"], steps=int(expected["waveform_N"]))
        enhanced = enhance(pretrained, noisy, sampling, replay(expected["waveform_noise"]))
        assert_close(enhanced, expected["waveform_enhanced"])


def no_noise(shape: tuple[int, ...]) -> Tensor:
    """For runs whose result must not depend on noise."""
    return torch.zeros(shape, dtype=torch.complex64)
