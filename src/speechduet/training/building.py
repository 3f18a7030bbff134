"""The module of a run with its first weights: new ones, or those of another model."""

import torch

from speechduet.backend.fast_convolutions import fast_convolutions
from speechduet.errors import ModelError, SettingError
from speechduet.model.find import load_any
from speechduet.network.system import System
from speechduet.training.module import Training
from speechduet.training.recipe_file import TrainingRecipe


def build(
    recipe: TrainingRecipe, with_weights: bool = True, weights: System | None = None
) -> Training:
    """The module with the initial weights of a run: those of ``weights`` if it is given."""
    settings = recipe.run
    # config.build() restores the random state, which therefore has to be set for it.
    torch.manual_seed(settings.seed)
    try:
        system = recipe.model.build()
    except SettingError as error:
        raise SettingError(f"{recipe.place_of('network')}: {error}") from None
    if with_weights and weights is not None:
        system.load_state_dict(weights.state_dict())
    elif with_weights and settings.start_from:
        _start_from(recipe, system)
    if settings.compile:
        for part in system.children():
            part.compile(options=_compiler_options())
    else:
        system = system.evaluated_by(fast_convolutions(system))
    return Training(
        system,
        recipe.model.spectrogram,
        recipe.losses,
        recipe.times,
        recipe.optimisation,
        settings.seed,
        settings.gradient_norms_every_steps,
    )


def _start_from(recipe: TrainingRecipe, system: System) -> None:
    source, place = recipe.run.start_from, recipe.place_of("run.start_from")
    try:
        known = load_any(source).system
    except ModelError as error:
        raise ModelError(f"{place}: run.start_from: {error}") from None
    if (known.layout, known.backbone) != (system.layout, system.backbone):
        raise ModelError(
            f"{place}: run.start_from {source} has {known.layout} on {known.backbone}",
            f"{system.layout} on {system.backbone}",
            "start from a model of the same system and size",
        )
    system.load_state_dict(known.state_dict())


def _compiler_options() -> dict[str, bool]:
    """Without the fused reductions of PyTorch 2.10 to 2.13 for GPUs.

    They take gradients of a normalisation's weights in a wrong shape (pytorch/pytorch#178080), or
    get them wrong without a word (#193061).
    """
    from torch._inductor import config as inductor  # takes a second, for compiled networks alone

    fused = "mix_order_reduction"
    return {f"triton.{fused}": False} if hasattr(inductor.triton, fused) else {}
