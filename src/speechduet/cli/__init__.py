"""The command line ``speechduet``. Exit status: 0 all done, 1 something failed, 2 wrong usage."""

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from speechduet import __version__
from speechduet.audio.notices import show_warnings_as_lines
from speechduet.cli import (
    ablate,
    adapt,
    bench,
    bulk,
    convert,
    enhance,
    evaluate,
    export,
    info,
    models,
    plot,
    prepare,
    reproduce,
    serve,
    stdout,
    train,
)
from speechduet.cli.termination import ended_in_order
from speechduet.cli.usage import Command
from speechduet.errors import FileError, ModelError, SettingError, SpeechduetError
from speechduet.extras import missing
from speechduet.names import shown


class _Commands(TyperGroup):
    """All commands; an error that is the user's to mend becomes one line and an exit status."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except SpeechduetError as error:
            typer.echo(shown(f"speechduet: {error}"), err=True)
            # A model that cannot be loaded is a wrong value of an option, and no failed input.
            wrong_usage = isinstance(error, SettingError | ModelError)
            raise typer.Exit(2 if wrong_usage else 1) from error
        except ImportError as error:
            # Each command says what it needs; this is for what none has thought of.
            typer.echo(shown(f"speechduet: {missing(error, ctx.info_name or '')}"), err=True)
            raise typer.Exit(2) from error


app = typer.Typer(
    cls=_Commands,
    help="Enhance noisy speech with generative and predictive decoders.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command("enhance", cls=Command)(enhance.enhance)
app.command("evaluate", cls=Command)(evaluate.evaluate)
app.command("train", cls=Command)(train.train)
app.command("adapt", cls=Command)(adapt.adapt)
app.command("ablate", cls=Command)(ablate.ablate)
app.add_typer(prepare.app, name="prepare")
app.add_typer(reproduce.app, name="reproduce")
app.command("models", cls=Command)(models.models)
app.command("info", cls=Command)(info.info)
app.command("plot", cls=Command)(plot.plot)
app.command("bench", cls=Command)(bench.bench)
app.command("convert", cls=Command)(convert.convert)
app.command("export", cls=Command)(export.export)
app.command("serve", cls=Command)(serve.serve)
app.command("bulk", cls=Command)(bulk.bulk)


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
    stdout.replace()
    show_warnings_as_lines()
    with ended_in_order():
        try:
            app(prog_name="speechduet")
        except FileError as error:  # of --help and --version; `_Commands` has the others
            typer.echo(shown(f"speechduet: {error}"), err=True)
            sys.exit(1)
