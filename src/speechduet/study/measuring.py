"""Measure settings on pairs of recordings: what the cache does not know, in parallel processes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import SettingError
from speechduet.evaluation import Evaluation, Failure, Interval, Pair, Scores
from speechduet.evaluation.pairing import pair_up
from speechduet.evaluation.processes import in_processes
from speechduet.model.find import load_any
from speechduet.network.cost import (
    Parts,
    calls,
    evaluations,
    operations,
    operations_per_second,
)
from speechduet.network.system import Layout
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram
from speechduet.study.cache import Cache, CachedScores, digest_of_file, digest_of_model, key_of
from speechduet.study.settings import Folders, Setting
from speechduet.study.trajectory import Result, Trajectory, check, results

Progress = Callable[[int, int], None]
"""Told how many trajectories are done, and of how many."""


class Cost(NamedTuple):
    """What a setting costs; all 0 for the noisy input."""

    evaluations: int = 0
    """Network evaluations (NFE)."""
    calls: Parts = Parts()
    gmac_per_s: float = 0.0
    """Billions of multiply-accumulate operations per second of audio, counted."""
    seconds_per_s: float = 0.0
    """Processor seconds per second of audio (seconds, elsewhere), measured while sweeping: the
    median over files and seeds."""


@dataclass(frozen=True)
class Model:
    """What a sweep needs to know of a system's model."""

    place: str
    digest: str
    layout: Layout
    transform: Spectrogram
    operations: Parts

    def rate(self, sampling: Sampling) -> float:
        """Operations per second of audio."""
        return operations_per_second(self.operations, self.layout, sampling, self.transform)


@dataclass(frozen=True)
class Measured:
    """The scores of a setting on one set, and its cost."""

    setting: Setting
    evaluation: Evaluation
    """Of each file the mean over seeds; a file with a failure under any seed is a failure."""
    seeds: tuple[Evaluation, ...]
    cost: Cost

    @cached_property
    def summary(self) -> dict[str, Interval | None]:
        """Mean and interval of each metric; None if no file has scores."""
        return self.evaluation.summary()

    def mean(self, metric: str) -> float:
        """Mean over files and seeds; NaN if no file has scores."""
        return _mean_over(self.evaluation, metric)

    def seed_spread(self, metric: str) -> float:
        """Standard deviation over seeds of the mean over files; 0 with one seed."""
        means = [_mean_over(run, metric) for run in self.seeds]
        return float(np.std(means, ddof=1)) if len(means) > 1 else 0.0


def models(systems: Mapping[str, str], settings: Sequence[Setting]) -> dict[str, Model]:
    """The models of all systems; ModelError or SettingError if one is missing or cannot do it."""
    found = {}
    for name, place in systems.items():
        pretrained = load_any(place)
        system, transform = pretrained.system, pretrained.spectrogram
        enhancer = Enhancer(pretrained, "cpu")
        for setting in settings:
            if setting.system == name and setting.sampling is not None:
                check(enhancer, setting.sampling)
        found[name] = Model(
            place,
            digest_of_model(pretrained),
            system.layout,
            transform,
            operations(system, transform.bins),
        )
    return found


