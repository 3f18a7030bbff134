"""Which recordings belong together: folders matched by the names of their files."""

from pathlib import Path
from typing import NamedTuple

from speechduet.audio.folders import OnUnreadable, find_recordings
from speechduet.errors import AudioError


class ScoredPair(NamedTuple):
    """An enhanced recording, its clean reference and, for SI-SIR and SI-SAR, the noisy one."""

    name: str
    """Path within the folder, without its suffix."""
    clean: Path
    enhanced: Path
    noisy: Path | None = None


class UnscoredFile(NamedTuple):
    """A file that could not be scored, and why."""

    file: str
    error: str


def pair_up(
    clean: Path, enhanced: Path, noisy: Path | None = None
) -> tuple[list[ScoredPair], list[UnscoredFile]]:
    """Recordings of two (or three) folders that share a path but for its suffix.

    A recording that lacks a partner in any of them is a failure, and so is a folder that cannot
    be read.
    """
    folders = {"clean": clean, "enhanced": enhanced} | ({"noisy": noisy} if noisy else {})
    unreadable: list[AudioError] = []
    found = {role: _by_name(folder, unreadable.append) for role, folder in folders.items()}
    pairs: list[ScoredPair] = []
    failed = [UnscoredFile("folder", str(error)) for error in unreadable]
    for name in sorted(set().union(*found.values())):
        candidates = {role: files.get(name, []) for role, files in found.items()}
        missing = [role for role, paths in candidates.items() if not paths]
        doubles = [paths for paths in candidates.values() if len(paths) > 1]
        if missing:
            reason = f"no {' and no '.join(missing)} recording of this name"
            failed.append(UnscoredFile(name, reason))
        elif doubles:
            paths = " and ".join(map(str, doubles[0]))
            failed.append(UnscoredFile(name, f"{paths} share this name"))
        else:
            pairs.append(ScoredPair(name, **{role: paths[0] for role, paths in candidates.items()}))
    return pairs, failed


def _by_name(folder: Path, unreadable: OnUnreadable) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in find_recordings(folder, unreadable=unreadable):
        name = path.relative_to(folder).with_suffix("").as_posix()
        found.setdefault(name, []).append(path)
    return found
