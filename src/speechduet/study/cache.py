"""Scores on disk by what they were made of, so that a sweep resumes and a second run is free."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import NamedTuple

from speechduet.errors import AudioError, SettingError
from speechduet.evaluation import Scores
from speechduet.model.folder import Pretrained, describe
from speechduet.sampler import Sampling

METHOD = 1
"""To be raised whenever the same weights, settings, seed and audio would get other scores."""


class TimedScores(NamedTuple):
    """The scores of one file, and how long its enhancement took per second of it."""

    scores: Scores
    seconds_per_s: float


class Cache:
    """Scores in a file of JSON lines, to which each is added as soon as it is known."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._known = dict(_read(path))
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8")
            # What a killed run left of its last line must not swallow the next one.
            self._file.write("\n")
        except OSError as error:
            raise SettingError(
                f"cannot write {path} ({error.strerror})", "a writable folder"
            ) from None

    def get(self, key: str) -> TimedScores | None:
        """The scores under a key, if they are known."""
        return self._known.get(key)

    def add(self, key: str, timed: TimedScores) -> None:
        """Keep scores, on disk too."""
        self._known[key] = timed
        scores = {
            name: value for name, value in timed.scores._asdict().items() if name != "further"
        }
        line = {"key": key, "seconds_per_s": timed.seconds_per_s, "scores": scores}
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _read(path: Path) -> Iterator[tuple[str, TimedScores]]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            known = json.loads(line)
            yield known["key"], TimedScores(Scores(**known["scores"]), known["seconds_per_s"])
        except (ValueError, TypeError, KeyError):
            continue  # empty, or the last line of a run that was killed while it wrote


def key_of(model: str, sampling: Sampling | None, seed: int, files: tuple[str, ...]) -> str:
    """The key of scores: a digest of all that decides them. Files and model come as digests."""
    decisive = [METHOD, model, asdict(sampling) if sampling else None, seed, files]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def digest_of_model(pretrained: Pretrained) -> str:
    """A digest of what a model computes: its weights and structure, not its name or modes."""
    system = pretrained.system
    structure = describe(replace(pretrained, name="", modes={}, metadata={})).to_json()
    digest = hashlib.sha256(json.dumps(structure, sort_keys=True).encode())
    for name, tensor in sorted(system.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def digest_of_file(path: Path) -> str:
    """A digest of a file's bytes."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise AudioError(f"cannot read {path} ({error.strerror})") from None
