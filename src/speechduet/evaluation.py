"""Scores of a folder of enhanced recordings against their clean references."""

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soxr

from speechduet import audio, metrics
from speechduet.errors import AudioError

METRICS = ("pesq", "estoi", "si_sdr", "si_sir", "si_sar")


class Pair(NamedTuple):
    """An enhanced recording, its clean reference and, for SI-SIR and SI-SAR, the noisy one."""

    name: str
    """Path within the folder, without its suffix."""
    clean: Path
    enhanced: Path
    noisy: Path | None = None


class Scores(NamedTuple):
    """The scores of one file; SI-SIR and SI-SAR are None without the noisy recording."""

    file: str
    pesq: float
    estoi: float
    si_sdr: float
    si_sir: float | None = None
    si_sar: float | None = None


class Failure(NamedTuple):
    """A file that could not be scored, and why."""

    file: str
    error: str


class Interval(NamedTuple):
    """A mean over n files and the 95 % interval that resampling the files gives it."""

    mean: float
    low: float
    high: float
    n: int

    def to_json(self) -> dict[str, Any]:
        """Plain values; what is infinite is None (null)."""
        ci95 = [_finite(self.low), _finite(self.high)]
        return {"mean": _finite(self.mean), "ci95": ci95, "n": self.n}


@dataclass(frozen=True)
class Evaluation:
    """Scores of every file that has some, and a failure for every other."""

    files: list[Scores]
    failed: list[Failure]

    @classmethod
    def of(cls, outcomes: Iterable[Scores | Failure]) -> "Evaluation":
        """Scores and failures told apart."""
        told = list(outcomes)
        return cls(
            [outcome for outcome in told if isinstance(outcome, Scores)],
            [outcome for outcome in told if isinstance(outcome, Failure)],
        )

    def summary(self) -> dict[str, Interval | None]:
        """Mean and interval of each metric; None for one that no file has."""
        columns = {name: [getattr(scores, name) for scores in self.files] for name in METRICS}
        return {
            name: bootstrap(values) if values and None not in values else None
            for name, values in columns.items()
        }

    def to_json(self) -> dict[str, Any]:
        """Summary, files and failures; what is infinite or was not computed is None (null)."""
        absent = {"mean": None, "ci95": None, "n": 0}
        summary = {
            name: interval.to_json() if interval else absent
            for name, interval in self.summary().items()
        }
        files = [
            {name: _finite(value) for name, value in scores._asdict().items()}
            for scores in self.files
        ]
        failed = [failure._asdict() for failure in self.failed]
        return {"summary": summary, "files": files, "failed": failed}


def bootstrap(values: Iterable[float], resamples: int = 2000, seed: int = 0) -> Interval:
    """Mean with its 95 % percentile interval over files drawn with replacement.

    >>> bootstrap([2.0, 2.0, 2.0])
    Interval(mean=2.0, low=2.0, high=2.0, n=3)
    """
    scores = np.array(list(values), dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(scores.size, size=(resamples, scores.size))
    means = scores[drawn].mean(axis=1)
    # "nearest" takes a mean that occurred, and so works with infinite ones.
    low, high = np.quantile(means, (0.025, 0.975), method="nearest")
    return Interval(float(scores.mean()), float(low), float(high), scores.size)


def pair_up(
    clean: Path, enhanced: Path, noisy: Path | None = None
) -> tuple[list[Pair], list[Failure]]:
    """Recordings of two (or three) folders that share a path but for its suffix."""
    folders = {"clean": clean, "enhanced": enhanced} | ({"noisy": noisy} if noisy else {})
    found = {role: _by_name(folder) for role, folder in folders.items()}
    pairs: list[Pair] = []
    failed: list[Failure] = []
    for name in sorted(found["clean"].keys() | found["enhanced"].keys()):
        candidates = {role: files.get(name, []) for role, files in found.items()}
        missing = [role for role, paths in candidates.items() if not paths]
        doubles = [paths for paths in candidates.values() if len(paths) > 1]
        if missing:
            failed.append(Failure(name, f"no {' and no '.join(missing)} recording of this name"))
        elif doubles:
            told = " and ".join(str(path) for path in doubles[0])
            failed.append(Failure(name, f"{told} share this name"))
        else:
            pairs.append(Pair(name, **{role: paths[0] for role, paths in candidates.items()}))
    return pairs, failed


def score(pair: Pair) -> Scores:
    """All metrics of one enhanced recording; SpeechduetError if one of them has no value.

    PESQ is computed at 16 kHz (wideband), or at 8 kHz (narrowband) for such recordings.
    """
    recordings = {"clean": _read(pair.clean), "enhanced": _read(pair.enhanced)}
    if pair.noisy is not None:
        recordings["noisy"] = _read(pair.noisy)
    rates = {role: rate for role, (_, rate) in recordings.items()}
    if len(set(rates.values())) > 1:
        told = ", ".join(f"{role} {rate} Hz" for role, rate in rates.items())
        raise AudioError(f"sample rates differ ({told})", "recordings of one rate")
    clean, rate = recordings["clean"]
    enhanced = recordings["enhanced"][0]
    ratios: tuple[float, ...] = (metrics.si_sdr(enhanced, clean),)
    if pair.noisy is not None:
        noisy = metrics.signals.same_length(noisy=recordings["noisy"][0], clean=clean)[0]
        ratios = metrics.energy_ratios(enhanced, clean, noisy - clean)
    pesq_rate = 8_000 if rate == 8_000 else 16_000
    pesq = metrics.pesq(
        soxr.resample(enhanced, rate, pesq_rate), soxr.resample(clean, rate, pesq_rate), pesq_rate
    )
    return Scores(pair.name, pesq, metrics.estoi(enhanced, clean, rate), *ratios)


def evaluate_pairs(pairs: list[Pair], jobs: int = 1) -> Iterator[Scores | Failure]:
    """Scores or failure of each pair, in order, computed by so many processes."""
    if jobs == 1 or len(pairs) < 2:
        yield from map(_attempt, pairs)
        return
    # Spawned, for a fork would inherit the locks of torch's threads.
    with ProcessPoolExecutor(min(jobs, len(pairs)), get_context("spawn")) as executor:
        try:
            yield from executor.map(_attempt, pairs)
        finally:
            executor.shutdown(cancel_futures=True)


def _attempt(pair: Pair) -> Scores | Failure:
    try:
        return score(pair)
    except (AudioError, metrics.MetricError) as error:
        return Failure(pair.name, str(error))


def _by_name(folder: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in audio.READABLE_SUFFIXES and path.is_file():
            name = path.relative_to(folder).with_suffix("").as_posix()
            found.setdefault(name, []).append(path)
    return found


def _read(path: Path) -> tuple[metrics.signals.Samples, int]:
    samples, sample_rate = audio.read(path)
    if len(samples) != 1:
        raise AudioError(f"{path} has {len(samples)} channels", "one", "score each channel")
    return samples[0].astype(np.float64), sample_rate


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
