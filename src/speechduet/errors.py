"""Errors that a user can act on: what was found, what was expected, what to do."""


class SpeechduetError(Exception):
    """Base of every error that is the caller's to mend; its text is one line."""

    def __init__(self, found: str, expected: str = "", remedy: str = "") -> None:
        parts = [found]
        if expected:
            parts.append(f"expected {expected}")
        if remedy:
            parts.append(remedy)
        super().__init__("; ".join(parts))


class FileError(SpeechduetError):
    """A file that cannot be read or written, whatever it is to hold."""


class AudioError(FileError):
    """A recording that cannot be read, or that holds no usable samples."""


class ModelError(SpeechduetError):
    """A model folder or checkpoint that is missing, incomplete, damaged or unsafe."""


class SettingError(SpeechduetError, ValueError):
    """An option outside its range, or a combination that has no meaning."""
