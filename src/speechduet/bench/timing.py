"""Runs of several candidates by turns, and what their times say."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from time import perf_counter
from typing import NamedTuple, TypeVar

from speechduet.errors import SettingError

Name = TypeVar("Name")


class Spread(NamedTuple):
    """The median of some numbers, with the least and the greatest."""

    median: float
    least: float
    greatest: float

    @classmethod
    def of(cls, numbers: Sequence[float]) -> "Spread":
        """Of at least one number.

        >>> Spread.of([3.0, 1.0, 2.0])
        Spread(median=2.0, least=1.0, greatest=3.0)
        """
        return cls(median(numbers), min(numbers), max(numbers))


def alternate(
    runs: Mapping[Name, Callable[[], object]],
    repeats: int,
    clock: Callable[[], float] = perf_counter,
) -> dict[Name, list[float]]:
    """Seconds of each run, A B A B ..., so that a machine that slows down slows all of them.

    Every other round goes backwards: A B, B A, ..., for who comes after whom can matter too.
    """
    if repeats < 1:
        raise SettingError(f"{repeats} repeats", "1 or more")
    taken: dict[Name, list[float]] = {name: [] for name in runs}
    for number in range(repeats):
        names = list(runs)
        for name in reversed(names) if number % 2 else names:
            begun = clock()
            runs[name]()
            taken[name].append(clock() - begun)
    return taken


def times_as_fast(seconds: Sequence[float], other: Sequence[float]) -> Spread:
    """How many times as fast the first is, by the rounds in which both ran.

    >>> times_as_fast([1.0, 1.0, 2.0], [2.0, 3.0, 5.0])
    Spread(median=2.5, least=2.0, greatest=3.0)
    """
    return Spread.of([theirs / ours for ours, theirs in zip(seconds, other, strict=True)])
