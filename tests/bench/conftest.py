"""A tiny SGMSE+, and a folder that looks like a clone of the public code."""

from pathlib import Path

import pytest
import torch

from speechduet.model.folder import Pretrained, save
from speechduet.network.layout import Layout
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram

SIZE = NCSNpp(
    base_channels=4,
    multipliers=(1, 2),
    residual_blocks=1,
    attention_bins=(16,),
    bins=32,
    frame_multiple=2,
)

# Our network under the names and the interface of the public one.
NETWORK = """
import torch
from torch import nn
from speechduet.network.layout import Layout
from speechduet.network.system import System, stack, unstack
from speechduet.network.ncsnpp import NCSNpp as Size
from speechduet.process import OrnsteinUhlenbeck
from speechduet.model.upstream.ncsnpp import layer_order


class NCSNpp(nn.Module):
    def __init__(
        self, nf, ch_mult, num_res_blocks, attn_resolutions, image_size, centered, scale_by_sigma
    ):
        super().__init__()
        self.size = Size(
            nf, ch_mult, num_res_blocks, attn_resolutions, image_size, centered, scale_by_sigma
        )
        self.system = System(Layout(True, "none"), OrnsteinUhlenbeck(), self.size)

    def state_dict(self):
        ours = self.system.state_dict()
        named = {
            f"output_layer.{kind}": ours[f"generative_decoder.output.{kind}"]
            for kind in ("weight", "bias")
        }
        order = layer_order(self.size, True, "encoder", "generative_decoder")
        for index, (layer, parts) in enumerate(order):
            for part, place in parts.items():
                nin = part.startswith("NIN")
                leaves = ("W", "b", "W") if nin else ("weight", "bias", "W")
                for kind, leaf in zip(("weight", "bias", "frequencies"), leaves):
                    value = ours.get(f"{layer}{place}.{kind}")
                    if value is not None:
                        name = f"all_modules.{index}.{part}.{leaf}".replace("..", ".")
                        named[name] = value.t() if nin and kind == "weight" else value
        return named

    def forward(self, x, t):
        features = self.system.encoder(stack(x[:, :1], x[:, 1:]), t)
        return -unstack(self.system.generative_decoder(features))
"""
PROCESS = """
from speechduet.process import OrnsteinUhlenbeck


class OUVESDE(OrnsteinUhlenbeck):
    def marginal_prob(self, x_0, y, t):
        return self.mean(x_0, y, t), self.kernel(t).std
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder with the two modules of the public code that are asked for."""
    package = tmp_path / "clone" / "sgmse"
    (package / "backbones").mkdir(parents=True)
    for name in ("__init__.py", "backbones/__init__.py"):
        (package / name).touch()
    (package / "backbones" / "ncsnpp.py").write_text(NETWORK)
    (package / "sdes.py").write_text(PROCESS)
    return tmp_path / "clone"


@pytest.fixture
def sgmse() -> System:
    """An SGMSE+ with random weights none of which is silent."""
    system = System(Layout(True, "none"), OrnsteinUhlenbeck(), SIZE)
    for parameter in system.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return system


@pytest.fixture
def sgmse_model(sgmse: System, tmp_path: Path) -> str:
    """The same as a model folder."""
    modes = {"balanced": Sampling(steps=2)}
    save(Pretrained("tiny", sgmse, Spectrogram(n_fft=62, hop=16), modes), tmp_path / "model")
    return str(tmp_path / "model")
