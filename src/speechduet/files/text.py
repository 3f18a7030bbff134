"""Text that users give: manifests, recipes, lists and tables."""

from pathlib import Path

from speechduet.errors import SettingError


def read_text(path: Path, expected: str) -> str:
    """All of a file of UTF-8, without a byte-order mark, and with newlines for its line ends.

    It may hold names of files, so bytes that are not UTF-8 are kept as Python keeps them in names
    (PEP 383). Raises SettingError, with what was ``expected``, for what cannot be read or is not
    text.
    """
    try:
        text = path.read_text(encoding="utf-8-sig", errors="surrogateescape")
    except OSError as error:
        raise SettingError(f"cannot read {path} ({error.strerror})", expected) from error
    if "\0" in text:
        raise SettingError(f"cannot read {path} (it is not UTF-8 text)", expected)
    return text
