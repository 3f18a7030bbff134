"""The command line ``speechduet``. Exit status: 0 all done, 1 something failed, 2 wrong usage."""

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from speechduet import __version__
from speechduet.cli import (
    ablate,
    bench,
    convert,
    enhance,
    evaluate,
    models,
    prepare,
    reproduce,
    train,
)
from speechduet.errors import SettingError, SpeechduetError
from speechduet.extras import missing


class _Commands(TyperGroup):
    """All commands; an error that is the user's to mend becomes one line and an exit status."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except SpeechduetError as error:
            typer.echo(f"speechduet: {error}", err=True)
            raise typer.Exit(2 if isinstance(error, SettingError) else 1) from error
        except ImportError as error:
            # Each command says what it needs; this is for what none has thought of.
            typer.echo(f"speechduet: {missing(error, ctx.info_name or '')}", err=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=_Commands,
    help="Enhance noisy speech with generative and predictive decoders.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("enhance")(enhance.enhance)
app.command("evaluate")(evaluate.evaluate)
app.command("train")(train.train)
app.command("ablate")(ablate.ablate)
app.add_typer(prepare.app, name="prepare")
app.add_typer(reproduce.app, name="reproduce")
app.command("models")(models.models)
app.command("bench")(bench.bench)
app.command("convert")(convert.convert)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version and exit.", callback=_print_version, is_eager=True
        ),
    ] = False,
) -> None: ...


def main() -> None:
    """Run the command line."""
    app(prog_name="speechduet")
