"""Where recordings are read from and results go to: a local folder, or anything fsspec reaches."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EDQUOT, ENOSPC
from pathlib import Path
from secrets import token_hex
from typing import Any

from fsspec import get_filesystem_class
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem

from speechduet.attempt import Attempt
from speechduet.audio.folders import resolved
from speechduet.errors import AudioError, SettingError, SpeechduetError
from speechduet.files.partial import unfinished

WHOLE_OBJECTS = ("s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "memory")
"""Stores in which an object appears when it is complete."""

_CHUNK_BYTES = 1 << 20

_REASONS: dict[type[OSError], str] = {
    FileNotFoundError: "nothing is there",
    PermissionError: "no permission",
    IsADirectoryError: "it is a folder",
    NotADirectoryError: "a part of it is a file",
}
"""In words what file systems and stores answer most often."""


def local_path(place: str) -> Path | None:
    """The path of a place on this machine's file systems, or None of one elsewhere."""
    protocol, separator, rest = place.partition("://")
    if not separator:
        return Path(place)
    return Path(rest) if protocol in ("file", "local") else None


def joined(place: str, name: str) -> str:
    """A place below another; ``name`` has slashes."""
    if "://" in place:
        above = place.rstrip("/")
        # The root of a store keeps the slashes of its protocol.
        return f"{above}//{name}" if above.endswith(":") else f"{above}/{name}"
    return str(Path(place, *name.split("/")))


def canonical(place: str) -> str:
    """One way to write a place, with links followed; so that two can be compared."""
    path = local_path(place)
    if path is not None:
        return str(resolved(path))
    with suppress(ImportError, ValueError):
        kind = get_filesystem_class(place.partition("://")[0])
        where = sorted(kind._get_kwargs_from_urls(place).items())  # the host, say
        return f"{kind.protocol}{where}://{kind._strip_protocol(place)}"
    return place


def name_in(place: str) -> str:
    """A place without what may follow its name: a query on the web, the rest of a chain."""
    web = place.startswith(("http://", "https://"))
    return place.partition("#")[0].partition("?")[0] if web else split_chain(place)[0]


def split_chain(place: str) -> tuple[str, str]:
    """An address, and the rest of a chain: ``zip://a`` and ``::s3://b/x.zip``."""
    at = place.find("::", place.find("://"))
    return (place, "") if at < 0 else (place[:at], place[at:])


def filesystem(place: str) -> tuple[Any, str]:
    """The file system of fsspec that a place is in, and its path there.

    Raises SettingError if no installed package reaches it.
    """
    path = local_path(place)
    if path is not None:
        # To fsspec `~` and `::` would mean something in a name.
        return LocalFileSystem(use_listings_cache=False), str(path.absolute())
    try:
        # Listings that are kept would hide what others write meanwhile, and grow without bound.
        found: tuple[Any, str] = url_to_fs(place, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise SettingError(
            f"cannot reach {place}: {' '.join(str(error).split())}",
            "a folder, or an address such as s3://bucket/folder",
            "install the package of that store (s3fs, gcsfs, adlfs)",
        ) from error
    return found


@contextmanager
def asking(verb: str, place: str, expected: str = "") -> Iterator[None]:
    """Within it whatever fails becomes a SettingError: cannot read, or list, what is at a place."""
    with Attempt(place, ends=(SpeechduetError,)) as attempt:
        try:
            yield
        except tuple(_REASONS) as error:
            raise SettingError(f"cannot {verb} {place}: {_reason(error)}", expected) from error
    if attempt.failure:
        raise SettingError(f"cannot {verb} {attempt.failure}", expected)


def _reason(error: OSError) -> str:
    return next(words for kind, words in _REASONS.items() if isinstance(error, kind))


def is_written(place: str) -> bool:
    """Whether there is a result of this name: a file, and no empty one."""
    path = local_path(place)
    if path is not None:
        # Of a name that no file can have there is none: what writes it will say so.
        with suppress(OSError, ValueError):
            return path.is_file() and path.stat().st_size > 0
        return False
    files, name = filesystem(place)
    return bool(files.exists(name) and files.size(name) != 0)


@contextmanager
def readable(place: str, spool: Path) -> Iterator[Path]:
    """A local file with what is at a place: itself, or a copy that lasts as long as the context.

    Raises AudioError if there is none, if it may not be read, or if the spool cannot hold it.
    """
    path = local_path(place)
    if path is not None:
        yield path
        return
    files, name = filesystem(place)
    with unfinished(spool) as copy:
        try:
            size = files.size(name)
            free = shutil.disk_usage(spool).free
            if size is not None and size > free:
                raise AudioError(
                    f"{place} has {size} bytes and the spool {spool} room for {free}",
                    remedy="give a larger folder as --spool",
                )
            with (
                room_in(spool),
                files.open(name, "rb", cache_type="readahead") as source,
                copy.open("wb") as held,
            ):
                shutil.copyfileobj(source, held, _CHUNK_BYTES)
        except tuple(_REASONS) as error:
            raise AudioError(f"cannot read {place}: {_reason(error)}") from error
        yield copy


def make_spool(spool: Path) -> None:
    """Raise SettingError if there is no such folder, and none can be made."""
    try:
        spool.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            f"cannot make the spool {spool}: {error.strerror or error}",
            "a folder, there or to be made",
            "give another one as --spool",
        ) from error


@contextmanager
def room_in(spool: Path) -> Iterator[None]:
    """Within it what fails because the disk is full is an AudioError that names the spool."""
    try:
        yield
    except (OSError, AudioError) as error:
        if not any(
            getattr(one, "errno", None) in (ENOSPC, EDQUOT) for one in (error, error.__cause__)
        ):
            raise
        raise AudioError(
            f"the spool {spool} is full", remedy="give a larger folder as --spool"
        ) from error


def publish(file: Path, place: str) -> None:
    """Upload a file, which appears at a place that is not local when it is whole."""
    files, name = filesystem(place)
    protocol = place.partition("://")[0]
    if protocol in WHOLE_OBJECTS:
        files.put_file(str(file), name)
        return
    parent = name.rpartition("/")[0]
    files.makedirs(parent, exist_ok=True)
    # A name of its own, for another run may be at the same result.
    part = f"{name}.{token_hex(4)}.part"
    try:
        files.put_file(str(file), part)
        files.mv(part, name)
    except BaseException:
        with suppress(OSError):
            files.rm_file(part)
        raise


@contextmanager
def opened(place: str) -> Iterator[Any]:
    """A file to read from, wherever it is, as bytes. Raises SettingError if it cannot be opened."""
    with asking("read", place, "a file that is there"):
        files, name = filesystem(place)
        file = files.open(name, "rb")
    with file:
        yield file
