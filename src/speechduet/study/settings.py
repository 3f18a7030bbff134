"""An ablation as its YAML file describes it: systems, sweeps over sampler settings, and picks."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, make_dataclass, replace
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, get_type_hints

from annotated_types import MinLen

from speechduet.errors import SettingError
from speechduet.sampler import Sampling
from speechduet.sampling import SETTINGS
from speechduet.settings import Seed, Settings, Text, Whole, nearest, read
from speechduet.training.recipe_file import change, read_changed

Dataset = Literal["other", "voicebank_demand"]
Metric = Literal["pesq", "estoi", "si_sdr", "si_sir", "si_sar"]

NOISY = "noisy"
"""The name of the input itself, which is scored beside all systems."""


@dataclass(frozen=True)
class Folders(Settings):
    """Pairs to measure on: recordings of the same names, of one channel, at the models' rate."""

    clean: Text
    noisy: Text
    limit: Whole = 0
    """At most this many pairs, evenly picked from all; 0: all."""


if TYPE_CHECKING:
    _Varied = Settings
else:
    _HINTS = get_type_hints(Sampling, include_extras=True)
    _Varied = make_dataclass(
        "_Varied",
        [
            (
                setting.name,
                Annotated[tuple[_HINTS[setting.name], ...], MinLen(1)],
                (setting.default,),
            )
            for setting in fields(Sampling)
        ],
        bases=(Settings,),
        frozen=True,
        kw_only=True,
    )


@dataclass(frozen=True, kw_only=True)
class Sweep(_Varied):
    """All combinations of sampler settings of one system.

    Each field of `Sampling` is one of this record, with any number of values; by default the
    sampler's own. The paper's grid goes with the Euler-Maruyama predictor alone: other predictors
    are combined with the exact grid only.
    """

    system: str
    test: bool = False
    """Measure all of it on the test set too, to be reported; picks never look there."""

    def check(self) -> None:
        """There is something to measure."""
        if not list(self.samplings()):
            raise SettingError("no combination has a meaning", "at least one")

    def samplings(self) -> Iterator[Sampling]:
        """Each combination that has a meaning."""
        for values in product(*(getattr(self, name) for name in SETTINGS)):
            chosen = dict(zip(SETTINGS, values, strict=True))
            if chosen["grid"] == "paper" and chosen["predictor"] != "euler_maruyama":
                continue
            yield Sampling(**chosen)


@dataclass(frozen=True)
class Pick(Settings):
    """Which setting of each system is taken from validation to the test set: the best mean."""

    by: Metric = "pesq"
    most_evaluations: Whole = 0
    """Only among settings with at most this many network evaluations; 0: no limit."""
    grid: Literal["any", "exact", "paper"] = "any"


class Setting(NamedTuple):
    """What is measured: a system with sampler settings; None for the noisy input."""

    system: str
    sampling: Sampling | None


@dataclass(frozen=True, kw_only=True)
class Ablation(Settings):
    """All of an ablation's file, checked."""

    dataset: Dataset = "other"
    systems: Annotated[Mapping[str, Text], MinLen(1)]
    """Model folders (or whatever else ``--model`` takes) by the names of their systems."""
    valid: Folders
    test: Folders | None = None
    seeds: Annotated[tuple[Seed, ...], MinLen(1)] = (0,)
    sweeps: Annotated[Mapping[str, Sweep], MinLen(1)]
    picks: Mapping[str, Pick] = field(default_factory=dict)

    def check(self) -> None:
        """Sweeps are of systems that there are, and what is to be tested has a test set."""
        if NOISY in self.systems:
            raise SettingError(f"a system is named {NOISY!r}", "another name")
        tested = any(sweep.test for sweep in self.sweeps.values())
        if self.test is None and (self.picks or tested):
            raise SettingError("no test set to report on", "test: {clean: DIR, noisy: DIR}")
        for name, sweep in self.sweeps.items():
            if sweep.system not in self.systems:
                systems = list(self.systems)
                raise SettingError(
                    f"sweeps.{name}.system is {sweep.system!r}",
                    "one of " + ", ".join(systems),
                    nearest(sweep.system, systems),
                )

    def settings(self, tested: bool = False) -> list[Setting]:
        """Each distinct setting once, the noisy input first; only those of sweeps to be tested."""
        swept = [
            Setting(sweep.system, canonical(sampling))
            for sweep in self.sweeps.values()
            if sweep.test or not tested
            for sampling in sweep.samplings()
        ]
        return list(dict.fromkeys([Setting(NOISY, None), *swept]))


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
        sampling = replace(sampling, corrector_snr=Sampling.corrector_snr)
    if replace(sampling, predict_once=False).predictions < 2:
        sampling = replace(sampling, predict_once=False)
    return sampling


def read_ablation(path: Path, overrides: Sequence[str] = ()) -> Ablation:
    """Read an ablation's file; SettingError for what is unknown, missing or without meaning."""

    def made(values: dict[str, Any], overrides: Sequence[str]) -> Ablation:
        change(values, overrides)
        return read(Ablation, {name: value for name, value in values.items() if value is not None})

    return read_changed(path, overrides, made)
