"""What zipfile raises for an archive that is damaged, or that somebody made to do harm."""

import zipfile
import zlib

DAMAGED_ZIP = (
    *(zipfile.BadZipFile, EOFError, zlib.error),
    *(NotImplementedError, RuntimeError),  # a coder that it lacks; a password
    *(ValueError, OverflowError),  # places and names that cannot be
)
