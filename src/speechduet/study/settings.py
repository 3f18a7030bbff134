"""An ablation as its YAML file describes it: systems, sweeps over sampler settings, and picks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from typing import Any, Literal, NamedTuple

from speechduet.errors import ModelError, SettingError
from speechduet.model.config import record
from speechduet.sampler import Sampling
from speechduet.sampler.settings import Grid, Start
from speechduet.sampler.transition import Predictor
from speechduet.training.recipe_file import read_sections

Dataset = Literal["other", "voicebank_demand"]
Metric = Literal["pesq", "estoi", "si_sdr", "si_sir", "si_sar"]

NOISY = "noisy"
"""The name of the input itself, which is scored beside all systems."""


@dataclass(frozen=True)
class Folders:
    """Pairs to measure on: recordings of the same names, of one channel, at the models' rate."""

    clean: str
    noisy: str
    limit: int = 0
    """At most so many pairs, evenly picked from all; 0: all."""


@dataclass(frozen=True)
class Sweep:
    """All combinations of sampler settings (see `Sampling`) of one system.

    The paper's grid goes with the Euler-Maruyama predictor alone: other predictors are combined
    with the exact grid only.
    """

    system: str
    steps: tuple[int, ...]
    grid: tuple[Grid, ...] = ("exact",)
    predictor: tuple[Predictor, ...] = ("euler_maruyama",)
    corrector_steps: tuple[int, ...] = (1,)
    corrector_snr: tuple[float, ...] = (0.5,)
    alpha: tuple[float, ...] = (1.0,)
    beta: tuple[float, ...] = (1.0,)
    start: tuple[float, ...] = (1.0,)
    start_from: tuple[Start, ...] = ("noisy",)
    predict_once: tuple[bool, ...] = (False,)
    framings: tuple[int, ...] = (1,)
    test: bool = False
    """Measure all of it on the test set too, to be reported; picks never look there."""

    def samplings(self) -> Iterator[Sampling]:
        """Each combination; SettingError if one of them has no meaning."""
        for values in product(*(getattr(self, name) for name in SWEPT)):
            chosen = dict(zip(SWEPT, values, strict=True))
            if chosen["grid"] == "paper" and chosen["predictor"] != "euler_maruyama":
                continue
            yield Sampling(**chosen)


SWEPT = (
    *("steps", "grid", "predictor", "corrector_steps", "corrector_snr"),
    *("alpha", "beta", "start", "start_from", "predict_once", "framings"),
)
"""What a sweep varies: the fields of `Sampling`."""


@dataclass(frozen=True)
class Pick:
    """Which setting of each system is taken from validation to the test set: the best mean."""

    by: Metric = "pesq"
    most_evaluations: int = 0
    """Only among settings with at most so many network evaluations; 0: no limit."""
    grid: Literal["any", "exact", "paper"] = "any"


class Setting(NamedTuple):
    """What is measured: a system with sampler settings; None for the noisy input."""

    system: str
    sampling: Sampling | None


@dataclass(frozen=True)
class Ablation:
    """All of an ablation's file, checked."""

    dataset: Dataset
    systems: Mapping[str, str]
    """Model folders (or whatever else ``--model`` takes) by the names of their systems."""
    valid: Folders
    test: Folders | None
    seeds: tuple[int, ...]
    sweeps: Mapping[str, Sweep]
    picks: Mapping[str, Pick]

    def settings(self, tested: bool = False) -> list[Setting]:
        """Each distinct setting once, the noisy input first; only those of sweeps to be tested."""
        told = [
            Setting(sweep.system, canonical(sampling))
            for sweep in self.sweeps.values()
            if sweep.test or not tested
            for sampling in sweep.samplings()
        ]
        return list(dict.fromkeys([Setting(NOISY, None), *told]))


def canonical(sampling: Sampling) -> Sampling:
    """Settings with the same result, what has no effect set to its default.

    Without steps nothing else matters, with a single one first fusion does not happen, without a
    corrector it has no step size, and one prediction is made once in any case.
    """
    if sampling.steps == 0:
        return Sampling(steps=0, framings=sampling.framings)
    if sampling.steps == 1:
        sampling = replace(sampling, alpha=1.0)
    if sampling.corrector_steps == 0:
        sampling = replace(sampling, corrector_snr=0.5)
    if replace(sampling, predict_once=False).predictions < 2:
        sampling = replace(sampling, predict_once=False)
    return sampling


_REQUIRED = ("systems", "valid", "sweeps")
_OPTIONAL = ("dataset", "test", "seeds", "picks")


@dataclass(frozen=True)
class _Plain:
    """The file's plain values."""

    systems: Mapping[str, str]
    dataset: Dataset = "other"
    seeds: tuple[int, ...] = (0,)


def read_ablation(path: Path, overrides: Sequence[str] = ()) -> Ablation:
    """Read an ablation's file; SettingError for what is unknown, missing or without meaning."""
    values = read_sections(path, (*_REQUIRED, *_OPTIONAL), overrides)
    for name in _REQUIRED:
        if not values.get(name):
            raise SettingError(f"{path} lacks {name!r}", ", ".join(_REQUIRED))
    try:
        plain = {key: values[key] for key in ("systems", "dataset", "seeds") if key in values}
        read = record(_Plain, plain, str(path))
        ablation = Ablation(
            dataset=read.dataset,
            systems=read.systems,
            valid=record(Folders, values["valid"], "valid"),
            test=record(Folders, values["test"], "test") if values.get("test") else None,
            seeds=read.seeds,
            sweeps=_records(Sweep, values["sweeps"], "sweeps"),
            picks=_records(Pick, values.get("picks") or {}, "picks"),
        )
    except ModelError as error:
        # Of a config it would be the model's fault; of this file it is a setting.
        raise SettingError(f"{path}: {str(error).removeprefix('config: ')}") from None
    _check(ablation, path)
    return ablation


def _records(kind: type[Any], values: Any, where: str) -> dict[str, Any]:
    if not isinstance(values, Mapping):
        raise SettingError(f"{where} is {values!r}", "named sections")
    return {name: record(kind, told, f"{where}.{name}") for name, told in values.items()}


def _check(ablation: Ablation, path: Path) -> None:
    if NOISY in ablation.systems:
        raise SettingError(f"{path}: a system is named {NOISY!r}", "another name")
    if not ablation.seeds or min(ablation.seeds) < 0:
        raise SettingError(f"{path}: seeds is {list(ablation.seeds)}", "numbers of 0 or more")
    tested = any(sweep.test for sweep in ablation.sweeps.values())
    if ablation.test is None and (ablation.picks or tested):
        raise SettingError(f"{path} has no test set to report on", "test: {clean: DIR, noisy: DIR}")
    for name, sweep in ablation.sweeps.items():
        if sweep.system not in ablation.systems:
            raise SettingError(
                f"{path}: sweeps.{name}.system is {sweep.system!r}",
                "one of " + ", ".join(ablation.systems),
            )
        if not list(sweep.samplings()):
            raise SettingError(f"{path}: sweeps.{name} has no settings", "at least one")
