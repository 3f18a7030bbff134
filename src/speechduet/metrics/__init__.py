"""Scores of enhanced speech, most of them against its clean reference."""

from speechduet.metrics.energy import EnergyRatios, energy_ratios, si_sdr
from speechduet.metrics.opinion import DnsmosScores, dnsmos
from speechduet.metrics.perception import estoi, pesq, stoi
from speechduet.metrics.signals import MetricError
from speechduet.metrics.spectral import log_spectral_distance
from speechduet.metrics.words import Recogniser, phoneme_similarity, word_error_rate

__all__ = [
    "DnsmosScores",
    "EnergyRatios",
    "MetricError",
    "Recogniser",
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
