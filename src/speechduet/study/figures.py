"""Figures of an ablation, as PNG files: quality over steps, fusion weights and cost."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from speechduet.errors import AudioError
from speechduet.evaluation import METRICS
from speechduet.evaluation.figures import panels
from speechduet.evaluation.tables import title
from speechduet.picture import name_in_picture
from speechduet.study import published
from speechduet.study.measuring import Measured
from speechduet.study.selection import (
    Line,
    Measurements,
    by_beta,
    by_steps,
    frontier,
    predictive,
    systems_only,
)
from speechduet.study.settings import NOISY, Ablation, Setting

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STYLES = {"exact": "-", "paper": "--"}
_COSTS = {
    "evaluations": "network evaluations (NFE)",
    "gmac_per_s": "GMAC per second of audio",
    "seconds_per_s": "processor seconds per second of audio",
}
_SHADED = 6
"""Intervals of more lines than these would hide one another."""
_GRIDS = "solid: exact grid; dashed: paper's grid"
_PAPER = "arXiv 2305.10734"


def draw(ablation: Ablation, measured: Measurements, folder: Path, named: str) -> list[Path]:
    """Write every figure for which something was measured; ``named`` is the set's name."""
    made: dict[str, Figure] = {}
    noisy = measured[Setting(NOISY, None)]
    compared = ablation.dataset == "voicebank_demand" and named == "test"
    if lines := by_steps(ablation, measured):
        curves = published.BY_STEPS if compared else {}
        made["steps"] = _against(lines, "steps", noisy, curves)
        made["evaluations"] = _against(lines, "evaluations", noisy, {})
        made["seconds"] = _against(lines, "seconds_per_s", noisy, {})
    if lines := predictive(ablation, measured):
        curve = {"GP-Unified": published.PREDICTIVE} if compared else {}
        made["predictive"] = _pesq(
            lines, "steps N", f"PESQ of the predictive output, by steps (as in {_PAPER})", curve
        )
    if lines := by_beta(ablation, measured):
        made["beta"] = _pesq(
            lines,
            "β (1: generative result, 0: predictive estimate)",
            f"PESQ against the weight of the final fusion (as in {_PAPER})",
        )
    systems = systems_only(measured)
    for cost in ("gmac_per_s", "seconds_per_s") if systems else ():
        made[f"frontier_{cost.partition('_')[0]}"] = _frontier(systems, cost, noisy)
    return [_written(figure, folder / f"{named}_{name}.png") for name, figure in made.items()]


def _against(
    lines: Sequence[Line],
    along: str,
    noisy: Measured,
    curves: Mapping[str, Mapping[str, Sequence[float]]],
) -> "Figure":
    """All metrics over steps or over a cost, with the intervals over files."""
    figure, panel_of = panels(METRICS, 3.4)
    labels = [line.label for line in lines]
    colours = _colours([*labels, *curves.get("pesq", {})])
    for metric, axes in panel_of.items():
        for line in lines:
            steps, points = zip(*line.points, strict=True)
            places = steps if along == "steps" else [getattr(m.cost, along) for m in points]
            _curve(axes, places, points, metric, line, colours[line.label], len(lines) <= _SHADED)
        for name, values in curves.get(metric, {}).items():
            label = None if name in labels else f"{name}, published"
            axes.plot(published.STEPS, values, "x:", color=colours[name], alpha=0.7, label=label)
        if metric != "si_sar":  # of the input it would be endless, for nothing was done to it
            _mark(axes, noisy.mean(metric))
        axes.set_xlabel("steps N" if along == "steps" else _COSTS[along])
        axes.set_ylabel(title(metric))
        if along != "steps":
            _logarithmic(axes)
    legend = f"{_GRIDS}; dotted: noisy input" + ("; ×: published" if curves else "")
    headline = f"number of steps (as in figures of {_PAPER})" if along == "steps" else _COSTS[along]
    figure.suptitle(f"Quality against {headline}\n{legend}")
    _legend(figure, panel_of)
    return figure


