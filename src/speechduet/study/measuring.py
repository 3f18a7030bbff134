"""Measure settings on pairs of recordings: what the cache lacks, in parallel processes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import SettingError
from speechduet.evaluation import (
    METRICS,
    Evaluation,
    Interval,
    ScoredPair,
    Scores,
    UnscoredFile,
)
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
from speechduet.network.layout import Layout
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram
from speechduet.study.cache import Cache, digest_of_file, digest_of_model, key_of
from speechduet.study.settings import Folders, Setting
from speechduet.study.trajectory import Trajectory, enhance_and_score, input_of

Progress = Callable[[int, int], None]
"""Called with how many trajectories are done, and of how many."""


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
                any_mode = next(iter(pretrained.modes))
                enhancer.sampling(any_mode, **vars(setting.sampling))  # an error if it cannot
        found[name] = Model(
            place,
            digest_of_model(pretrained),
            system.layout,
            transform,
            operations(system, transform.bins),
        )
    return found


def pairs_of(folders: Folders) -> tuple[list[ScoredPair], list[UnscoredFile]]:
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


class Unit(NamedTuple):
    """The least that is measured: a file, enhanced with a setting and a seed."""

    setting: Setting
    seed: int
    pair: ScoredPair
    key: str
    """Of its scores in the cache."""


@dataclass(frozen=True)
class Runner:
    """What measures settings, and with what: models by system, processes and their device."""

    models: Mapping[str, Model]
    seeds: tuple[int, ...]
    cache: Cache
    jobs: int = 1
    device: str = "cpu"

    def measure(
        self, pairs: Sequence[ScoredPair], settings: Sequence[Setting], progress: Progress
    ) -> dict[Setting, Measured]:
        """Every setting on every pair; what fails is a failure of its file."""
        digests = {
            pair: (digest_of_file(pair.clean), digest_of_file(input_of(pair))) for pair in pairs
        }
        units = {
            setting: [
                Unit(setting, seed, pair, self._key(setting, seed, digests[pair]))
                for seed in (self.seeds if setting.sampling is not None else self.seeds[:1])
                for pair in pairs
            ]
            for setting in settings
        }
        unknown = [
            unit for row in units.values() for unit in row if self.cache.get(unit.key) is None
        ]
        trajectories = self._trajectories(unknown)
        failures: dict[str, UnscoredFile] = {}
        progress(0, len(trajectories))
        ends = in_processes(enhance_and_score, list(trajectories), self.jobs, _one_thread)
        for done, (trajectory, outcomes) in enumerate(zip(trajectories, ends, strict=True), 1):
            for unit, outcome in zip(trajectories[trajectory], outcomes, strict=True):
                if isinstance(outcome, UnscoredFile):
                    failures[unit.key] = outcome
                else:
                    seconds = outcome.seconds_per_s * self._share(unit.setting, trajectory)
                    self.cache.add(unit.key, outcome._replace(seconds_per_s=seconds))
            progress(done, len(trajectories))
        return {setting: self._measured(setting, row, failures) for setting, row in units.items()}

    def _key(self, setting: Setting, seed: int, files: tuple[str, str]) -> str:
        if setting.sampling is None:
            return key_of("", None, 0, files)
        return key_of(self.models[setting.system].digest, setting.sampling, seed, files)

    def _trajectories(self, units: Sequence[Unit]) -> dict[Trajectory, list[Unit]]:
        """Units that differ in beta alone share a trajectory; those of a model are neighbours."""
        together: dict[tuple[str, Sampling | None, int, ScoredPair], list[Unit]] = {}
        for unit in sorted(units, key=lambda unit: unit.setting.system):
            system, sampling = unit.setting
            but_beta = replace(sampling, beta=1.0) if sampling is not None else None
            together.setdefault((system, but_beta, unit.seed, unit.pair), []).append(unit)
        trajectories = {}
        for (system, sampling, seed, pair), group in together.items():
            place = self.models[system].place if sampling is not None else None
            samplings = (unit.setting.sampling for unit in group)
            betas = tuple(1.0 if sampling is None else sampling.beta for sampling in samplings)
            trajectories[Trajectory(place, sampling, betas, seed, pair, self.device)] = group
        return trajectories

    def _share(self, setting: Setting, trajectory: Trajectory) -> float:
        """How much of the trajectory's operations the setting would take by itself."""
        if setting.sampling is None:
            return 0.0
        model = self.models[setting.system]
        computed = replace(setting.sampling, beta=min(trajectory.betas))
        return model.rate(setting.sampling) / model.rate(computed)

    def _measured(
        self, setting: Setting, units: Sequence[Unit], failures: Mapping[str, UnscoredFile]
    ) -> Measured:
        by_seed: dict[int, list[Scores | UnscoredFile]] = {}
        seconds = []
        for unit in units:
            known = self.cache.get(unit.key)
            outcome = failures[unit.key] if known is None else known.scores
            by_seed.setdefault(unit.seed, []).append(outcome._replace(file=unit.pair.name))
            if known is not None:
                seconds.append(known.seconds_per_s)
        runs = tuple(map(Evaluation.of, by_seed.values()))
        means = Evaluation.of(map(_mean, zip(*by_seed.values(), strict=True)))
        cost = self._cost(setting, float(np.median(seconds)) if seconds else float("nan"))
        return Measured(setting, means, runs, cost)

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


def _mean(outcomes: Sequence[Scores | UnscoredFile]) -> Scores | UnscoredFile:
    """The mean over seeds of one file's scores, or its first failure."""
    evaluation = Evaluation.of(outcomes)
    if evaluation.failed:
        return evaluation.failed[0]
    # All metrics are there, for the noisy recording always is.
    pesq, estoi, si_sdr, si_sir, si_sar = (_mean_over(evaluation, name) for name in METRICS)
    return Scores(evaluation.files[0].file, pesq, estoi, si_sdr, si_sir, si_sar)


def _one_thread() -> None:
    """As many processes as processors: each computes with one thread."""
    torch.set_num_threads(1)
