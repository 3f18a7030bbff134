"""``speechduet convert``: a published checkpoint as a model folder."""

from pathlib import Path
from typing import Annotated

import typer

from speechduet.cli.usage import check_folder
from speechduet.errors import ModelError
from speechduet.names import shown


def convert(
    checkpoint: Annotated[
        Path, typer.Argument(help="Checkpoint of SGMSE+ or StoRM (.ckpt).", show_default=False)
    ],
    folder: Annotated[Path, typer.Argument(help="Model folder to make.", show_default=False)],
) -> None:
    """Convert a checkpoint of SGMSE+ or StoRM to a model folder.

    Weights and settings are read; nothing that the checkpoint contains is ever run.
    """
    from speechduet.model.upstream import released

    check_folder(folder)
    try:
        pretrained = released.convert(checkpoint, folder)
    except ModelError as error:
        # Here the checkpoint is the input, and an input that fails is no wrong usage.
        typer.echo(shown(f"failed: {error}"), err=True)
        raise typer.Exit(1) from error
    typer.echo(shown(f"{folder}: {pretrained.name}, modes {', '.join(pretrained.modes)}"), err=True)
