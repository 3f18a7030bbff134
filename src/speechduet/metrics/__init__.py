"""Scores of enhanced speech, most of them against its clean reference."""

from speechduet.metrics.confidence import confidence_scores
from speechduet.metrics.dnsmos import DnsmosScores, dnsmos
from speechduet.metrics.pesq_stoi import estoi, pesq, stoi
from speechduet.metrics.si_sdr import EnergyRatios, energy_ratios, si_sdr
from speechduet.metrics.signals import MetricError
from speechduet.metrics.spectral import log_spectral_distance
from speechduet.metrics.word_error import Recogniser, phoneme_similarity, word_error_rate

__all__ = [
    "DnsmosScores",
    "EnergyRatios",
    "MetricError",
    "Recogniser",
    "confidence_scores",
    "dnsmos",
    "energy_ratios",
    "estoi",
    "log_spectral_distance",
    "pesq",
    "phoneme_similarity",
    "si_sdr",
    "stoi",
    "word_error_rate",
]
