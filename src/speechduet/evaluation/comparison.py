"""Is one system better than another on the same files? Paired, metric by metric."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from speechduet.evaluation.summary import Evaluation, Interval, bootstrap, finite
from speechduet.extras import missing


class PairedDifference(NamedTuple):
    """How much higher one system scores than another on the files that both have."""

    metric: str
    system: str
    other: str
    difference: Interval
    """Mean of system minus other, with its 95 % bootstrap interval over the files."""
    p: float
    """Of the two-sided Wilcoxon signed-rank test; one test alone, without regard to others."""

    def to_json(self) -> dict[str, Any]:
        """Plain values; the interval's mean, ci95 and n beside the rest."""
        return {
            "metric": self.metric,
            "system": self.system,
            "other": self.other,
            "difference": self.difference.to_json(),
            "wilcoxon_p": finite(self.p),
        }


def compare(systems: Mapping[str, Evaluation]) -> list[PairedDifference]:
    """Every two systems on every metric that both have, over the files scored for both."""
    return [
        PairedDifference(metric, name, other, bootstrap(differences), signed_rank(differences))
        for name, other in combinations(systems, 2)
        for metric, differences in _differences(systems[name], systems[other]).items()
    ]


def signed_rank(differences: list[float]) -> float:
    """Two-sided p of the Wilcoxon signed-rank test; zeros are left out, and only zeros give 1.

    >>> signed_rank([0.0, 0.0])
    1.0
    >>> signed_rank([1.0, 2.0, 3.0, 4.0, 5.0])  # as rare as heads five times, or tails
    0.0625
    """
    try:
        from scipy.stats import wilcoxon
    except ImportError as error:
        raise missing(error, "scipy") from error
    changed = [difference for difference in differences if difference != 0]
    return float(wilcoxon(changed).pvalue) if changed else 1.0


def _differences(system: Evaluation, other: Evaluation) -> dict[str, list[float]]:
    """By metric, one for each file that has it in both."""
    others = {scores.file: scores for scores in other.files}
    both = [(scores, others[scores.file]) for scores in system.files if scores.file in others]
    rows = [(scores.by_metric(), other.by_metric()) for scores, other in both]
    columns: dict[str, list[float]] = {}
    for metric in rows[0][0] if rows else ():
        values = [(row[metric], other[metric]) for row, other in rows]
        columns[metric] = [
            # Both may be infinitely good, and then they are equal.
            0.0 if first == second else float(np.subtract(first, second))
            for first, second in values
            if first is not None and second is not None
        ]
    return {metric: column for metric, column in columns.items() if column}