def pairs_of(folders: Folders) -> tuple[list[Pair], list[Failure]]:
    """The pairs to measure on, and recordings without a partner."""
    for place in (folders.clean, folders.noisy):
        if not Path(place).is_dir():
            raise SettingError(f"{place} is no folder", "recordings to measure on")
    # The noisy recordings are also what is enhanced.
    noisy = Path(folders.noisy)
    pairs, failed = pair_up(Path(folders.clean), noisy, noisy)
    if not pairs:
        raise SettingError(f"no pairs in {folders.clean} and {folders.noisy}", "at least one")
    if folders.limit:
        pairs = pairs[:: -(-len(pairs) // folders.limit)]
    return pairs, failed


@dataclass(frozen=True)
class Runner:
    """With what is measured: models, seeds, known results, processes and their device."""

    models: Mapping[str, Model]
    seeds: tuple[int, ...]
    cache: Cache
    jobs: int = 1
    device: str = "cpu"

    def measure(
        self, pairs: Sequence[Pair], settings: Sequence[Setting], progress: Progress
    ) -> dict[Setting, Measured]:
        """Every setting on every pair; what fails is a failure of its file."""
        digests = {
            pair: (digest_of_file(pair.clean), digest_of_file(_noisy(pair))) for pair in pairs
        }
        keys = {
            (setting, seed, pair): self._key(setting, seed, digests[pair])
            for setting in settings
            for seed in self._seeds(setting)
            for pair in pairs
        }
        missing = [unit for unit, key in keys.items() if self.cache.get(key) is None]
        failures: dict[str, Failure] = {}
        trajectories = self._trajectories(missing)
        progress(0, len(trajectories))
        followed = _results(list(trajectories), self.jobs)
        for number, (trajectory, ended) in enumerate(zip(trajectories, followed, strict=True)):
            for unit, ending in zip(trajectories[trajectory], ended, strict=True):
                if isinstance(ending.outcome, Failure):
                    failures[keys[unit]] = ending.outcome
                else:
                    seconds = ending.seconds_per_s * self._share(unit[0], trajectory)
                    self.cache.add(keys[unit], CachedScores(ending.outcome, seconds))
            progress(number + 1, len(trajectories))
        return {setting: self._measured(setting, pairs, keys, failures) for setting in settings}

    def _seeds(self, setting: Setting) -> tuple[int, ...]:
        return self.seeds if setting.sampling is not None else self.seeds[:1]

    def _key(self, setting: Setting, seed: int, files: tuple[str, str]) -> str:
        if setting.sampling is None:
            return key_of("", None, 0, files)
        return key_of(self.models[setting.system].digest, setting.sampling, seed, files)

    def _trajectories(self, missing: Sequence["_Unit"]) -> dict[Trajectory, list["_Unit"]]:
        """Units that differ in beta alone make one trajectory; model follows upon model."""
        together: dict[tuple[str, Sampling | None, int, Pair], list[_Unit]] = {}
        for unit in sorted(missing, key=lambda unit: unit[0].system):
            (system, sampling), seed, pair = unit
            but_beta = replace(sampling, beta=1.0) if sampling is not None else None
            together.setdefault((system, but_beta, seed, pair), []).append(unit)
        made = {}
        for (system, sampling, seed, pair), units in together.items():
            place = self.models[system].place if sampling is not None else None
            betas = tuple(
                setting.sampling.beta if setting.sampling else 1.0 for setting, *_ in units
            )
            made[Trajectory(place, sampling, betas, seed, pair, self.device)] = units
        return made

    def _share(self, setting: Setting, trajectory: Trajectory) -> float:
        """How much of the trajectory's operations the setting would take by itself."""
        if setting.sampling is None:
            return 0.0
        model = self.models[setting.system]
        computed = replace(setting.sampling, beta=min(trajectory.betas))
        return model.rate(setting.sampling) / model.rate(computed)

    def _measured(
        self,
        setting: Setting,
        pairs: Sequence[Pair],
        keys: Mapping["_Unit", str],
        failures: Mapping[str, Failure],
    ) -> Measured:
        runs, seconds = [], []
        for seed in self._seeds(setting):
            outcomes: list[Scores | Failure] = []
            for pair in pairs:
                key = keys[setting, seed, pair]
                known = self.cache.get(key)
                if known is None:
                    outcomes.append(failures[key])
                else:
                    outcomes.append(known.scores._replace(file=pair.name))
                    seconds.append(known.seconds_per_s)
            runs.append(outcomes)
        by_file = [_mean(of_file) for of_file in zip(*runs, strict=True)]
        cost = self._cost(setting, float(np.median(seconds)) if seconds else float("nan"))
        return Measured(setting, Evaluation.of(by_file), tuple(map(Evaluation.of, runs)), cost)

    def _cost(self, setting: Setting, seconds_per_s: float) -> Cost:
        system, sampling = setting
        if sampling is None:
            return Cost()
        model = self.models[system]
        number_of = calls(model.layout, sampling)
        return Cost(
            evaluations(model.layout, sampling),
            number_of,
            model.rate(sampling) / 1e9,
            seconds_per_s,
        )


def _mean_over(evaluation: Evaluation, metric: str) -> float:
    values = [float(getattr(scores, metric)) for scores in evaluation.files]
    return float(np.mean(values)) if values else float("nan")


_Unit = tuple[Setting, int, Pair]
"""A setting, a seed and a file."""


def _mean(outcomes: Sequence[Scores | Failure]) -> Scores | Failure:
    """The mean over seeds of one file's scores, or its first failure."""
    scored: list[Scores] = []
    for outcome in outcomes:
        if isinstance(outcome, Failure):
            return outcome
        scored.append(outcome)

    def mean(metric: str) -> float:
        return float(np.mean([float(getattr(scores, metric)) for scores in scored]))

    # SI-SIR and SI-SAR are there, for the noisy recording always is.
    si = mean("si_sdr"), mean("si_sir"), mean("si_sar")
    return Scores(scored[0].file, mean("pesq"), mean("estoi"), *si)


def _results(trajectories: Sequence[Trajectory], jobs: int) -> Iterator[list[Result]]:
    return in_processes(results, trajectories, jobs, _one_thread)


def _one_thread() -> None:
    """As many processes as processors: each computes with one thread."""
    torch.set_num_threads(1)


def _noisy(pair: Pair) -> Path:
    assert pair.noisy is not None
    return pair.noisy
