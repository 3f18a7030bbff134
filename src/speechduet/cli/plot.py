"""``speechduet plot``: a recording before and after, in one picture."""

from pathlib import Path
from typing import Annotated

import typer

from speechduet.cli.usage import check_output
from speechduet.names import shown


def plot(
    noisy: Annotated[Path, typer.Argument(help="The recording as it was.", show_default=False)],
    enhanced: Annotated[Path, typer.Argument(help="What became of it.", show_default=False)],
    clean: Annotated[
        Path | None,
        typer.Argument(help="The clean speech, if it is known.", show_default=False),
    ] = None,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="The picture: .png, .svg or .pdf.")
    ] = Path("comparison.png"),
    track: Annotated[
        int | None,
        typer.Option(
            "--track", help="Which sound track of NOISY, counted from 1.", min=1, max=9999
        ),
    ] = None,
) -> None:
    """Draw a recording before and after: spectrograms, what was removed, level over time.

    Any formats and rates; of several channels the mean is drawn.
    """
    from speechduet.comparison import check_picture, draw_comparison

    check_output(output)
    check_picture(output)
    draw_comparison(
        *(noisy, enhanced, output, clean),
        track=track,
        notify=lambda text: typer.echo(shown(text), err=True),
    )
