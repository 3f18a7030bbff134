"""The named systems, as rows of data, with the published numbers that each row stands for."""

from dataclasses import dataclass

from speechduet.network.backbone import Backbone
from speechduet.network.ncsnpp import SGMSE_PLUS, STORM
from speechduet.network.system import Layout, System
from speechduet.process import OrnsteinUhlenbeck, Process
from speechduet.sampler import Sampling


@dataclass(frozen=True)
class Recipe:
    """A system of the literature: its parts, at their published size, and how it samples."""

    name: str
    summary: str
    layout: Layout
    backbone: Backbone
    process: Process | None
    sampling: Sampling
    source: str

    def build(self, backbone: Backbone | None = None) -> System:
        """The system with new weights: at its published size, or on another backbone."""
        return System(self.layout, self.process, backbone or self.backbone)


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "predictive",
        "NCSN++ that maps the noisy spectrogram to the clean one, in one evaluation",
        Layout(generative=False, predictive="own"),
        STORM,
        None,
        Sampling(steps=0),
        "Lemercier et al. 2023 (StoRM), baseline",
    ),
    Recipe(
        "sgmse_plus",
        "score-based diffusion",
        Layout(generative=True, predictive="none"),
        SGMSE_PLUS,
        OrnsteinUhlenbeck(),
        Sampling(steps=30),
        "Richter et al. 2023; VoiceBank-DEMAND PESQ 2.93, ESTOI 0.87, SI-SDR 17.3 at 30 steps",
    ),
    Recipe(
        "storm",
        "a predictive network, and diffusion around its estimate",
        Layout(generative=True, predictive="own"),
        STORM,
        OrnsteinUhlenbeck(),
        Sampling(steps=50, grid="paper"),
        "Lemercier et al. 2023; VoiceBank-DEMAND PESQ 2.93, ESTOI 0.88, SI-SDR 18.8",
    ),
    Recipe(
        "gp_sgmse_plus",
        "SGMSE+ whose encoder also feeds a predictive decoder in training",
        Layout(generative=True, predictive="shared"),
        SGMSE_PLUS,
        OrnsteinUhlenbeck(),
        Sampling(steps=30),
        "arXiv 2305.10734; VoiceBank-DEMAND PESQ 2.95, ESTOI 0.87, SI-SDR 17.9 at 30 steps",
    ),
    Recipe(
        "gp_unified",
        "both decoders in inference: fused after the first and after the last reverse step",
        Layout(generative=True, predictive="shared"),
        SGMSE_PLUS,
        OrnsteinUhlenbeck(),
        Sampling(steps=30, alpha=0.2, beta=0.1),
        "arXiv 2305.10734; VoiceBank-DEMAND PESQ 2.97, ESTOI 0.87, SI-SDR 18.3 at 30 steps",
    ),
)