def _pesq(
    lines: Sequence[Line],
    along: str,
    headline: str,
    curves: Mapping[str, Sequence[float]] | None = None,
) -> "Figure":
    """PESQ over one setting."""
    figure, panel_of = panels(("pesq",), 4.5)
    axes = panel_of["pesq"]
    colours = _colours(line.label for line in lines)
    for line in lines:
        places, points = zip(*line.points, strict=True)
        _curve(axes, places, points, "pesq", line, colours[line.label], len(lines) <= _SHADED)
    for name, values in (curves or {}).items():
        axes.plot(published.STEPS, values, "x:", color="grey", label=f"{name}, published")
    axes.set_xlabel(along)
    axes.set_ylabel(title("pesq"))
    figure.suptitle(f"{headline}\n{_GRIDS}")
    _legend(figure, panel_of)
    return figure


def _frontier(measured: Sequence[Measured], cost: str, noisy: Measured) -> "Figure":
    """Every setting as a point; a line for each system joins those that nothing cheaper equals."""
    figure, panel_of = panels(("pesq", "estoi", "si_sdr"), 4.2)
    systems = dict.fromkeys(one.setting.system for one in measured)
    for metric, axes in panel_of.items():
        for index, system in enumerate(systems):
            of_system = [one for one in measured if one.setting.system == system]
            best = frontier(of_system, metric, cost)
            colour = f"C{index}"
            for points, style, label in (
                (of_system, ".", None),
                (best, "o-", name_in_picture(system)),
            ):
                places = [getattr(one.cost, cost) for one in points]
                scores = [one.mean(metric) for one in points]
                alpha = 0.3 if style == "." else 1.0
                axes.plot(places, scores, style, color=colour, alpha=alpha, label=label)
        _mark(axes, noisy.mean(metric))
        _logarithmic(axes)
        reached = [one.mean(metric) for one in frontier(measured, metric, cost)]
        levels = [*reached, noisy.mean(metric)] if noisy.evaluation.files else reached
        margin = max(0.3 * (max(levels) - min(levels)), 0.01)
        axes.set_ylim(min(levels) - margin, max(levels) + 0.2 * margin)
        axes.set_xlabel(_COSTS[cost])
        axes.set_ylabel(title(metric))
    figure.suptitle(
        f"What quality costs: {_COSTS[cost]}\n"
        "lines: frontiers; dotted: noisy input; far worse settings lie below the axes"
    )
    _legend(figure, panel_of)
    return figure


def _curve(
    axes: "Axes",
    places: Sequence[float],
    points: Sequence[Measured],
    metric: str,
    line: Line,
    colour: str,
    shaded: bool,
) -> None:
    intervals = [m.summary[metric] for m in points]
    known = [(x, i) for x, i in zip(places, intervals, strict=True) if i is not None]
    x = [place for place, _ in known]
    means = [interval.mean for _, interval in known]
    # One entry in the legend for both grids, which the line's style tells apart.
    name = name_in_picture(line.label)
    label = name if name not in axes.get_legend_handles_labels()[1] else None
    axes.plot(x, means, f"o{_STYLES[line.grid]}", color=colour, label=label, markersize=3)
    low, high = [interval.low for _, interval in known], [interval.high for _, interval in known]
    if shaded:
        axes.fill_between(x, low, high, color=colour, alpha=0.1, linewidth=0)


def _mark(axes: "Axes", score: float) -> None:
    axes.axhline(score, color="black", linewidth=0.8, linestyle=":")


def _logarithmic(axes: "Axes") -> None:
    """Powers of ten are far apart: 1, 2 and 5 of each are written out."""
    from matplotlib.ticker import LogLocator, NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter("{x:g}")


def _colours(labels: Iterable[str]) -> dict[str, str]:
    return {label: f"C{index % 10}" for index, label in enumerate(dict.fromkeys(labels))}


def _legend(figure: "Figure", panel_of: Mapping[str, "Axes"]) -> None:
    handles, labels = next(iter(panel_of.values())).get_legend_handles_labels()
    if labels:
        figure.legend(handles, labels, loc="outside lower center", ncols=3)


def _written(figure: "Figure", path: Path) -> Path:
    try:
        figure.savefig(path, format="png", dpi=110)
    except OSError as error:
        raise AudioError(f"cannot write {path} ({error.strerror})") from error
    return path
