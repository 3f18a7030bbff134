"""``speechduet models``: the systems that there are, and what they cost."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechduet.names import shown

if TYPE_CHECKING:
    from speechduet.evaluation.tables import Table
    from speechduet.model.folder import Pretrained


def models(
    table: Annotated[
        bool,
        typer.Option(
            "--table",
            help="Parameters by part, operations, and the network calls of each mode: of the "
            "systems at published size and of the bundled models.",
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")] = False,
) -> None:
    """List the systems of the literature that this package holds, and models to enhance with."""
    if as_json:
        typer.echo(json.dumps(_as_json(table), indent=1, ensure_ascii=False))
        return
    if not table:
        _list_systems()
        typer.echo("\nModels for --model")
        list_models()
        _list_checkpoints()
        return
    sections = (f"{title}\n\n{table.to_markdown()}" for title, table in _tables().items())
    typer.echo("\n".join(sections), nl=False)


def list_models() -> None:
    """Print the models that --model takes by name: bundled, and in the Hub's cache."""
    from speechduet.model.find import bundled
    from speechduet.model.hub import cached

    for name in bundled():
        typer.echo(name)
    for name in cached():
        typer.echo(shown(name))
    typer.echo(
        "Also a model folder, a .ckpt of SGMSE+ or StoRM, or a model of the Hugging Face Hub: "
        "org/name, or org/name@revision.",
        err=True,
    )


def _as_json(table: bool) -> dict[str, Any]:
    """All that is listed, and the tables if they are asked for, as rows by their heads."""
    from speechduet.model.find import bundled
    from speechduet.model.hub import cached
    from speechduet.model.upstream.checkpoint_files import CHECKPOINT_FILES
    from speechduet.recipe import RECIPES

    listed: dict[str, Any] = {
        "systems": [
            {"name": one.name, "summary": one.summary, "source": one.source} for one in RECIPES
        ],
        "bundled": bundled(),
        "cached": cached(),
        "published_checkpoints": [asdict(file) for file in CHECKPOINT_FILES],
    }
    if table:
        listed["tables"] = {
            title: [dict(zip(one.header, row, strict=True)) for row in one.rows]
            for title, one in _tables().items()
        }
    return listed


def _list_systems() -> None:
    from speechduet.recipe import RECIPES

    for recipe in RECIPES:
        typer.echo(f"{recipe.name:15}{recipe.summary}\n{'':15}{recipe.source}")


def _list_checkpoints() -> None:
    from speechduet.model.upstream.checkpoint_files import CHECKPOINT_FILES

    typer.echo("\nPublished checkpoints known by name (--model FILE)")
    for file in CHECKPOINT_FILES:
        settings = f"filled in: {file.stated}" if file.stated else "default settings"
        typer.echo(f"{file.name}\n{'':15}{file.system}, {file.trained_on}; {settings}")


def _tables() -> "dict[str, Table]":
    """Parameters, operations, and calls of each mode, by their titles."""
    from speechduet.evaluation.tables import Table
    from speechduet.network.cost import (
        FRAMES,
        Parts,
        calls,
        evaluations,
        operations,
        operations_per_second,
        parameters,
    )

    sizes, costs, modes = [], [], []
    for model in (*_published(), *_bundled()):
        name, system, transform = model.name, model.system, model.spectrogram
        sizes.append((name, f"{sum(parameters(system)):,}", *map(_count, parameters(system))))
        each = operations(system, transform.bins)
        costs.append((name, *(f"{number / 1e9:.2f}" if number else "–" for number in each)))
        for mode, sampling in model.modes.items():
            rate = operations_per_second(each, system.layout, sampling, transform)
            counts = map(_count, calls(system.layout, sampling))
            nfe = str(evaluations(system.layout, sampling))
            modes.append((name, mode, str(sampling.steps), nfe, *counts, f"{rate / 1e9:.1f}"))
    parts = [field.replace("_", " ") for field in Parts._fields]
    of_modes = ("system", "mode", "steps", "NFE", *parts, "GMAC per second of audio")
    multiply = "Billions of multiply-accumulate operations (GMAC)"
    return {
        "Trainable parameters": Table(("system", "total", *parts), sizes),
        f"{multiply} of one call on {FRAMES} frames": Table(("system", *parts), costs),
        "Calls of each mode": Table(of_modes, modes),
    }


def _published() -> "Iterator[Pretrained]":
    """The systems as their papers run them, without numbers; *fast* is the prediction alone."""
    import torch

    from speechduet.model.folder import Pretrained
    from speechduet.recipe import RECIPES
    from speechduet.sampler import Sampling
    from speechduet.spectrogram import Spectrogram

    for recipe in RECIPES:
        with torch.device("meta"):  # nothing is allocated
            system = recipe.build()
        modes = {"published": recipe.sampling}
        if system.predicts and recipe.sampling.steps:
            modes["fast"] = Sampling(steps=0)
        yield Pretrained(recipe.name, system, Spectrogram(), modes)


def _bundled() -> "Iterator[Pretrained]":
    from speechduet.model.find import bundled, load_any

    return map(load_any, bundled())


def _count(number: int) -> str:
    return f"{number:,}" if number else "–"
