"""What every command checks before it begins: values that no option can mean."""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from speechduet.audio.folders import is_folder, is_recording, is_there, resolved
from speechduet.cli.examples import epilogue
from speechduet.errors import FileError, SettingError
from speechduet.files.atomic import check_replaceable
from speechduet.files.partial import unfinished

MOST_THREADS = 1024
"""More at once than any machine has use for; a system may refuse, and then ends the process."""
STREAM = "-"
"""What stands for stdin or stdout."""
LARGEST = 10_000_000
"""Of what is counted."""
HIGHEST_HZ = 768_000


class Command(TyperCommand):
    """A command none of whose values is empty, and none of whose numbers is nan or infinite.

    An empty value comes from a shell variable that is not set, and would mean the folder that one
    is in. Ranges do not keep nan out, which is neither below nor above anything.
    """

    def format_help(self, ctx: typer.Context, formatter: Any) -> None:  # type: ignore[override]
        """Help as ever, with examples at its end."""
        self.epilog = epilogue(" ".join(ctx.command_path.split()[1:]))
        super().format_help(ctx, formatter)

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]
        """Parse as ever, but refuse what is empty and numbers that are none."""
        before = ""
        flags = {name for one in self.params for name in _flags(one)}
        for value in args:
            option, equals, text = value.partition("=")
            if not value or (option.startswith("--") and equals and not text):
                follows = before.startswith("-") and before not in {*flags, "-", "--"}
                named = option or (before if follows else "an argument")
                raise typer.BadParameter("it is empty; expected a value", ctx, param_hint=named)
            before = value
        rest = super().parse_args(ctx, args)
        for parameter in self.params:
            number = ctx.params.get(parameter.name or "")
            if isinstance(number, float) and not math.isfinite(number):
                raise typer.BadParameter(
                    f"{number} is not a number to count on; expected a finite one",
                    ctx,
                    param_hint=" / ".join(parameter.opts),
                )
        return rest


def _flags(parameter: Any) -> tuple[str, ...]:
    """The names of an option without a value; none of another parameter."""
    is_flag = getattr(parameter, "is_flag", False)
    return (*parameter.opts, *parameter.secondary_opts) if is_flag else ()


def check_current_folder() -> None:
    """Raise SettingError if the folder that the shell is in was deleted; PyTorch cannot start."""
    try:
        Path.cwd()
    except OSError as error:
        raise SettingError(
            "the current folder was deleted", "one that is there: cd to it"
        ) from error


def check_output(path: Path | None) -> None:
    """Raise SettingError, before any work, if no file can be written under this name.

    FileError if none can be made in its folder.
    """
    if path is None:
        return
    if str(path) == STREAM:
        raise SettingError("tables and pictures cannot go to stdout (-)", "the name of a file")
    if is_folder(path):
        raise SettingError(f"{path} is a folder", "the name of a file to write")
    if is_there(path) and not path.is_file():
        raise SettingError(f"{path} is not a file", "the name of a file to write")
    check_folder(path.parent)
    check_replaceable(path, SettingError)
    _check_writable(path)


def check_spared(written: Iterable[Path | None], read: Iterable[Path | None]) -> None:
    """`check_output` of several files, none of which may replace a recording or another file.

    Raises SettingError, before any work, if one is a recording, a file that is read, or another
    one that is to be written.
    """
    taken = {resolved(path) for path in read if path is not None}
    for path in written:
        check_output(path)
        if path is None:
            continue
        if is_recording(path):
            raise SettingError(f"{path} is a recording", "the name of a table or page")
        if resolved(path) in taken:
            raise SettingError(
                f"{path} would replace a file of this very command", "another name for it"
            )
        taken.add(resolved(path))


def _check_writable(path: Path) -> None:
    """Raise FileError if no file can be made where this one is to be."""
    folder = next(place for place in path.absolute().parents if is_folder(place))
    try:
        with unfinished(folder) as partial:
            partial.touch()
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}") from error


def check_folder(folder: Path) -> None:
    """Raise SettingError, before any work, if this is no folder and cannot become one."""
    for place in (folder, *folder.parents):
        if is_folder(place):
            return
        if is_there(place):
            raise SettingError(f"{place} is not a folder", "a folder, there or to be made")


def check_apart(made: Iterable[Path], inputs: Iterable[Path]) -> None:
    """Raise SettingError, before any work, if a folder to be filled and one to be read overlap.

    What is written into a folder of recordings would be one of its recordings the next time.
    """
    read = {folder: folder.resolve() for folder in inputs}
    for folder in made:
        place = folder.resolve()
        for source, known in read.items():
            if place == known or known in place.parents or place in known.parents:
                raise SettingError(
                    f"{folder} would replace or join the recordings in {source}",
                    "an output apart from the folders that are read",
                    "give a new folder as --output",
                )
