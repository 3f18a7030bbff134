"""What a candidate runs: an enhancement, an evaluation of its network, or a training step."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from speechduet.bench import upstream
from speechduet.bench.request import Candidate, Request
from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import SettingError
from speechduet.model.find import load_any
from speechduet.model.folder import Pretrained
from speechduet.network.system import System, unstack
from speechduet.recipe import RECIPES
from speechduet.spectrogram import Spectrogram

SEED = 0
ENHANCED_S = 10.0
"""Seconds of audio that are enhanced by default."""
EXCERPT_S = 2.04
"""Seconds of audio in an evaluation or a training step: 256 frames of SGMSE+."""


class Workload(NamedTuple):
    """A candidate that is ready to run."""

    run: Callable[[], Tensor]
    """Does the work once; what it returns is compared with what the others return."""
    audio_s: float
    """Seconds of audio that one run takes in, all examples together."""
    examples: int
    device: torch.device


def workload(request: Request, candidate: Candidate) -> Workload:
    """Make a candidate ready, with the same weights and the same input as the others."""
    if request.train:
        from speechduet.bench.training import training  # here, for it needs Lightning

        return training(request, candidate)
    if request.work == "enhancement":
        return _enhancement(request, candidate)
    return _evaluation(request, candidate)


def _enhancement(request: Request, candidate: Candidate) -> Workload:
    enhancer = ready(request, candidate)
    rate = enhancer.spectrogram.sample_rate
    seconds = request.seconds or ENHANCED_S
    waveform = noise(1, round(seconds * rate))[0]
    mode = request.mode or "balanced"
    enhancer.sampling(mode)  # a mode that the model lacks is an error before anything runs

    def run() -> Tensor:
        enhanced = enhancer(waveform, rate, mode, seed=SEED)
        assert isinstance(enhanced, Tensor)
        return enhanced

    return Workload(run, seconds, 1, enhancer.device)


def _evaluation(request: Request, candidate: Candidate) -> Workload:
    enhancer = ready(request, candidate)
    system, spectrogram = enhancer.system, enhancer.spectrogram
    examples = request.batch_size or 1
    samples = whole_frames(spectrogram, system.frame_multiple, request.seconds or EXCERPT_S)
    noisy, more = noise(2 * examples, samples).to(enhancer.device).chunk(2)
    x_t, y = spectrogram.encode(noisy + more), spectrogram.encode(noisy)
    inputs = x_t, y, torch.full((examples,), 0.5, device=enhancer.device)
    if candidate.code == "speechduet":

        @torch.inference_mode()
        def run() -> Tensor:
            return network_output(system, *inputs)
    else:
        assert request.sgmse is not None
        score = upstream.score_network(request.sgmse, system, enhancer.device)

        @torch.inference_mode()
        def run() -> Tensor:
            return score(*inputs)

    return Workload(run, examples * samples / spectrogram.sample_rate, examples, enhancer.device)


def network_output(system: System, x_t: Tensor, y: Tensor, t: Tensor) -> Tensor:
    """What the generative decoder emits, or the predictive network where there is none."""
    if system.generative_decoder is None:
        return system.prediction(y)
    evaluate = system.backend or system
    return unstack(evaluate("generative", system.inputs(x_t, y, y), t)[0])


def ready(request: Request, candidate: Candidate) -> Enhancer:
    """The model or network of a request, prepared."""
    torch.manual_seed(SEED)
    name = request.network or ("sgmse_plus" if request.sgmse and not request.model else None)
    pretrained = published(name) if name else load_any(request.model)
    return prepared(pretrained, request, candidate)


def prepared(model: Pretrained, request: Request, candidate: Candidate) -> Enhancer:
    """A model on its device and backend; from here on PyTorch has that many threads."""
    return Enhancer(
        *(model, request.device, request.threads),
        backend=candidate.backend,
        precision=candidate.precision,
    )


def published(name: str) -> Pretrained:
    """A system of the literature at its published size, with random weights."""
    recipes = {recipe.name: recipe for recipe in RECIPES}
    if name not in recipes:
        raise SettingError(f"no network {name!r}", "one of " + ", ".join(recipes))
    system = recipes[name].build()
    for parameter in system.parameters():
        if parameter.ndim > 1:
            # Published, some layers start silent, which would hide what the others compute.
            nn.init.xavier_uniform_(parameter)
    return Pretrained(name, system.eval(), Spectrogram(), {"balanced": recipes[name].sampling})


def whole_frames(spectrogram: Spectrogram, multiple: int, seconds: float) -> int:
    """Samples of at least this many seconds, whose frames a network takes without padding."""
    frames = spectrogram.frames(round(seconds * spectrogram.sample_rate))
    return (frames + -frames % multiple - 1) * spectrogram.hop


def noise(examples: int, samples: int) -> Tensor:
    """Waveforms ``[examples, samples]`` to be worked on, the same in each process."""
    return 0.1 * torch.randn(examples, samples, generator=torch.Generator().manual_seed(SEED))
