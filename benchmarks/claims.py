"""The paper's claims, each as paired differences over the files of an ablation.

    speechduet ablate --config recipes/ablation/study.yaml --folder runs/ablation/study
    speechduet ablate --config recipes/ablation/study_seeds.yaml --folder runs/ablation/study_seeds
    python benchmarks/claims.py runs/ablation/study/files.csv runs/ablation/study_seeds/files.csv

prints the tables of docs/records/study.md. A file's score is its mean over sampling seeds;
intervals are 95 % bootstrap intervals over files. What they do not hold is the chance of
training: each system was trained once.
"""

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from speechduet.evaluation import Interval, bootstrap
from speechduet.sampler import Sampling
from speechduet.sampling import SETTINGS
from speechduet.study.settings import Setting, canonical

METRICS = {"pesq": ("PESQ", 3), "estoi": ("ESTOI", 3), "si_sdr": ("SI-SDR (dB)", 2)}
GRIDS = ("paper", "exact")
STEPS = (1, 2, 3, 5, 10, 15, 30)
BETAS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0)

ByFile = Mapping[str, Mapping[str, float]]
"""Metrics by the name of the file."""


class Claim(NamedTuple):
    """That one setting scores higher than another, for some numbers of steps on both grids."""

    text: str
    steps: tuple[int, ...]
    system: str
    settings: dict[str, Any]
    other: str
    other_settings: dict[str, Any]


UNIFIED = {"alpha": 0.2, "beta": 0.1}
CLAIMS = (
    Claim(
        "GP-SGMSE+ above SGMSE+: the predictive loss helps", STEPS, "joint", {}, "sgmse_plus", {}
    ),
    Claim(
        *("GP-Unified above itself without first fusion", STEPS[1:], "joint", UNIFIED),
        *("joint", {"beta": 0.1}),
    ),
    Claim(
        *("Final fusion alone above GP-SGMSE+", STEPS, "joint", {"beta": 0.1}),
        *("joint", {}),
    ),
    Claim(
        *("GP-Unified above the predictive decoder in one evaluation", STEPS, "joint", UNIFIED),
        *("joint", {"steps": 0}),
    ),
    Claim("GP-Unified above SGMSE+", STEPS, "joint", UNIFIED, "sgmse_plus", {}),
    Claim("GP-Unified above StoRM", STEPS, "joint", UNIFIED, "storm", {}),
    Claim(
        *("GP-Unified above SGMSE+ with 30 steps", STEPS, "joint", UNIFIED),
        *("sgmse_plus", {"steps": 30}),
    ),
    Claim(
        *("GP-Unified above StoRM with 30 steps", STEPS, "joint", UNIFIED),
        *("storm", {"steps": 30}),
    ),
    Claim(
        *("GP-Unified with fewer steps above itself with 30", STEPS[:-1], "joint", UNIFIED),
        *("joint", UNIFIED | {"steps": 30}),
    ),
)
LINES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("SGMSE+", "sgmse_plus", {}),
    ("StoRM", "storm", {}),
    ("GP-SGMSE+", "joint", {}),
    ("GP-Unified", "joint", UNIFIED),
    ("GP-Unified without first fusion", "joint", {"beta": 0.1}),
    ("predictive output of the last step", "joint", {"alpha": 0.2, "beta": 0.0}),
)
SAMPLERS = tuple(
    {"grid": grid, "predictor": predictor, "corrector_steps": corrector_steps}
    for grid, predictor, corrector_steps in (
        ("paper", "euler_maruyama", 1),
        ("exact", "euler_maruyama", 1),
        ("exact", "euler_maruyama", 0),
        ("exact", "ancestral", 0),
        ("exact", "deterministic", 0),
    )
)


