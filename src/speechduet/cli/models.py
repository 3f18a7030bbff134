"""``speechduet models``: the systems that there are, and what they cost."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from speechduet.evaluation.tables import Table
    from speechduet.network.system import System
    from speechduet.sampler import Sampling
    from speechduet.spectrogram import Spectrogram


class _Model(NamedTuple):
    name: str
    system: "System"
    spectrogram: "Spectrogram"
    modes: "Mapping[str, Sampling]"


def models(
    table: Annotated[
        bool,
        typer.Option(
            "--table",
            help="Parameters by part, operations, and the network calls of each mode: of the "
            "systems at published size and of the bundled models.",
        ),
    ] = False,
) -> None:
    """List the systems of the literature that this package holds."""
    from speechduet.recipe import RECIPES

    if not table:
        for recipe in RECIPES:
            typer.echo(f"{recipe.name:15}{recipe.summary}\n{'':15}{recipe.source}")
        return
    found = [*_published(), *_bundled()]
    typer.echo(f"Trainable parameters\n\n{_parameters(found).to_markdown()}")
    typer.echo(f"{_OPERATIONS_TITLE}\n\n{_operations(found).to_markdown()}")
    typer.echo(f"Calls of each mode\n\n{_modes(found).to_markdown()}", nl=False)


def _published() -> Iterator[_Model]:
    """The systems as their papers run them; *fast* is the predictive estimate alone."""
    import torch

    from speechduet.recipe import RECIPES
    from speechduet.sampler import Sampling
    from speechduet.spectrogram import Spectrogram

    for recipe in RECIPES:
        # Shapes without numbers: nothing is allocated.
        with torch.device("meta"):
            system = recipe.build()
        modes = {"published": recipe.sampling}
        if system.predicts and recipe.sampling.steps:
            modes["fast"] = Sampling(steps=0)
        yield _Model(recipe.name, system, Spectrogram(), modes)


def _bundled() -> Iterator[_Model]:
    from speechduet.model.find import bundled, load_any

    for name in bundled():
        model = load_any(name)
        yield _Model(name, model.system, model.spectrogram, model.modes)


def _parameters(found: list[_Model]) -> "Table":
    from speechduet.evaluation.tables import Table
    from speechduet.network.cost import Parameters, parameters

    rows = []
    for model in found:
        counted = parameters(model.system)
        rows.append((model.name, f"{counted.total:,}", *map(_count, counted)))
    return Table(("system", "total", *map(_words, Parameters._fields)), rows)


_OPERATIONS_TITLE = "Billions of multiply-accumulate operations (GMAC) of one call on 256 frames"


def _operations(found: list[_Model]) -> "Table":
    from speechduet.evaluation.tables import Table
    from speechduet.network.cost import Parts, operations

    rows = []
    for model in found:
        counted = operations(model.system, model.spectrogram.bins)
        rows.append((model.name, *(f"{n / 1e9:.2f}" if n else "–" for n in counted)))
    return Table(("system", *map(_words, Parts._fields)), rows)


def _modes(found: list[_Model]) -> "Table":
    from speechduet.evaluation.tables import Table
    from speechduet.network.cost import (
        Parts,
        calls,
        evaluations,
        operations,
        operations_per_second,
    )

    rows = []
    for model in found:
        each, layout = operations(model.system, model.spectrogram.bins), model.system.layout
        for mode, sampling in model.modes.items():
            rate = operations_per_second(each, layout, sampling, model.spectrogram)
            cells = (str(sampling.steps), str(evaluations(layout, sampling)))
            counted = map(_count, calls(layout, sampling))
            rows.append((model.name, mode, *cells, *counted, f"{rate / 1e9:.1f}"))
    parts = map(_words, Parts._fields)
    return Table(("system", "mode", "steps", "NFE", *parts, "GMAC per second of audio"), rows)


def _words(field: str) -> str:
    return field.replace("_", " ")


def _count(number: int) -> str:
    return f"{number:,}" if number else "–"
