"""One of many: what goes wrong with it is told under its name, and the others go on."""

import traceback
from types import TracebackType

from speechduet.errors import SpeechduetError


class Attempt:
    """A context for the work on one of many recordings, which ends no more than itself.

    Whatever it raises, a bug's error included, becomes the text ``failure``; nothing is passed
    over in silence, for that text is what is to be reported. Only what ends a program
    (KeyboardInterrupt, SystemExit) goes on up, and ``ends``: errors that concern all of them.

    The error itself is not kept. Its frames would hold on to the memory whose lack may have
    caused it.
    """

    def __init__(self, name: str = "", ends: tuple[type[Exception], ...] = ()) -> None:
        self.failure = ""
        """One line that tells what went wrong, with the name in it; empty if nothing did."""
        self.trace = ""
        """Where an error came from that nobody foresaw."""
        self._name = name
        self._ends = ends

    def __enter__(self) -> "Attempt":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool:
        if not isinstance(error, Exception) or isinstance(error, self._ends):
            return False
        told = str(error).strip()
        if not isinstance(error, SpeechduetError):
            # The type says the most: some errors have no text at all.
            told = f"{type(error).__name__}: {' '.join(told.split())}".removesuffix(": ")
            self.trace = "".join(traceback.format_exception(error))
        self.failure = told if self._name in told else f"{self._name}: {told}"
        return True
