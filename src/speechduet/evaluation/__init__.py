"""Scores of folders of enhanced recordings against their clean references."""

from speechduet.evaluation.comparison import PairedDifference, compare, signed_rank
from speechduet.evaluation.conditions import Condition, Manifest, by_noise, by_snr
from speechduet.evaluation.pairing import ScoredPair, UnscoredFile, pair_up
from speechduet.evaluation.recognition import phoneme_scores, word_scores
from speechduet.evaluation.scoring import (
    FURTHER,
    METRICS,
    Dnsmos,
    FurtherMetric,
    Metric,
    Scores,
    evaluate_pairs,
    score,
    score_samples,
)
from speechduet.evaluation.summary import Evaluation, Interval, bootstrap, summarise

__all__ = [
    "FURTHER",
    "METRICS",
    "Condition",
    "Dnsmos",
    "Evaluation",
    "FurtherMetric",
    "Interval",
    "Manifest",
    "Metric",
    "PairedDifference",
    "ScoredPair",
    "Scores",
    "UnscoredFile",
    "bootstrap",
    "by_noise",
    "by_snr",
    "compare",
    "evaluate_pairs",
    "pair_up",
    "phoneme_scores",
    "score",
    "score_samples",
    "signed_rank",
    "summarise",
    "word_scores",
]
