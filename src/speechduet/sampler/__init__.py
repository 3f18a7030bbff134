"""Reverse processes: settings, transitions, fusion and the loop that joins them."""

from speechduet.sampler.fusion import fuse
from speechduet.sampler.reverse import Draw, Estimate, Estimator, Step, reverse, time_grid
from speechduet.sampler.transition import Transition
from speechduet.sampling import Sampling

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
