"""The command line ``speechduet``. Exit status: 0 all done, 1 something failed, 2 wrong usage."""

import sys
from typing import Annotated, Any, NoReturn

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
    streams,
    train,
)
from speechduet.cli.termination import ended_in_order
from speechduet.cli.usage import Command, check_current_folder
from speechduet.errors import ModelError, SettingError, SpeechduetError
from speechduet.extras import missing
from speechduet.names import shown


class _Commands(TyperGroup):
    """All commands; an error that is the user's to mend becomes one line and an exit status."""

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except SpeechduetError as error:
            typer.echo(shown(f"speechduet: {error}"), err=True)
            raise typer.Exit(_status(error)) from error
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


def _status(error: SpeechduetError) -> int:
    # A model that cannot be loaded is a wrong value of an option, and no failed input.
    return 2 if isinstance(error, SettingError | ModelError) else 1


def _end(what: object, status: int) -> NoReturn:
    typer.echo(shown(f"speechduet: {what}"), err=True)
    sys.exit(status)


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
    streams.replace()
    show_warnings_as_lines()
    with ended_in_order():
        try:
            check_current_folder()
            app(prog_name="speechduet")
        except SpeechduetError as error:  # of --help and --version; `_Commands` has the others
            _end(error, _status(error))
        except OSError as error:
            # Of the machine, and nobody has thought of it: a limit, a disk, a permission.
            place = f"{error.filename}: " if error.filename is not None else ""
            _end(f"{place}{error.strerror or error}", 1)
