"""Which files of a folder are recordings: one answer for all commands.

A recording has a suffix of `READABLE_SUFFIXES`, in letters of either case, and a name that does
not begin with a dot; nor does the name of any folder on the way to it. So what macOS writes beside
a recording (``._x.wav``) and what programs hide is none. Names that are not UTF-8 are kept, as
Python keeps them.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from fnmatch import fnmatch
from glob import has_magic
from pathlib import Path

from speechduet.audio.formats import READABLE_SUFFIXES
from speechduet.errors import AudioError, SettingError

OnUnreadable = Callable[[AudioError], None]
"""Is called with the error of a folder that cannot be read."""


def find_recordings(
    folder: Path,
    suffixes: tuple[str, ...] = READABLE_SUFFIXES,
    *,
    unreadable: OnUnreadable | None = None,
    apart_from: Path | None = None,
) -> list[Path]:
    """All recordings below a folder, in the order of their paths.

    Links to folders are followed, but not to one that the search came from. A link that leads
    nowhere is listed if it has the name of a recording, so that its failure is reported. The error
    of a folder that cannot be read goes to ``unreadable``, or is raised without that. The folder
    ``apart_from`` (of results, say) is left out.
    """
    search = _Search(unreadable, apart_from)
    return sorted(path for path in search.below(folder) if is_recording(path, suffixes))


def match_recordings(
    root: Path,
    pattern: tuple[str, ...],
    *,
    unreadable: OnUnreadable | None = None,
    apart_from: Path | None = None,
) -> list[Path]:
    """The recordings below a folder whose path in it matches, in the order of their paths.

    Each part of the pattern stands for one part of the path, and ``**`` for any number of them.
    A part in brackets may be meant as it is written: ``take [1]*`` matches ``take [1] b.wav`` as
    well as ``take 1 b.wav``.
    """
    found = set(_Search(unreadable, apart_from).matching(root, pattern))
    return sorted(path for path in found if is_recording(path))


def split_pattern(pattern: Path) -> tuple[Path, tuple[str, ...]]:
    """The folder that a pattern begins with, and the rest of it.

    A part that looks like a pattern but is the name of a folder is that folder.
    """
    parts = pattern.parts
    root = Path(pattern.anchor)
    for number in range(len(root.parts), len(parts) - 1):
        inside = root / parts[number]
        if has_magic(parts[number]) and not is_folder(inside):
            return root, parts[number:]
        root = inside
    return root, parts[-1:]


def is_recording(path: Path, suffixes: tuple[str, ...] = READABLE_SUFFIXES) -> bool:
    """Whether this is a file, or a link to nothing, with the name of a recording."""
    if path.name.startswith(".") or path.suffix.lower() not in suffixes:
        return False
    with suppress(OSError, ValueError):
        return path.is_file() or (path.is_symlink() and not path.exists())
    return False


def is_folder(path: Path) -> bool:
    """Whether there is a folder of this name; no name is too long or too odd to ask."""
    with suppress(OSError, ValueError):
        return path.is_dir()
    return False


def is_there(path: Path) -> bool:
    """Whether there is anything of this name; no name is too long or too odd to ask."""
    with suppress(OSError, ValueError):
        return path.exists()
    return False


def looked_for(path: Path) -> str:
    """The path and, if it is relative, the folder that it was looked for in."""
    return str(path) if path.is_absolute() else f"{path} (looked for in {Path.cwd()})"


def resolved(path: Path) -> Path:
    """The path without links; of a link in a circle, which leads nowhere, the link itself."""
    return Path(os.path.realpath(path))


def check_inside(folder: Path, out: Path) -> None:
    """Raise SettingError if a link leads a folder of results out of the folder of all results."""
    place, root = resolved(folder), resolved(out)
    if place != root and root not in place.parents:
        raise SettingError(
            f"{folder} is a link that leads out of {out}, to {place}",
            "results inside",
            "remove the link, or give the folder that it leads to as output",
        )


class _Search:
    """Walks through folders; never in a circle, and past those that cannot be read."""

    def __init__(self, unreadable: OnUnreadable | None, apart_from: Path | None) -> None:
        self._unreadable = unreadable
        self._apart_from = resolved(apart_from) if apart_from else None

    def below(self, folder: Path, above: tuple[Path, ...] = ()) -> Iterator[Path]:
        """All that is below a folder, hidden folders left out."""
        for path in self._entries(folder, above):
            if is_folder(path):
                yield from self.below(path, (*above, resolved(folder)))
            else:
                yield path

    def matching(
        self, folder: Path, pattern: tuple[str, ...], above: tuple[Path, ...] = ()
    ) -> Iterator[Path]:
        """All that is below a folder under a path that matches."""
        first, rest = pattern[0], pattern[1:]
        if not rest and first == "**":
            yield from self.below(folder, above)
            return
        if not has_magic(first):
            named = folder / first
            if not rest:
                yield named
            elif is_folder(named):
                yield from self.matching(named, rest)
            return
        if first == "**":
            yield from self.matching(folder, rest, above)
        for path in self._entries(folder, above, hidden=first.startswith(".")):
            if first == "**":
                if is_folder(path):
                    yield from self.matching(path, pattern, (*above, resolved(folder)))
            elif _matches(path.name, first):
                if not rest:
                    yield path
                elif is_folder(path):
                    yield from self.matching(path, rest, (*above, resolved(folder)))

    def _entries(
        self, folder: Path, above: tuple[Path, ...], hidden: bool = False
    ) -> Iterator[Path]:
        real = resolved(folder)
        if real in above or (above and real == self._apart_from):
            return
        try:
            paths = sorted(folder.iterdir())
        except OSError as error:
            failure = AudioError(f"cannot read folder {folder}: {error.strerror or error}")
            if self._unreadable is None:
                raise failure from error
            self._unreadable(failure)
            return
        yield from (path for path in paths if hidden or not path.name.startswith("."))


def _matches(name: str, part: str) -> bool:
    """Whether a name matches, brackets taken for a set of letters or for themselves."""
    return fnmatch(name, part) or fnmatch(name, part.replace("[", "[[]"))
