"""Names of files as text: a name may hold bytes that are not UTF-8, and any character but two."""

import re
from unicodedata import category

_FIRST_BYTE, _LAST_BYTE = 0xDC80, 0xDCFF
"""Python keeps a byte of a name that is not UTF-8 as one of these (PEP 383)."""


def utf8(text: str) -> str:
    """The text with such bytes in hexadecimal, so that whatever holds UTF-8 can hold it."""
    return text if text.isascii() else "".join(_written(character) for character in text)


def shown(text: str) -> str:
    """The text as one line that does nothing to a terminal: controls are written out too."""
    return "".join(
        repr(character)[1:-1] if category(character) in ("Cc", "Zl", "Zp") else character
        for character in utf8(text)
    )


def markdown(text: str) -> str:
    """The text as one line of Markdown that shows it: what has a meaning there is escaped."""
    # Not the underscores within words and the brackets of numbers, which have none.
    marks = r"[\\`*<|&~]|(?<=\])\(|(?<![^\W_])_|_(?![^\W_])"
    return shown(re.sub(marks, r"\\\g<0>", text))


def _written(character: str) -> str:
    if _FIRST_BYTE <= ord(character) <= _LAST_BYTE:
        return f"\\x{ord(character) - 0xDC00:02x}"
    return repr(character)[1:-1] if category(character) == "Cs" else character
