"""What can go wrong while a system is being trained."""

import re
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path

from speechduet.errors import SpeechduetError


class TrainingError(SpeechduetError):
    """A run that cannot go on; its last good checkpoint is kept."""


def going_on(saved: bool) -> str:
    """What a run does when it is started again; ``saved``: it has a checkpoint."""
    if saved:
        return "goes on from its last checkpoint"
    return "starts from its beginning, for it has no checkpoint yet"


def is_full(error: OSError, folder: Path, saved: bool) -> TrainingError | None:
    """What to say of a disk on which there is no room for a run; None for any other error."""
    if error.errno not in (ENOSPC, EDQUOT, EFBIG):
        return None
    return TrainingError(
        f"cannot write to {folder} ({error.strerror})",
        "free disk space",
        f"start again when there is: the run {going_on(saved)}",
    )


def is_killed(error: Exception, stopping: bool, saved: bool) -> TrainingError | None:
    """What to say of a worker of PyTorch's DataLoader that was killed; None for any other error.

    ``stopping``: the run was asked to end, and a signal to all of its processes ends the workers.
    """
    # PyTorch has no type for it. One that dies while it hands over a batch breaks a pipe.
    found = re.match(r"DataLoader worker \(pid.*\) (is killed|exited)", str(error))
    if not found and not isinstance(error, EOFError | ConnectionError):
        return None
    if stopping or isinstance(error.__context__, KeyboardInterrupt):
        return stopped(saved)
    return TrainingError(
        "a process that prepares examples was killed",
        remedy=f"start again: the run {going_on(saved)}; if memory ran out, lower run.workers or "
        "run.batch_size",
    )


def stopped(saved: bool) -> TrainingError:
    """What to say of a run that Ctrl-C, ``kill``, a time limit or a scheduler has ended.

    Lightning makes SystemExit of that, even with the status of success.
    """
    return TrainingError(
        "the run was asked to end before its last step",
        remedy=f"the same command {going_on(saved)}",
    )