class Scores:
    """What an ablation measured on one set: each file's mean over seeds, by setting."""

    def __init__(self, paths: Sequence[Path], chosen: str) -> None:
        rows: dict[Setting, dict[str, dict[int, dict[str, float]]]] = defaultdict(
            lambda: defaultdict(dict)
        )
        for path in paths:
            with path.open(encoding="utf-8", newline="") as stream:
                for row in csv.DictReader(stream):
                    if row["set"] == chosen:
                        told = {metric: float(row[metric]) for metric in METRICS}
                        rows[_setting(row)][row["file"]][int(row["seed"])] = told
        self._rows = rows

    def seeds(self, setting: Setting) -> tuple[int, ...]:
        """Seeds that every file was measured with."""
        seeds = [set(by_seed) for by_seed in self._rows[setting].values()]
        return tuple(sorted(set.intersection(*seeds))) if seeds else ()

    def of(self, system: str, **settings: Any) -> ByFile | None:
        """Scores of a setting by file; None if it was not measured."""
        setting = Setting(system, canonical(replace(Sampling(), **settings)))
        if setting not in self._rows:
            return None
        seeds = self.seeds(setting)
        return {
            file: {m: float(np.mean([by_seed[seed][m] for seed in seeds])) for m in METRICS}
            for file, by_seed in self._rows[setting].items()
        }

    def mean(self, metric: str, system: str, **settings: Any) -> float | None:
        """Mean over files; None if it was not measured."""
        told = self.of(system, **settings)
        return float(np.mean([row[metric] for row in told.values()])) if told else None


def _setting(row: Mapping[str, str]) -> Setting:
    if not row["steps"]:
        return Setting(row["system"], None)
    told = {
        key: row[key] == "True" if row[key] in ("True", "False") else row[key] for key in SETTINGS
    }
    kinds: dict[str, Any] = {field.name: type(field.default) for field in fields(Sampling)}
    return Setting(row["system"], Sampling(**{key: kinds[key](told[key]) for key in SETTINGS}))


def difference(better: ByFile, other: ByFile, metric: str) -> Interval:
    """Mean of the paired differences over the files that both have, with its interval."""
    return bootstrap(better[file][metric] - other[file][metric] for file in better if file in other)


def verdict(difference: Interval) -> str:
    """Which way the interval points: +, - or neither."""
    return "+" if difference.low > 0 else "−" if difference.high < 0 else "·"


def means(scores: Scores, metric: str) -> Iterator[str]:
    """A table of means by steps: every line on both grids."""
    yield "| | grid | " + " | ".join(f"N = {n}" for n in STEPS) + " |"
    yield "|---" * (len(STEPS) + 2) + "|"
    digits = METRICS[metric][1]
    for label, system, settings in LINES:
        for grid in GRIDS:
            row = [scores.mean(metric, system, grid=grid, **settings, steps=n) for n in STEPS]
            if any(value is not None for value in row):
                cells = ("–" if value is None else f"{value:.{digits}f}" for value in row)
                yield f"| {label} | {grid} | " + " | ".join(cells) + " |"


def claims(scores: Scores) -> Iterator[str]:
    """A table for each claim: the difference by steps and grid, and which way it points."""
    for claim in CLAIMS:
        yield f"\n**{claim.text}**\n"
        yield "| grid | N | " + " | ".join(title for title, _ in METRICS.values()) + " |"
        yield "|---" * (len(METRICS) + 2) + "|"
        for grid in GRIDS:
            for n in claim.steps:
                pair = _pair(scores, claim, n, grid)
                if pair is not None:
                    cells = (_cell(difference(*pair, m), d) for m, (_, d) in METRICS.items())
                    yield f"| {grid} | {n} | " + " | ".join(cells) + " |"


def overview(scores: Scores, metric: str) -> Iterator[str]:
    """Every claim's differences in one metric, without their intervals."""
    yield "| | grid | " + " | ".join(f"N = {n}" for n in STEPS) + " |"
    yield "|---" * (len(STEPS) + 2) + "|"
    digits = METRICS[metric][1]
    for claim in CLAIMS:
        for grid in GRIDS:
            cells = []
            for n in STEPS:
                pair = _pair(scores, claim, n, grid) if n in claim.steps else None
                told = difference(*pair, metric) if pair else None
                cells.append(f"{told.mean:+.{digits}f} {verdict(told)}" if told else "")
            if any(cells):
                yield f"| {claim.text} | {grid} | " + " | ".join(cells) + " |"


