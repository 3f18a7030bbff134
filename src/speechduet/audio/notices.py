"""What the owner of a recording should know although nothing failed."""

import sys
import warnings
from collections.abc import Callable

from speechduet.names import shown

Notify = Callable[[str], None]
"""Takes one line of text, such as "a.wav: the header promises 3 s, 2.9 s are there"."""


class AudioWarning(UserWarning):
    """A recording was read or written, but not quite as it claims to be or was asked for."""


def warn(text: str) -> None:
    """Issue an AudioWarning: the `Notify` of calls from Python that name no other."""
    warnings.warn(text, AudioWarning, stacklevel=3)


def once(notify: Notify, name: str) -> Notify:
    """Tells the same of a recording of this name no more than once."""
    told: set[str] = set()

    def tell(text: str) -> None:
        if text not in told:
            told.add(text)
            notify(f"{name}: {text}")

    return tell


def show_warnings_as_lines() -> None:
    """Let every AudioWarning be one line on stderr, without the place in the code; for programs.

    What names of files hold can do nothing to a terminal. Other warnings look as ever.
    """
    usual = warnings.formatwarning

    def formatted(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        line: str | None = None,
    ) -> str:
        if issubclass(category, AudioWarning):
            return f"note: {shown(str(message))}\n"
        return usual(message, category, filename, lineno, line)

    warnings.formatwarning = formatted
    if not sys.warnoptions:
        # Usually a second warning from the same line of code would be left out.
        warnings.filterwarnings("always", category=AudioWarning)
