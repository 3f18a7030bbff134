"""Scores of enhanced speech against its clean reference."""

from speechduet.metrics.energy import EnergyRatios, energy_ratios, si_sdr
from speechduet.metrics.perception import estoi, pesq, stoi
from speechduet.metrics.signals import MetricError

__all__ = [
    "EnergyRatios",
    "MetricError",
    "energy_ratios",
    "estoi",
    "pesq",
    "si_sdr",
    "stoi",
]
