"""One run at a time for each output."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from filelock import FileLock, Timeout

from speechduet.bulk.places import joined, local_path
from speechduet.bulk.rows import LEDGER
from speechduet.errors import SettingError

_NAME = "_lock"
"""So named that who reads the ledger as a folder of Parquet passes it over."""


@contextmanager
def only_run(output: str) -> Iterator[None]:
    """Within it no other run gets here with this output, if that is local.

    The lock ends with the process, however that ends; its empty file stays, unless the run ends in
    an error before anything is there. Stores have no locks, and nor have some file systems. Raises
    SettingError if another run is at it, or if nothing can be written there.
    """
    path = local_path(joined(output, LEDGER))
    with ExitStack() as stack:
        if path is not None:
            try:
                new = [folder for folder in (path, *path.parents) if not folder.exists()]
                stack.push(partial(_remove_unused, new))
                path.mkdir(parents=True, exist_ok=True)
                stack.enter_context(FileLock(path / _NAME, timeout=0))
            except Timeout as error:
                raise SettingError(
                    f"another run is at work in {output}",
                    "one run at a time for each output",
                    "wait for its end, or give another output",
                ) from error
            except OSError as error:
                raise SettingError(
                    f"cannot write {path}: {error.strerror or error}",
                    "an output that can be written to",
                ) from error
            except NotImplementedError:
                pass  # A file system without locks.
        yield


def _remove_unused(new: Sequence[Path], error: type[BaseException] | None, *_: object) -> None:
    """After an error, remove folders that this run has made and put nothing in."""
    if error is None or not new:
        return
    with suppress(OSError):
        if [one.name for one in new[0].iterdir()] == [_NAME]:
            (new[0] / _NAME).unlink()
        for folder in new:
            folder.rmdir()
