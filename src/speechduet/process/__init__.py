"""Diffusion processes between clean and noisy speech, all from one Gaussian kernel."""

from speechduet.process.base import Kernel, Process, over_state, ratio
from speechduet.process.flow_matching import FlowMatching
from speechduet.process.ornstein_uhlenbeck import OrnsteinUhlenbeck
from speechduet.process.schroedinger_bridge import SchroedingerBridge

__all__ = [
    "FlowMatching",
    "Kernel",
    "OrnsteinUhlenbeck",
    "Process",
    "SchroedingerBridge",
    "over_state",
    "ratio",
]
