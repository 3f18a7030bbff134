"""Work on one of many recordings: if it fails, the failure is noted and the others go on."""

import traceback
from types import TracebackType

from speechduet.errors import SpeechduetError


class Attempt:
    """A context that keeps an error of the work on one recording from ending the others.

    Every exception, that of a bug included, becomes the text ``failure``, which the caller
    reports. KeyboardInterrupt and SystemExit are raised on, and so are the types in ``ends``:
    errors that concern all recordings.

    The exception itself is not kept: its frames would hold on to the memory whose lack may have
    caused it.
    """

    def __init__(self, name: str = "", ends: tuple[type[Exception], ...] = ()) -> None:
        self.failure = ""
        """One line that says what went wrong, with the name in it; empty if nothing did."""
        self.trace = ""
        """The traceback of an exception other than a SpeechduetError."""
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
        text = str(error).strip()
        if not isinstance(error, SpeechduetError):
            # The type says the most: some errors have no text at all.
            text = f"{type(error).__name__}: {' '.join(text.split())}".removesuffix(": ")
            self.trace = "".join(traceback.format_exception(error))
        self.failure = text if self._name in text else f"{self._name}: {text}"
        return True
