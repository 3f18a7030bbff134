"""Which files a command is to read, and under which name each result is written."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path

from speechduet.audio import READABLE_SUFFIXES, WRITABLE_SUFFIXES, writable_suffix
from speechduet.errors import AudioError, SettingError, SpeechduetError


@dataclass(frozen=True)
class Job:
    """One recording to enhance."""

    source: Path
    target: Path


def find_jobs(
    inputs: list[str], output: str, container: str | None
) -> tuple[list[Job], list[SpeechduetError]]:
    """Jobs for files, folders (searched, their tree kept) and globs, and inputs that lead nowhere.

    The output is a file if there is but one input, a file, and the output has the suffix of an
    audio file; else a folder. ``container`` (wav, flac, ...) overrides the suffix of results.
    Raises SettingError if two results would have one name, or a result that of its source.
    """
    out = Path(output)
    suffix = _suffix(container)
    found, failures = _sources(inputs, out)
    if _names_file(inputs, out):
        if out.suffix.lower() != (suffix or writable_suffix(out)):
            raise SettingError(
                f"cannot write {out} as {suffix or out.suffix}",
                "a name and a format that agree, one of " + " ".join(WRITABLE_SUFFIXES),
            )
        jobs = [Job(source, out) for source, _ in found]
    else:
        if out.exists() and not out.is_dir():
            raise SettingError(f"{out} is a file", "a folder for several results")
        names = [place.with_suffix(suffix or writable_suffix(place)) for _, place in found]
        # a.wav and a.mp3 would both become a.wav: both keep their whole name before the suffix.
        often = Counter(names)
        jobs = [
            Job(source, out / (name if often[name] == 1 else f"{place}{name.suffix}"))
            for (source, place), name in zip(found, names, strict=True)
        ]
    _check_distinct(jobs)
    return jobs, failures


def _suffix(container: str | None) -> str | None:
    if container is None:
        return None
    suffix = "." + container.lower().lstrip(".")
    if suffix not in WRITABLE_SUFFIXES:
        choices = ", ".join(known.lstrip(".") for known in WRITABLE_SUFFIXES)
        raise SettingError(f"format {container!r} cannot be written", f"one of {choices}")
    return suffix


def _names_file(inputs: list[str], out: Path) -> bool:
    one_file = len(inputs) == 1 and not Path(inputs[0]).is_dir() and not has_magic(inputs[0])
    return one_file and out.suffix.lower() in READABLE_SUFFIXES and not out.is_dir()


def _sources(inputs: list[str], out: Path) -> tuple[list[tuple[Path, Path]], list[SpeechduetError]]:
    """Each file once, with its place in the output folder."""
    found: dict[Path, Path] = {}
    failures: list[SpeechduetError] = []
    for given in inputs:
        path = Path(given)
        if path.is_dir():
            places = _recordings(path.rglob("*"), path, out)
            if not places:
                failures.append(AudioError(f"folder {path} holds no recording"))
        elif has_magic(given) and not path.exists():
            root = _root(path)
            places = _recordings(root.glob(str(path.relative_to(root))), root, out)
            if not places:
                failures.append(AudioError(f"no recording matches {given}"))
        else:
            places = {path: Path(path.name)}
        for source, place in places.items():
            found.setdefault(source, place)
    return list(found.items()), failures


def _recordings(paths: Iterable[Path], root: Path, out: Path) -> dict[Path, Path]:
    """Audio files among these with their places below the root; no earlier results."""
    results = out.resolve()
    results_inside = results != root.resolve() and results.is_relative_to(root.resolve())
    return {
        path: path.relative_to(root)
        for path in sorted(paths)
        if path.suffix.lower() in READABLE_SUFFIXES
        and path.is_file()
        and not path.name.startswith(".")
        and not (results_inside and path.resolve().is_relative_to(results))
    }


def _root(pattern: Path) -> Path:
    """The folder above a pattern's first wildcard."""
    parents = [parent for parent in pattern.parents if not has_magic(str(parent))]
    return parents[0]


def _check_distinct(jobs: list[Job]) -> None:
    sources: dict[Path, Path] = {}
    for job in jobs:
        target = job.target.resolve()
        if target == job.source.resolve():
            raise SettingError(
                f"{job.source} would be replaced by its own result", "another place for results"
            )
        other = sources.setdefault(target, job.source)
        if other != job.source:
            raise SettingError(
                f"{other} and {job.source} would both become {job.target}",
                "different names",
                "enhance them into different folders",
            )
