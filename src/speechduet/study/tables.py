"""What an ablation leaves to read: tables in Markdown, and CSV files of everything."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict

from speechduet.evaluation import METRICS, Scores, compare
from speechduet.evaluation.tables import Table, comparison_table, means_table, title
from speechduet.network.cost import Parts
from speechduet.sampling import SETTINGS
from speechduet.study.measuring import Measured
from speechduet.study.selection import (
    Line,
    Measurements,
    Picked,
    by_steps,
    described,
    predictive,
)
from speechduet.study.settings import NOISY, Ablation, Setting

Sets = Mapping[str, Measurements]
"""What was measured on *valid* and on *test*."""


def report(ablation: Ablation, sets: Sets, picks: list[Picked]) -> str:
    """All tables, as Markdown."""
    parts = ["# Ablation", _conditions(ablation)]
    for name, measured in sets.items():
        if lines := by_steps(ablation, measured):
            parts += [
                f"## Fewest steps for the same score, on {name} (as in {_PAPER})",
                _EQUAL_SCORES,
            ]
            parts += [_fewest_steps(lines).to_markdown()]
        if lines := predictive(ablation, measured):
            parts += [f"## PESQ of the predictive output by steps, on {name} (as in {_PAPER})"]
            parts += [_by_steps_table(lines).to_markdown()]
    if picks:
        tested = sets["test"]
        parts += [f"## Systems, each with the setting picked on valid, on test (as in {_PAPER})"]
        parts += [_systems(picks, tested).to_markdown()]
        for pick in ablation.picks:
            chosen = {
                setting.system: tested[setting].evaluation
                for name, setting in picks
                if name == pick
            }
            if compared := compare(chosen):
                parts += [f"{_PAIRED} Pick: {pick}.", comparison_table(compared).to_markdown()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def settings_csv(sets: Sets) -> str:
    """A line for each set and setting: what it is, what it costs, and its scores."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    scored = [f"{metric}{suffix}" for metric in METRICS for suffix in ("", "_low", "_high")]
    spreads = [f"{metric}_seed_spread" for metric in METRICS]
    calls = [f"{part}_calls" for part in Parts._fields]
    costs = ["evaluations", *calls, "gmac_per_s", "seconds_per_s"]
    writer.writerow(["set", "system", *SETTINGS, *costs, "files", "seeds", *scored, *spreads])
    for name, measured in sets.items():
        for one in measured.values():
            writer.writerow([name, *_cells(one)])
    return text.getvalue()


def files_csv(sets: Sets, seeds: tuple[int, ...]) -> str:
    """A line for each set, setting, seed and file."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["set", "system", *SETTINGS, "seed", "file", *METRICS])
    for name, measured in sets.items():
        for one in measured.values():
            setting = _setting_cells(one.setting)
            # The noisy input has no seed and is scored once.
            for seed, run in zip(seeds, one.seeds, strict=False):
                for scores in run.files:
                    values = [scores.by_metric()[metric] for metric in METRICS]
                    writer.writerow([name, *setting, seed, scores.file, *values])
    return text.getvalue()


_PAPER = "arXiv 2305.10734"

_EQUAL_SCORES = """For each metric the score that all lines reach (the lowest of their best means),
and the fewest steps N with which each line reaches it, with what they cost."""

_PAIRED = """Paired differences of these systems over the same files; the p of one test alone."""


def _conditions(ablation: Ablation) -> str:
    seeds = ", ".join(map(str, ablation.seeds))
    return (
        f"Means over files and sampling seeds ({seeds}) with 95 % bootstrap intervals over files "
        "(a file's score is its mean over seeds). They say nothing of another training run. "
        "Seconds are those of the processor (of the clock, on other devices) per second of audio, "
        "measured while sweeping."
    )


def _systems(picks: list[Picked], tested: Measurements) -> Table:
    noisy = tested[Setting(NOISY, None)]
    groups: dict[tuple[str, ...], list[Scores]] = {
        ("–", NOISY, "–", "–", "–"): noisy.evaluation.files
    }
    for pick, setting in picks:
        measured = tested[setting]
        cost = measured.cost
        label = (pick, setting.system, described(setting.sampling))
        groups[(*label, str(cost.evaluations), _amount(cost.gmac_per_s))] = (
            measured.evaluation.files
        )
    return means_table(("pick", "system", "setting", "NFE", "GMAC/s"), groups)


def _fewest_steps(lines: list[Line]) -> Table:
    rows = []
    for metric in ("pesq", "estoi", "si_sdr"):
        target = min(max(one.mean(metric) for _, one in line.points) for line in lines)
        for line in lines:
            steps, first = next(point for point in line.points if point[1].mean(metric) >= target)
            cost = first.cost
            rows.append(
                (
                    f"{title(metric)} {target:.3f}",
                    f"{line.label} ({line.grid} grid)",
                    f"{steps:.0f}",
                    str(cost.evaluations),
                    _amount(cost.gmac_per_s),
                    _amount(cost.seconds_per_s),
                    f"{first.mean(metric):.3f}",
                )
            )
    header = ("score to reach", "line", "N", "NFE", "GMAC/s", "seconds/s", "score")
    return Table(header, rows)


def _by_steps_table(lines: list[Line]) -> Table:
    steps = sorted({place for line in lines for place, _ in line.points})
    rows = []
    for line in lines:
        means = {place: f"{point.mean('pesq'):.3f}" for place, point in line.points}
        label = f"{line.label} ({line.grid} grid)"
        rows.append((label, *(means.get(place, "–") for place in steps)))
    return Table(("line", *(f"N = {place:.0f}" for place in steps)), rows)


def _amount(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _cells(one: Measured) -> Iterator[object]:
    yield from _setting_cells(one.setting)
    cost = one.cost
    yield from (cost.evaluations, *cost.calls, cost.gmac_per_s, cost.seconds_per_s)
    yield from (len(one.evaluation.files), len(one.seeds))
    for metric in METRICS:
        interval = one.summary[metric]
        yield from (interval.mean, interval.low, interval.high) if interval else ("", "", "")
    yield from (one.seed_spread(metric) for metric in METRICS)


def _setting_cells(setting: Setting) -> list[object]:
    sampling = asdict(setting.sampling) if setting.sampling else {}
    return [setting.system, *(sampling.get(key, "") for key in SETTINGS)]
