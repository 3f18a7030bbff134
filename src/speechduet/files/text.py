"""Text that users give: manifests, recipes, lists and tables."""

from pathlib import Path

from speechduet.errors import SettingError

MOST_TEXT_BYTES = 1 << 28
"""A million lines and more; what is longer is no list that a person wrote."""


def read_text(path: Path, expected: str, most_bytes: int = MOST_TEXT_BYTES) -> str:
    """All of a file of UTF-8, without a byte-order mark, and with newlines for its line ends.

    It may hold names of files, so bytes that are not UTF-8 are kept as Python keeps them in names
    (PEP 383). Raises SettingError, with what was ``expected``, for what cannot be read, is not
    text, or is longer than ``most_bytes``, which is not read.
    """
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise SettingError(f"cannot read {path} ({error.strerror})", expected) from error
    if len(data) > most_bytes:
        raise SettingError(f"{path} has more than {most_bytes:,} bytes", expected)
    text = data.decode("utf-8-sig", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")
    if "\0" in text:
        raise SettingError(f"cannot read {path} (it is not UTF-8 text)", expected)
    return text
