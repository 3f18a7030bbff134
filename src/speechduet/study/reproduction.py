"""Do scores on the test set of VoiceBank-DEMAND agree with the published ones?"""

from typing import NamedTuple

from speechduet.errors import SettingError
from speechduet.evaluation import Evaluation, Interval
from speechduet.evaluation.tables import Table, title
from speechduet.recipe import RECIPES, Published
from speechduet.sampler import Sampling
from speechduet.study.published import SCORES

TOLERANCE = Published(pesq=0.15, estoi=0.02, si_sdr=1.0)
"""How far a training of one's own may lie from the published mean, to either side.

Published reproductions of SGMSE+ (2.93) reach down to a PESQ of 2.78; this is that distance. The
other two are this project's choice.
"""

NOISY_TOLERANCE = Published(pesq=0.02, estoi=0.01, si_sdr=0.1)
"""The same for the noisy input, which nothing but resampling and rounding can change."""


class Row(NamedTuple):
    """One published number and what was measured."""

    system: str
    metric: str
    published: float
    tolerance: float
    measured: Interval | None
    """Mean and interval over the files; None if none has scores."""

    @property
    def passed(self) -> bool:
        """Whether the mean lies within the tolerance."""
        if self.measured is None:
            return False
        # A hair more, for the sum of two decimal fractions.
        return abs(self.measured.mean - self.published) <= self.tolerance + 1e-9


def published_sampling(name: str) -> Sampling:
    """The settings under which a recipe's numbers were published; SettingError without any."""
    published = {recipe.name: recipe.sampling for recipe in RECIPES if recipe.scores}
    if name not in published:
        expected = f"one of {', '.join(published)}"
        raise SettingError(f"nothing was published of a model named {name!r}", expected)
    return published[name]


def rows(systems: dict[str, Evaluation]) -> list[Row]:
    """Every published number of these systems (and of *noisy*) beside the measured one."""
    found = []
    for system, evaluation in systems.items():
        tolerance = NOISY_TOLERANCE if system == "noisy" else TOLERANCE
        summary = evaluation.summary()
        for metric, value in SCORES[system]._asdict().items():
            found.append(Row(system, metric, value, getattr(tolerance, metric), summary[metric]))
    return found


def table(compared: list[Row]) -> Table:
    """The rows with their verdicts."""
    cells = []
    for row in compared:
        mean, between = "–", "–"
        if row.measured is not None:
            mean = f"{row.measured.mean:.3f}"
            between = f"{row.measured.low:.3f} to {row.measured.high:.3f}"
        published = f"{row.published:g} ± {row.tolerance:g}"
        verdict = "pass" if row.passed else "fail"
        cells.append((row.system, title(row.metric), published, mean, between, verdict))
    return Table(("system", "metric", "published", "measured", "95 % interval", "verdict"), cells)
