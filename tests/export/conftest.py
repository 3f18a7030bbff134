"""A small system whose layers can be in 8 bits."""

import pytest
import torch

from speechduet.backend.quantisation import calibration
from speechduet.model.folder import Pretrained
from speechduet.network.compact import Compact
from speechduet.network.layout import Layout
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram


@pytest.fixture
def pretrained() -> Pretrained:
    """Calibrated, at 32 bins, with two modes and a licence."""
    backbone = Compact(bins=32, channels=(16, 16), width=16, encoder_blocks=1, decoder_blocks=1)
    system = System(Layout(True, "shared", "clean"), OrnsteinUhlenbeck(), backbone).eval()
    for parameter in system.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    with calibration(system) as ranges, torch.inference_mode():
        system("both", 0.3 * torch.randn(2, 4, 32, 64), torch.tensor([0.2, 1.0]))
    modes = {
        "fast": Sampling(steps=0),
        "balanced": Sampling(steps=2, predictor="ancestral", corrector_steps=0, beta=0.5),
    }
    transform = Spectrogram(n_fft=62, hop=16)
    return Pretrained("small", system.calibrated(ranges), transform, modes, {"licence": "mit"})
