"""What a server takes on: how long, how large, how many at once, and what is said beyond that."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import soundfile
from annotated_types import Ge, Le

from speechduet.audio import probe
from speechduet.errors import AudioError, SettingError, SpeechduetError
from speechduet.settings import Count, Positive, Settings, Whole

MEGABYTE = 1_000_000


class TooMuchError(AudioError):
    """A recording beyond a limit of this server."""


class UploadError(AudioError):
    """An upload that came too slowly."""


class BusyError(SpeechduetError):
    """A server that has as much to do as it takes on; it will have less later."""

    retry_after_s = 10
    """Seconds after which asking again makes sense."""


@dataclass(frozen=True)
class Limits(Settings):
    """Limits of a server; the defaults suit a machine of one's own that a few people share."""

    max_seconds: Positive = 3600.0
    """Longest recording, in seconds."""
    max_megabytes: Positive = 500.0
    """Largest upload, in millions of bytes."""
    max_samples_per_s: Annotated[int, Ge(1), Le(1_000_000_000)] = 800_000
    """Most samples in a second of sound: sample rate times channels."""
    max_waiting: Whole = 16
    """Recordings that may wait while others are enhanced."""
    max_evaluations: Count = 200
    """Most evaluations of the network for a segment: steps, corrector and framings together."""
    max_running: Annotated[int, Ge(1), Le(1024)] = 2
    """Recordings enhanced at the same time."""
    max_live: Annotated[int, Ge(0), Le(1024)] = 4
    """Live streams at the same time."""
    keep_seconds: Positive = 900.0
    """How long uploads and results are kept once a recording is done, in seconds."""
    max_kept_megabytes: Positive = 5000.0
    """Uploads and results kept at the same time, in millions of bytes."""
    upload_timeout: Count = 30
    """Seconds without a byte after which an upload or a live stream is given up."""

    @property
    def max_bytes(self) -> int:
        """Largest upload in bytes."""
        return int(self.max_megabytes * MEGABYTE)

    def check_bytes(self, size: int, name: str) -> None:
        """Raise TooMuchError for more bytes than are taken."""
        if size > self.max_bytes:
            raise TooMuchError(
                f"{name} is larger than this server takes", f"at most {self.max_megabytes:g} MB"
            )

    def check_seconds(self, duration_s: float, name: str) -> None:
        """Raise TooMuchError for more seconds of sound than are taken."""
        if duration_s > self.max_seconds:
            raise TooMuchError(
                f"{name} is longer than this server takes",
                f"at most {self.max_seconds:g} s",
                "cut it into parts",
            )

    def check_rate(self, sample_rate: int, channels: int, name: str) -> None:
        """Raise TooMuchError for more samples in a second of sound than are taken."""
        if sample_rate * channels > self.max_samples_per_s:
            raise TooMuchError(
                f"{name} has {channels} channels at {sample_rate} Hz, more samples in a second "
                "than this server takes",
                f"channels times Hz of at most {self.max_samples_per_s:,}",
            )

    def check_evaluations(self, number: int) -> None:
        """Raise SettingError for more evaluations than are made for a segment.

        Work stops between segments, so they are also what a client that has gone still costs.
        """
        if number > self.max_evaluations:
            raise SettingError(
                f"{number:,} evaluations of the network for each segment",
                f"at most {self.max_evaluations:,} on this server",
                "ask for fewer steps, corrector steps or framings",
            )

    def check_file(self, path: Path, track: int | None = None) -> None:
        """Raise TooMuchError for what a file's header says, AudioError if it is no recording.

        A header may lie, so what is decoded has to be checked as well.
        """
        self.check_bytes(path.stat().st_size, str(path))
        found = probe(path, track=track)
        self.check_rate(found.sample_rate, found.channels, str(path))
        if found.container and found.container != "MP3":
            # Which libsndfile would have to decode.
            self.check_seconds(soundfile.info(os.fsencode(path)).duration, str(path))