def _pair(scores: Scores, claim: Claim, steps: int, grid: str) -> tuple[ByFile, ByFile] | None:
    better = scores.of(claim.system, **({"steps": steps, "grid": grid} | claim.settings))
    other = scores.of(claim.other, **({"steps": steps, "grid": grid} | claim.other_settings))
    return (better, other) if better and other else None


def _cell(told: Interval, digits: int) -> str:
    low, high = f"{told.low:+.{digits}f}", f"{told.high:+.{digits}f}"
    return f"{told.mean:+.{digits}f} [{low}, {high}] {verdict(told)}"


def weights(scores: Scores) -> Iterator[str]:
    """PESQ by the weight of the final fusion."""
    yield "| grid | N | " + " | ".join(f"β = {beta:g}" for beta in BETAS) + " |"
    yield "|---" * (len(BETAS) + 2) + "|"
    for grid in GRIDS:
        for n in STEPS:
            row = [
                scores.mean("pesq", "joint", steps=n, grid=grid, alpha=0.2, beta=beta)
                for beta in BETAS
            ]
            known = [value for value in row if value is not None]
            if len(known) == len(row):
                cells = (f"**{v:.3f}**" if v == max(known) else f"{v:.3f}" for v in known)
                yield f"| {grid} | {n} | " + " | ".join(cells) + " |"


def collapse(scores: Scores, metric: str, few: tuple[int, ...] = (3, 5, 10)) -> Iterator[str]:
    """Of what is lost with few steps on the paper's grid, what exact steps bring back."""
    yield "| | N | lost against N = 30 | brought back by exact steps | share |"
    yield "|---|---|---|---|---|"
    for label, system, settings in LINES[:-1]:
        best = scores.of(system, steps=30, grid="paper", **settings)
        for n in few:
            paper = scores.of(system, steps=n, grid="paper", **settings)
            exact = scores.of(system, steps=n, grid="exact", **settings)
            if best and paper and exact:
                lost, back = difference(best, paper, metric), difference(exact, paper, metric)
                share = f"{back.mean / lost.mean:.0%}" if lost.low > 0 else "–"
                digits = METRICS[metric][1]
                yield f"| {label} | {n} | {_cell(lost, digits)} | {_cell(back, digits)} | {share} |"


def samplers(scores: Scores, metric: str) -> Iterator[str]:
    """The same weights under every sampler, by steps: what is the sampler's and what is not."""
    steps = [n for n in STEPS if n in (2, 3, 5, 10)]
    yield "| | grid | predictor | corrector | " + " | ".join(f"N = {n}" for n in steps) + " |"
    yield "|---" * (len(steps) + 4) + "|"
    digits = METRICS[metric][1]
    for label, system, settings in LINES[:3]:
        for sampler in SAMPLERS:
            row = [scores.mean(metric, system, steps=n, **settings, **sampler) for n in steps]
            if all(value is not None for value in row):
                cells = " | ".join(f"{value:.{digits}f}" for value in row)
                yield f"| {label} | " + " | ".join(map(str, sampler.values())) + f" | {cells} |"


def main(
    files: Annotated[list[Path], typer.Argument(help="files.csv of `speechduet ablate`.")],
    chosen: Annotated[str, typer.Option("--set", help="valid or test")] = "valid",
) -> None:
    """Print the tables of docs/records/study.md."""
    scores = Scores(files, chosen)
    for metric, (title, _) in METRICS.items():
        print(f"\n### {title} by steps\n", *means(scores, metric), sep="\n")
    for metric, (title, _) in METRICS.items():
        print(f"\n### Claims, {title}\n", *overview(scores, metric), sep="\n")
    print("\n### Claims, with intervals", *claims(scores), sep="\n")
    print("\n### PESQ by the weight of the final fusion\n", *weights(scores), sep="\n")
    for metric in ("pesq", "si_sdr"):
        title = METRICS[metric][0]
        print(f"\n### {title} that few steps lose\n", *collapse(scores, metric), sep="\n")
        print(f"\n### {title} under each sampler\n", *samplers(scores, metric), sep="\n")


if __name__ == "__main__":
    typer.run(main)
