"""What is read out of the measurements: lines to draw, settings to pick, and the frontier."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from operator import itemgetter
from typing import NamedTuple

from speechduet.sampler import Sampling
from speechduet.sampling import SETTINGS
from speechduet.study.measuring import Measured
from speechduet.study.settings import NOISY, Ablation, Pick, Setting, Sweep, canonical

Measurements = Mapping[Setting, Measured]


class Line(NamedTuple):
    """Points that differ in one setting alone."""

    sweep: str
    """Name of the sweep that it is of."""
    varied: str
    """What else that sweep varies, and its value here, in words; empty if nothing."""
    grid: str
    points: list[tuple[float, Measured]]
    """The setting that differs, ascending, and what was measured with it."""

    @property
    def label(self) -> str:
        """For a legend."""
        return f"{self.sweep}, {self.varied}" if self.varied else self.sweep


class Picked(NamedTuple):
    """The setting of a system that is best on validation under a pick's conditions."""

    pick: str
    setting: Setting


def by_steps(ablation: Ablation, measured: Measurements) -> list[Line]:
    """Lines over the number of steps, of the sweeps that vary nothing else but the grid."""
    return [
        line
        for name, sweep in ablation.sweeps.items()
        if all(
            len(set(getattr(sweep, key))) == 1 for key in SETTINGS if key not in ("steps", "grid")
        )
        for line in _lines(name, sweep, "steps", measured)
    ]


def by_beta(ablation: Ablation, measured: Measurements) -> list[Line]:
    """Lines over the weight of the final fusion."""
    return [
        line
        for name, sweep in ablation.sweeps.items()
        for line in _lines(name, sweep, "beta", measured)
    ]


def predictive(ablation: Ablation, measured: Measurements) -> list[Line]:
    """Lines over steps of the predictive output of the last step, which is what beta 0 leaves."""
    return [
        line
        for name, sweep in ablation.sweeps.items()
        for line in _lines(name, sweep, "steps", measured)
        if all(m.setting.sampling and m.setting.sampling.beta == 0 for _, m in line.points)
    ]


def _lines(name: str, sweep: Sweep, along: str, measured: Measurements) -> Iterator[Line]:
    """Lines of at least two points; what takes no steps or has no scores is on none."""
    others = [key for key in SETTINGS if key != along]
    varying = [key for key in others if key != "grid" and len(set(getattr(sweep, key))) > 1]

    groups: dict[tuple[object, ...], list[Sampling]] = {}
    for sampling in sweep.samplings():
        if sampling.steps:
            groups.setdefault(tuple(getattr(sampling, key) for key in others), []).append(sampling)
    for members in groups.values():
        points = {}
        for sampling in members:
            point = measured.get(Setting(sweep.system, canonical(sampling)))
            if point is not None and point.evaluation.files:
                points[float(getattr(sampling, along))] = point
        if len(points) > 1:
            varied = ", ".join(f"{key} {getattr(members[0], key)}" for key in varying)
            yield Line(name, varied, members[0].grid, sorted(points.items(), key=itemgetter(0)))


def picked(ablation: Ablation, measured: Measurements) -> list[Picked]:
    """The best setting of each system for each pick; none of a system that has no such setting."""
    systems = dict.fromkeys(sweep.system for sweep in ablation.sweeps.values())
    return [
        Picked(name, best)
        for name, pick in ablation.picks.items()
        for system in systems
        if (best := _best(pick, system, measured)) is not None
    ]


def _best(pick: Pick, system: str, measured: Measurements) -> Setting | None:
    candidates = [
        one
        for (of, sampling), one in measured.items()
        if of == system
        and sampling is not None
        and one.evaluation.files
        and (not pick.most_evaluations or one.cost.evaluations <= pick.most_evaluations)
        and (pick.grid == "any" or sampling.steps == 0 or sampling.grid == pick.grid)
    ]
    # A mean without files that have scores elsewhere is not comparable.
    most = max((len(one.evaluation.files) for one in candidates), default=0)
    whole = [one for one in candidates if len(one.evaluation.files) == most]
    return max(whole, key=lambda one: one.mean(pick.by)).setting if whole else None


def frontier(measured: Sequence[Measured], metric: str, cost: str) -> list[Measured]:
    """Those that nothing cheaper equals, from the cheapest; ``cost`` is a field of `Cost`."""
    best: list[Measured] = []
    scored = [one for one in measured if one.evaluation.files]
    for one in sorted(scored, key=lambda one: (getattr(one.cost, cost), -one.mean(metric))):
        if not best or one.mean(metric) > best[-1].mean(metric):
            best.append(one)
    return best


def described(sampling: Sampling | None) -> str:
    """What differs from the defaults, in words."""
    if sampling is None:
        return "as it is"
    usual = asdict(Sampling())
    changed = [
        f"{key.replace('_', ' ')} {value:g}"
        if isinstance(value, float)
        else f"{key.replace('_', ' ')} {value}"
        for key, value in asdict(sampling).items()
        if key != "steps" and value != usual[key]
    ]
    steps = f"{sampling.steps} step{'s' if sampling.steps > 1 else ''}"
    if sampling.steps == 0:
        steps = "predictive estimate"
    return ", ".join([steps, *changed])


def systems_only(measured: Measurements) -> list[Measured]:
    """All that have scores but the noisy input."""
    scored = [one for one in measured.values() if one.evaluation.files]
    return [one for one in scored if one.setting.system != NOISY]
