"""The folder in which an adaptation works until its model is accepted, and goes on later."""

import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from speechduet.audio.folders import find_recordings
from speechduet.errors import SettingError
from speechduet.files.atomic import write_text
from speechduet.files.partial import remove_leftovers
from speechduet.model.folder import CONFIG, Pretrained, describe
from speechduet.training.checkpoints import has_checkpoint
from speechduet.training.errors import TrainingError, is_full

MODEL = "model"
"""The folder of the trained model in that of its training."""
_NOTE, _LOCK = "adaptation.json", "lock"


def identity(
    pretrained: Pretrained, noise: Path, speech: Path, settings: Mapping[str, Any]
) -> dict[str, Any]:
    """What must be the same for an interrupted adaptation to go on.

    Of the model all but its name and metadata, of the recordings their names within their folder,
    sizes and times: where model and folders are, and how that is spelled, may change.
    """
    described = describe(pretrained).to_json()
    parts = {key: part for key, part in described.items() if key not in ("name", "metadata")}
    model = sha256(json.dumps(parts).encode())
    for tensor in pretrained.system.state_dict().values():
        model.update(tensor.cpu().contiguous().numpy().tobytes())
    listings = [
        [_entry(path, folder) for path in find_recordings(folder)] for folder in (noise, speech)
    ]
    recordings = sha256(json.dumps(listings).encode()).hexdigest()
    return {"model": model.hexdigest(), "recordings": recordings, **settings}


def _entry(path: Path, folder: Path) -> tuple[str, int, int]:
    name = path.relative_to(folder).as_posix()
    # A link that leads nowhere is a recording that cannot be read, which others report.
    with suppress(OSError):
        found = path.stat()
        return name, found.st_size, found.st_mtime_ns
    return name, 0, 0


@contextmanager
def claimed(run: Path, known: Mapping[str, Any]) -> Iterator[None]:
    """Within it the folder is this adaptation's alone: new, or with what an interrupted one left.

    Nothing is left of a folder in which training has not begun, whose adaptation may be another
    the next time. Raises SettingError if it holds anything else, or if another process is at it.
    """
    for folder in (run.parent, run):
        remove_leftovers(folder)
    note, text = run / _NOTE, json.dumps(known)
    if run.exists() and not run.is_dir():
        raise SettingError(f"{run} is not a folder", "the place for an adaptation", "move it away")
    # Before training there is nothing to go on from.
    if _begun(run) and (not note.is_file() or note.read_text() != text):
        raise SettingError(
            f"{run} holds an adaptation to other recordings, of another model or with another "
            "number of steps or seed",
            remedy="delete it to start again, or give the same as before to go on",
        )
    try:
        run.mkdir(parents=True, exist_ok=True)
        lock = FileLock(run / _LOCK, timeout=0)
        with suppress(NotImplementedError):  # A file system without locks.
            lock.acquire()
    except Timeout as error:
        raise SettingError(
            f"another adaptation is at work in {run}",
            "one at a time for each output",
            "wait for its end, or give another output",
        ) from error
    except OSError as error:
        raise is_full(error, run, has_checkpoint(run)) or SettingError(
            f"cannot create {run} ({error.strerror})", "a writable folder"
        ) from None
    try:
        write_text(note, text, TrainingError)
        yield
    finally:
        if run.is_dir() and not _begun(run):
            shutil.rmtree(run, ignore_errors=True)
        lock.release()


def discard(run: Path) -> None:
    """Remove a run folder, the note last, without which nobody could go on from the rest."""
    # First of all what says that its model is whole.
    (run / MODEL / CONFIG).unlink(missing_ok=True)
    for path in run.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name not in (_NOTE, _LOCK):
            path.unlink()
    shutil.rmtree(run)


def _begun(run: Path) -> bool:
    return run.is_dir() and any(path.name not in (_NOTE, _LOCK) for path in run.iterdir())
