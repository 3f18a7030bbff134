"""``speechduet models``: the systems that there are, and what they cost."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from torch import nn

    from speechduet.network.joint import System

_FRAMES = 256


def models(
    table: Annotated[
        bool,
        typer.Option("--table", help="Parameters, operations and evaluations at published size."),
    ] = False,
) -> None:
    """List the systems of the literature that this package holds."""
    import torch

    from speechduet.recipe import RECIPES

    if not table:
        for recipe in RECIPES:
            typer.echo(f"{recipe.name:15}{recipe.summary}\n{'':15}{recipe.source}")
        return
    typer.echo(
        "| system | parameters (M) | encoder | generative decoder | predictive part "
        f"| GMAC per evaluation of {_FRAMES} frames | steps | evaluations |"
    )
    typer.echo("|---|---:|---:|---:|---:|---:|---:|---:|")
    for recipe in RECIPES:
        # Shapes without numbers: nothing is allocated.
        with torch.device("meta"):
            system = recipe.build()
        predictive = system.predictive_network or system.predictive_decoder
        parts = (system, system.encoder, system.generative_decoder, predictive)
        cells = [
            *(f"{_parameters(part) / 1e6:.2f}" if part else "–" for part in parts),
            f"{_operations(system) / 1e9:.1f}",
            str(recipe.sampling.steps),
            str(recipe.sampling.evaluations),
        ]
        typer.echo(f"| {recipe.name} | {' | '.join(cells)} |")


def _parameters(part: "nn.Module") -> int:
    """Trainable parameters."""
    return sum(parameter.numel() for parameter in part.parameters() if parameter.requires_grad)


def _operations(system: "System") -> int:
    """Multiply-accumulate operations of one evaluation of the generative (or only) estimate."""
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    y = torch.zeros(1, 1, 256, _FRAMES, dtype=torch.complex64, device="meta")
    t = torch.ones(1, device="meta")
    generative = system.layout.generative
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        system.estimate(y, y, y, t, generative=generative, predictive=not generative)
    return int(counter.get_total_flops()) // 2
