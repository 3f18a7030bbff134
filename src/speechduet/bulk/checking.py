"""What is wrong with rows taken together, found before any work."""

from array import array
from collections.abc import Callable, Iterator
from pathlib import PurePosixPath

import numpy as np

from speechduet.audio import WRITABLE_SUFFIXES
from speechduet.bulk.last_rows import Hashes, LastRows, hash_of, within
from speechduet.bulk.places import canonical, joined
from speechduet.bulk.rows import Row
from speechduet.errors import SettingError


def check_rows(rows: Callable[[], Iterator[Row]], output: str, last: LastRows) -> None:
    """Go through all rows before any work.

    Raises SettingError for one that cannot be meant, for two that have one result, for a result
    that is a folder of another, for a result that would replace a source, and for a source that is
    a result of an earlier run.
    """
    below = canonical(joined(output, "x")).removesuffix("x")
    sources, outputs, folders = array("Q"), array("Q"), array("Q")
    for row in rows():
        source = canonical(row.source)
        if source.startswith(below) and within(last.outputs, source.removeprefix(below)):
            raise SettingError(
                f"{row.source} is a result of an earlier run",
                "recordings that are to be enhanced",
            )
        sources.append(hash_of(source))
        outputs.append(hash_of(below + row.output))
        folders.extend(hash_of(below + folder) for folder in _folders_like_results(row.output))
    made, read = _in_order(outputs), _in_order(sources)
    twice = made[1:][made[1:] == made[:-1]]
    if len(twice):
        _refuse_twice(row for row in rows() if within(twice, below + row.output))
    if np.isin(made, read).any():
        for row in rows():
            if within(read, below + row.output):
                raise SettingError(
                    f"{joined(output, row.output)} is to be read, and would be replaced by the "
                    f"result of {row.source}",
                    "results apart from what is read",
                    "give another output",
                )
    if np.isin(_in_order(folders), made).any():
        _refuse_inside(rows(), made, below)


def _in_order(hashes: "array[int]") -> Hashes:
    return np.sort(np.array(hashes, np.uint64))


def _folders_like_results(output: str) -> list[str]:
    """The folders of a result that have the name of one; hardly any has."""
    above = PurePosixPath(output).parents
    return [str(folder) for folder in above if folder.suffix.lower() in WRITABLE_SUFFIXES]


def _refuse_twice(suspects: Iterator[Row]) -> None:
    """Raise SettingError for the first result that two rows have, and not only its hash."""
    sources: dict[str, str] = {}
    for row in suspects:
        if row.output in sources:
            raise SettingError(
                f"{sources[row.output]} and {row.source} would both become {row.output}",
                "a different output for each row",
                "give them in a column output",
            )
        sources[row.output] = row.source


def _refuse_inside(rows: Iterator[Row], made: Hashes, below: str) -> None:
    """Raise SettingError for the first result that would lie in another one."""
    for row in rows:
        for folder in _folders_like_results(row.output):
            if within(made, below + folder):
                raise SettingError(
                    f"{row.output} would lie in {folder}, which is the result of another row",
                    "results that are not in one another",
                    "give other names in a column output",
                )
