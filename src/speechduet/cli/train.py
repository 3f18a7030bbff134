"""``speechduet train``: train a recipe, or go on where it stopped."""

from pathlib import Path
from typing import Annotated

import typer

from speechduet.backend.allocator import keep_freed_memory
from speechduet.cli.termination import as_usual
from speechduet.cli.usage import check_folder
from speechduet.errors import SettingError
from speechduet.extras import missing


def train(
    config: Annotated[
        Path | None, typer.Option(help="Recipe file (YAML); see the folder recipes.")
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(
            help="Run folder: checkpoints, log, models of validation and of the end.",
            show_default="runs/NAME",
        ),
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(help="Change one setting: section.key=value. May be given several times."),
    ] = None,
    show_settings: Annotated[
        bool,
        typer.Option(
            "--show-settings", help="Show all sections and keys with types and defaults; exit."
        ),
    ] = False,
) -> None:
    """Train a system. The same command started again resumes after whatever stopped it."""
    try:
        from lightning.pytorch.utilities import rank_zero_only

        from speechduet.training.listing import settings_text
        from speechduet.training.recipe_file import read_recipe
        from speechduet.training.run import train as run
    except ImportError as error:
        raise missing(error, "lightning", "train") from None
    if show_settings:
        typer.echo(settings_text())
        return
    if config is None:
        raise SettingError("no recipe", "--config FILE", "see the folder recipes")
    recipe = read_recipe(config, override or [])
    folder = folder or Path("runs") / recipe.model.name
    check_folder(folder)
    keep_freed_memory()
    as_usual()
    model = run(recipe, folder)
    rank_zero_only(typer.echo)(model)
