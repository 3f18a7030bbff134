"""Means of scores with their intervals."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from speechduet.evaluation.pairing import UnscoredFile
from speechduet.evaluation.scoring import METRICS, WEIGHTS, Scores


class Interval(NamedTuple):
    """A mean over n files and the 95 % interval that resampling the files gives it."""

    mean: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is infinite is None (null)."""
        ci95 = [finite(self.low), finite(self.high)]
        return {"mean": finite(self.mean), "ci95": ci95, "n": self.n}


@dataclass(frozen=True)
class Evaluation:
    """Scores of every file that has some, and a failure for every other."""

    files: list[Scores]
    failed: list[UnscoredFile]

    @classmethod
    def of(cls, outcomes: Iterable[Scores | UnscoredFile]) -> "Evaluation":
        """Scores and failures apart."""
        files: list[Scores] = []
        failed: list[UnscoredFile] = []
        for outcome in outcomes:
            if isinstance(outcome, Scores):
                files.append(outcome)
            else:
                failed.append(outcome)
        return cls(files, failed)

    def summary(self) -> dict[str, Interval | None]:
        """Mean and interval of each metric; None for one that no file has."""
        return summarise(self.files)

    def among(self, names: Iterable[str]) -> list[Scores]:
        """The files of these names, as far as they have scores."""
        wanted = set(names)
        return [scores for scores in self.files if scores.file in wanted]

    def ranked(self) -> list[Scores]:
        """The files from the best PESQ to the worst."""
        return sorted(self.files, key=lambda scores: scores.pesq, reverse=True)

    def to_json(self) -> dict[str, Any]:
        """Summary, files, failures and the extremes by PESQ.

        What is infinite or was not computed is None (null).
        """
        files = [
            {"file": scores.file} | {name: finite(value) for name, value in scores.row().items()}
            for scores in self.files
        ]
        names = [scores.file for scores in self.ranked()]
        return {
            "summary": summary_to_json(self.summary()),
            "files": files,
            "failed": [failure._asdict() for failure in self.failed],
            "best": names[:3],
            "worst": names[:-4:-1],
        }


def summarise(files: Iterable[Scores]) -> dict[str, Interval | None]:
    """Mean and interval of each metric over files; None for one that they do not have.

    In the mean of a rate a short file counts as much as a long one: ``wer_corpus`` is the rate
    over all of their words together.
    """
    scored = list(files)
    summary: dict[str, Interval | None] = {}
    for name in scored[0].by_metric() if scored else METRICS:
        column = [scores.by_metric()[name] for scores in scored]
        values = [value for value in column if value is not None]
        summary[name] = bootstrap(values) if values and len(values) == len(column) else None
        weight = WEIGHTS.get(name)
        if weight and all(weight in scores.further for scores in scored):
            weights = [float(scores.further[weight] or 0) for scores in scored]
            summary[f"{name}_corpus"] = bootstrap(values, weights=weights)
    return summary


def summary_to_json(summary: dict[str, Interval | None]) -> dict[str, Any]:
    """Intervals as plain values; a metric that was not computed has n = 0."""
    absent = {"mean": None, "ci95": None, "n": 0}
    return {name: interval.to_json() if interval else absent for name, interval in summary.items()}


def bootstrap(
    values: Iterable[float],
    resamples: int = 2000,
    seed: int = 0,
    weights: Sequence[float] | None = None,
) -> Interval:
    """Mean with its 95 % percentile interval over files drawn with replacement.

    A file counts as often as its weight says, by default once.

    >>> bootstrap([2.0, 2.0, 2.0])
    Interval(mean=2.0, low=2.0, high=2.0, n=3)
    """
    scores = np.array(list(values), dtype=np.float64)
    weighed = np.ones_like(scores) if weights is None else np.array(weights, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(scores.size, size=(resamples, scores.size))
    means = (scores * weighed)[drawn].sum(axis=1) / weighed[drawn].sum(axis=1)
    # "nearest" takes a mean that occurred, and so works with infinite ones.
    low, high = np.quantile(means, (0.025, 0.975), method="nearest")
    mean = (scores * weighed).sum() / weighed.sum()
    return Interval(float(mean), float(low), float(high), scores.size)


def finite(value: Any) -> Any:
    """The value, or None for a number that JSON has no word for."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
