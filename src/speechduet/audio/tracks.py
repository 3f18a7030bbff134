"""Sound tracks, of which videos may have several."""

from pathlib import Path

from speechduet.errors import AudioError


def check_track(path: Path, tracks: int, track: int | None) -> None:
    """Raise AudioError for a track that a file does not have."""
    if track is not None and not 1 <= track <= tracks:
        plural = "" if tracks == 1 else "s"
        raise AudioError(
            f"{path} has {tracks} sound track{plural}, and {track} was asked for",
            "a track from 1 to " + str(tracks) if tracks > 1 else "track 1",
        )
