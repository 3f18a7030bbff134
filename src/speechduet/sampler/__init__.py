"""Reverse processes: settings, transitions, fusion and the loop that joins them."""

from speechduet.sampler.fusion import fuse
from speechduet.sampler.reverse import Draw, Estimate, Estimator, Step, reverse, time_grid
from speechduet.sampler.settings import Sampling
from speechduet.sampler.transition import Transition

__all__ = [
    "Draw",
    "Estimate",
    "Estimator",
    "Sampling",
    "Step",
    "Transition",
    "fuse",
    "reverse",
    "time_grid",
]
