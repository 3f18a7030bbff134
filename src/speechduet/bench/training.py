"""The training step as a workload: forward, backward, optimiser."""

import torch
from torch import Tensor

from speechduet.backend.fast_convolutions import fast_convolutions
from speechduet.bench import upstream
from speechduet.bench.request import Candidate, Request
from speechduet.bench.workloads import (
    EXCERPT_S,
    SEED,
    Workload,
    noise,
    prepared,
    ready,
    whole_frames,
)
from speechduet.model.folder import Pretrained
from speechduet.training.building import build
from speechduet.training.draws import TrainingTime, draw
from speechduet.training.losses import LossSettings
from speechduet.training.module import Training
from speechduet.training.optimisation import Optimisation
from speechduet.training.recipe_file import read_recipe


def training(request: Request, candidate: Candidate) -> Workload:
    """A training step on noise: the published loss, or that of a recipe.

    The moving averages of the weights, which both codes update after a step, are left out, and so
    is the clipping of gradients. A run returns the loss.
    """
    module, device, seconds, examples = _module(request, candidate)
    spectrogram = module.spectrogram
    samples = whole_frames(spectrogram, module.system.frame_multiple, seconds)
    clean, added = noise(2 * examples, samples).to(device).chunk(2)
    batch = tuple(range(examples))
    if candidate.code == "speechduet":
        parameters = list(module.parameters())

        def loss() -> Tensor:
            x_0, y = spectrogram.encode(clean), spectrogram.encode(clean + added)
            return module.weighted(module.part_losses(x_0, y, samples, batch))

    else:
        assert request.sgmse is not None
        theirs = upstream.score_matching(request.sgmse, module.system, device)
        parameters = list(theirs.network.parameters())
        process = module.system.process
        assert process is not None
        t_min = process.t_min

        def loss() -> Tensor:
            x_0, y = spectrogram.encode(clean), spectrogram.encode(clean + added)
            draws, z, _ = draw(module.seed, batch, y.shape[1:], device)
            return theirs.loss(x_0, y, module.times.of(draws, t_min), z)

    optimiser = module.optimisation.optimiser(parameters)
    bfloat16 = candidate.precision == "bfloat16"

    def run() -> Tensor:
        with torch.autocast(device.type, torch.bfloat16, enabled=bfloat16):
            value = loss()
            value.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            optimiser.zero_grad()
        return value.detach()

    return Workload(run, examples * samples / spectrogram.sample_rate, examples, device)


def _module(request: Request, candidate: Candidate) -> tuple[Training, torch.device, float, int]:
    """What is trained and where, seconds of audio in an example, examples in a step."""
    if request.recipe is not None:
        recipe = read_recipe(request.recipe)
        module = build(recipe, with_weights=False)
        model = Pretrained(recipe.model.name, module.system, module.spectrogram, recipe.model.modes)
        enhancer = prepared(model, request, candidate)
        seconds, examples = recipe.mixing.excerpt_s, recipe.run.batch_size
    else:
        enhancer = ready(request, candidate)
        system = enhancer.pretrained.system
        # Half and half are the published weights of two decoders; one alone has all.
        losses = LossSettings()
        if system.predictive_decoder is None:
            losses = LossSettings(generative=1.0, predictive=1.0)
        module = Training(
            system, enhancer.spectrogram, losses, TrainingTime(), Optimisation(), SEED
        )
        seconds, examples = EXCERPT_S, 1
    plain = candidate.backend == "pytorch"
    module.system = module.system.evaluated_by(None if plain else fast_convolutions(module.system))
    module.requires_grad_(True).train()
    device = enhancer.device
    return module.to(device), device, request.seconds or seconds, request.batch_size or examples
