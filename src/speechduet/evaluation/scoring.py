"""Scores of one enhanced recording, and of many in parallel processes."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeAlias

import soxr

from speechduet import metrics
from speechduet.attempt import Attempt
from speechduet.audio import read_mono
from speechduet.errors import AudioError, ModelError, SettingError
from speechduet.evaluation.pairing import ScoredPair, UnscoredFile
from speechduet.evaluation.processes import in_processes
from speechduet.metrics.dnsmos import published_network
from speechduet.metrics.signals import Samples

METRICS = ("pesq", "estoi", "si_sdr", "si_sir", "si_sar")

WEIGHTS = {"wer": "wer_words"}
"""Rates, and what each is a rate of: over several files, the rate of all is weighed by these."""

Metric: TypeAlias = Callable[[Samples, Samples, int], "float | Mapping[str, float | str]"]
"""Of estimate and reference ``[samples]`` at a sample rate in Hz: a score, or several by name, and
texts to go with them.

It raises MetricError where there is none. To run in several processes it must be picklable: a
function of a module, a `functools.partial` of one, or an instance of a class.
"""


@dataclass(frozen=True)
class OfAllThree:
    """A further metric that needs the noisy recording too, and has no score where there is none."""

    function: Callable[[Samples, Samples, Samples, int], Mapping[str, float]]
    """Of estimate, reference and noisy recording ``[samples]`` at a sample rate: scores by name."""
    names: tuple[str, ...]
    """Of its scores."""

    def __call__(
        self, estimate: Samples, reference: Samples, noisy: Samples | None, sample_rate: int
    ) -> Mapping[str, float | None]:
        """The scores of one file."""
        if noisy is None:
            return dict.fromkeys(self.names)
        return self.function(estimate, reference, noisy, sample_rate)


FurtherMetric: TypeAlias = Metric | OfAllThree


class Scores(NamedTuple):
    """The scores of one file; SI-SIR and SI-SAR are None without the noisy recording."""

    file: str
    pesq: float
    estoi: float
    si_sdr: float
    si_sir: float | None = None
    si_sar: float | None = None
    further: Mapping[str, float | str | None] = {}
    """What was asked for in addition, by name: scores, their weights, and texts."""

    def by_metric(self) -> dict[str, float | None]:
        """Every score by the name of its metric."""
        return {
            name: value
            for name, value in self.row().items()
            if not isinstance(value, str) and name not in WEIGHTS.values()
        }

    def row(self) -> dict[str, float | str | None]:
        """All that is known of the file: scores, their weights, and texts."""
        return {**{name: getattr(self, name) for name in METRICS}, **self.further}


def score(pair: ScoredPair, further: Mapping[str, FurtherMetric] | None = None) -> Scores:
    """All metrics of one enhanced recording; SpeechduetError if one of them has no value."""
    recordings = {"clean": read_mono(pair.clean), "enhanced": read_mono(pair.enhanced)}
    if pair.noisy is not None:
        recordings["noisy"] = read_mono(pair.noisy)
    rates = {role: rate for role, (_, rate) in recordings.items()}
    if len(set(rates.values())) > 1:
        found = ", ".join(f"{role} {rate} Hz" for role, rate in rates.items())
        raise AudioError(f"sample rates differ ({found})", "recordings of one rate")
    samples = {role: samples for role, (samples, _) in recordings.items()}
    return score_samples(pair.name, **samples, sample_rate=rates["clean"], further=further)


def score_samples(
    name: str,
    clean: Samples,
    enhanced: Samples,
    noisy: Samples | None = None,
    *,
    sample_rate: int,
    further: Mapping[str, FurtherMetric] | None = None,
) -> Scores:
    """All metrics of one enhanced waveform ``[samples]``; SpeechduetError if one has no value.

    PESQ is computed at 16 kHz (wideband), or at 8 kHz (narrowband) for such recordings. A
    further metric with several scores names each itself.
    """
    si_sdr, si_sir, si_sar = metrics.si_sdr(enhanced, clean), None, None
    if noisy is not None:
        same = metrics.signals.same_length(noisy=noisy, clean=clean)[0]
        metrics.signals.not_silent(same, "noisy")
        si_sdr, si_sir, si_sar = metrics.energy_ratios(enhanced, clean, same - clean)
    pesq_rate = 8_000 if sample_rate == 8_000 else 16_000
    pesq = _pesq_at(pesq_rate, enhanced, clean, sample_rate)
    estoi = metrics.estoi(enhanced, clean, sample_rate)
    added: dict[str, float | str | None] = {}
    for metric_name, metric in (further or {}).items():
        value: float | Mapping[str, float | str] | Mapping[str, float | None]
        if isinstance(metric, OfAllThree):
            value = metric(enhanced, clean, noisy, sample_rate)
        else:
            value = metric(enhanced, clean, sample_rate)
        added |= value if isinstance(value, Mapping) else {metric_name: float(value)}
    return Scores(name, pesq, estoi, si_sdr, si_sir, si_sar, added)


def evaluate_pairs(
    pairs: list[ScoredPair],
    jobs: int = 1,
    further: Mapping[str, FurtherMetric] | None = None,
) -> Iterator[Scores | UnscoredFile]:
    """Scores or failure of each pair, in order, computed in ``jobs`` processes."""
    return in_processes(partial(_attempt, further=further), pairs, jobs)


def narrowband_pesq(estimate: Samples, reference: Samples, sample_rate: int) -> float:
    """PESQ at 8 kHz, resampled to it."""
    return _pesq_at(8_000, estimate, reference, sample_rate)


@dataclass(frozen=True)
class Dnsmos:
    """DNSMOS P.835 of the estimate, resampled to 16 kHz; the reference is not used.

    By the network in the ONNX file ``model``, or by the one in the package speechmos.
    """

    model: Path | None = None

    def __call__(self, estimate: Samples, reference: Samples, sample_rate: int) -> dict[str, float]:
        """Signal, background and overall quality."""
        resampled = soxr.resample(estimate, sample_rate, 16_000)
        rated = metrics.dnsmos(resampled, 16_000, self.model or published_network())._asdict()
        return {f"dnsmos_{part}": score for part, score in rated.items()}


FURTHER: dict[str, FurtherMetric] = {
    "stoi": metrics.stoi,
    "lsd": metrics.log_spectral_distance,
    "pesq_nb": narrowband_pesq,
    "dnsmos": Dnsmos(),
    "confidence": OfAllThree(metrics.confidence_scores, ("confidence_rank", "confidence_auc")),
}
"""Metrics that are computed only if asked for; most add little to those that always are."""


def _attempt(
    pair: ScoredPair, further: Mapping[str, FurtherMetric] | None
) -> Scores | UnscoredFile:
    """Scores or failure of a pair, whatever it raises; a wrong setting or model ends them all."""
    with Attempt(ends=(SettingError, ModelError)) as attempt:
        return score(pair, further)
    return UnscoredFile(pair.name, attempt.failure)


def _pesq_at(pesq_rate: int, estimate: Samples, reference: Samples, sample_rate: int) -> float:
    return metrics.pesq(
        soxr.resample(estimate, sample_rate, pesq_rate),
        soxr.resample(reference, sample_rate, pesq_rate),
        pesq_rate,
    )
