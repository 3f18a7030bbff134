"""Which files a command is to read, and where each result is written."""

from collections.abc import Iterable
from dataclasses import dataclass
from glob import has_magic
from mimetypes import guess_type
from pathlib import Path

from speechduet.audio import (
    READABLE_SUFFIXES,
    WRITABLE_SUFFIXES,
    suffix_of,
    writable_suffix,
)
from speechduet.audio.folders import (
    check_inside,
    find_recordings,
    is_folder,
    is_there,
    match_recordings,
    resolved,
    split_pattern,
)
from speechduet.cli.naming import Naming
from speechduet.errors import AudioError, SettingError, SpeechduetError

_Found = dict[Path, Path]
"""Files with their places in the folder of results."""


@dataclass(frozen=True)
class Job:
    """One recording to enhance."""

    source: Path
    target: Path


def find_jobs(
    inputs: list[str], output: str, container: str | None
) -> tuple[list[Job], list[SpeechduetError]]:
    """Jobs for files, folders (searched, their tree kept) and globs, and why others are none.

    The output is a file if there is but one input, a file, and the output has the suffix of an
    audio file; else a folder. ``container`` (wav, flac, ...) overrides the suffix of results.
    Results of earlier runs are no inputs. Raises SettingError if two results would have one
    name, or a result that of its source.
    """
    if not all(inputs) or not output:
        raise SettingError("an empty name", "a file, a folder, a glob or -")
    out = Path(output)
    suffix = None if container is None else suffix_of(container)
    if _names_file(inputs, out):
        _check_file(out, suffix)
        jobs = [Job(Path(given), out) for given in inputs]
        _check_distinct(jobs)
        return jobs, []
    if is_there(out) and not is_folder(out):
        raise SettingError(
            f"{out} is a file" if out.is_file() else f"{out} is neither a file nor a folder",
            "a folder for results, or for one recording a name that ends in "
            + " ".join(WRITABLE_SUFFIXES),
            "use - to write to stdout",
        )
    if out.suffix.lower() in WRITABLE_SUFFIXES and not is_folder(out):
        raise SettingError(
            f"{out}, the name of a file, for what may be several recordings", "a folder"
        )
    if not is_folder(out) and (kind := guess_type(out.name)[0]):
        raise SettingError(
            f"{out} is the name of another file ({kind})",
            "a folder, or for one recording a name that ends in " + " ".join(WRITABLE_SUFFIXES),
        )
    naming = Naming(out, suffix)
    named, searched, failures = _sources(inputs, out)
    found = {**named, **naming.without_results(named, searched)}
    targets = naming.targets(found)
    jobs = [Job(source, target) for source, target in zip(found, targets, strict=True)]
    _check_distinct(jobs)
    outside, led_out = _led_out(jobs, out)
    return [job for job in jobs if job.target.parent not in outside], failures + led_out


def _led_out(jobs: list[Job], out: Path) -> tuple[set[Path], list[SpeechduetError]]:
    """Folders of results that a link leads out of the folder of all results, and the errors."""
    outside: set[Path] = set()
    errors: list[SpeechduetError] = []
    for folder in dict.fromkeys(job.target.parent for job in jobs):
        try:
            check_inside(folder, out)
        except SettingError as error:
            outside.add(folder)
            errors.append(error)
    return outside, errors


def is_pattern(given: str) -> bool:
    """Whether it is to be matched; what there is under the very name is meant itself."""
    return has_magic(given) and not is_there(Path(given))


def _names_file(inputs: list[str], out: Path) -> bool:
    one_file = len(inputs) == 1 and not is_folder(Path(inputs[0])) and not is_pattern(inputs[0])
    return one_file and out.suffix.lower() in READABLE_SUFFIXES and not is_folder(out)


def _check_file(out: Path, suffix: str | None) -> None:
    if out.suffix.lower() != (suffix or writable_suffix(out)):
        raise SettingError(
            f"cannot write {out} as {suffix or out.suffix}",
            "a name and a format that agree, one of " + " ".join(WRITABLE_SUFFIXES),
        )
    if is_there(out) and not out.is_file():
        raise SettingError(f"{out} is not a file", "the name of a file to write")


def _sources(inputs: list[str], out: Path) -> tuple[_Found, _Found, list[SpeechduetError]]:
    """Files named outright and files that were searched for, each file once."""
    named: _Found = {}
    searched: _Found = {}
    seen: set[Path] = set()
    failures: list[SpeechduetError] = []
    for given in inputs:
        path = Path(given)
        before = len(failures)
        if is_folder(path):
            root, missing = path, f"folder {path} holds no recording"
            paths = find_recordings(path, unreadable=failures.append, apart_from=out)
        elif is_pattern(given):
            root, pattern = split_pattern(path)
            missing = f"no recording matches {given}"
            paths = match_recordings(root, pattern, unreadable=failures.append, apart_from=out)
        else:
            _add(named, seen, [(path, Path(path.name))])
            continue
        if not paths and len(failures) == before:
            failures.append(AudioError(missing))
        _add(searched, seen, [(source, source.relative_to(root)) for source in paths])
    return named, searched, failures


def _add(found: _Found, seen: set[Path], places: Iterable[tuple[Path, Path]]) -> None:
    for source, place in places:
        # in/a.wav and /home/me/in/a.wav are one file; a link to it is another.
        absolute = source.absolute()
        if absolute not in seen:
            seen.add(absolute)
            found[source] = place


def _check_distinct(jobs: list[Job]) -> None:
    sources: dict[Path, Path] = {}
    for job in jobs:
        target = resolved(job.target)
        source = resolved(job.source)
        if target == source or (
            target.parent == source.parent and target.name.lower() == source.name.lower()
        ):
            raise SettingError(
                f"{job.source} would be replaced by its own result",
                "another place for results",
                "or, to keep both in one folder, another --format",
            )
        other = sources.setdefault(target, job.source)
        if other != job.source:
            raise SettingError(
                f"{other} and {job.source} would both become {job.target}",
                "different names",
                "enhance them into different folders",
            )
