"""Recordings: read, written, resampled, streamed.

Nothing here imports PyTorch; PyAV is imported where a file needs it.
"""

from speechduet.audio.formats import (
    READABLE_SUFFIXES,
    WRITABLE_SUFFIXES,
    AudioFormat,
    Samples,
    suffix_of,
    target_format,
    writable_suffix,
)
from speechduet.audio.reading import probe, read, read_blocks, read_mono
from speechduet.audio.writing import write, write_blocks

__all__ = [
    "READABLE_SUFFIXES",
    "WRITABLE_SUFFIXES",
    "AudioFormat",
    "Samples",
    "probe",
    "read",
    "read_blocks",
    "read_mono",
    "suffix_of",
    "target_format",
    "writable_suffix",
    "write",
    "write_blocks",
]
