"""``speechduet adapt``: fine-tune a model to one's own noise, if that makes it better."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechduet.backend.allocator import keep_freed_memory
from speechduet.cli.options import Model
from speechduet.cli.progress import track
from speechduet.cli.termination import as_usual
from speechduet.cli.usage import LARGEST, check_apart, check_folder
from speechduet.extras import missing, need
from speechduet.seed import MOST_SEED

if TYPE_CHECKING:  # It needs the extra train.
    from speechduet.adaptation import Verdict


def adapt(
    noise: Annotated[
        Path,
        typer.Argument(
            exists=True, file_okay=False, help="Folder of recordings of noise, ten seconds or more."
        ),
    ],
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder for the adapted model; a new one.")
    ],
    speech: Annotated[
        Path,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder of clean speech of people to mix the noise with, ten minutes or more.",
        ),
    ],
    model: Model = None,
    steps: Annotated[
        int, typer.Option(min=1, max=LARGEST, help="Steps of training; more take longer.")
    ] = 100,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED)] = 0,
) -> None:
    """Adapt a model to your own noise, in minutes, from recordings of the noise alone.

    Training sees the first part of each recording. The rest is the test: a model that is not
    better on it, or is worse on it, in other noise or for speech at 40 dB, is not written (exit
    status 1).
    Scoring takes minutes before the training and after it, whatever --steps is. The same command
    started again goes on after whatever stopped it.
    """
    need("lightning", "pesq", "pystoi")
    try:
        from speechduet.adaptation import Adaptation, check_new
        from speechduet.adaptation import adapt as run
    except ImportError as error:
        raise missing(error, "lightning", "train") from None
    check_new(output)
    check_folder(output.parent)
    check_apart([output], [noise, speech])
    keep_freed_memory()
    as_usual()
    try:
        found = run(noise, speech, output, model, Adaptation(steps=steps, seed=seed), track=track)
    except KeyboardInterrupt:
        typer.echo("speechduet: interrupted: the same command takes it up again", err=True)
        raise
    _report(found, output)


def _report(found: "Verdict", output: Path) -> None:
    means = found.means()
    for name, table in found.tables().items():
        typer.echo(f"\n{_HEADINGS[name]}\n\n{means[name].to_markdown()}")
        typer.echo(table.to_markdown(), nl=False)
    if found.accepted:
        typer.echo(f"\nThe adapted model was kept: {found.reason}.\n\n{output}")
        typer.echo(
            f"note: to use it: speechduet enhance NOISY -o ENHANCED --model {output}", err=True
        )
        return
    typer.echo(
        f"speechduet: the adapted model was not kept: {found.reason}. More or longer recordings "
        "of the noise, more speech or more --steps may help",
        err=True,
    )
    raise typer.Exit(1)


_HEADINGS = {
    "own": "Your noise, the held-out part of each recording:",
    "other": "Other noise:",
    "quiet": "Speech at 40 dB:",
}
