"""The named systems, as rows of data, with the published numbers that each row stands for."""

from dataclasses import dataclass

from speechduet.network.joint import Layout
from speechduet.sampler import Sampling


@dataclass(frozen=True)
class Recipe:
    """A system of the literature: its parts and how it samples by default."""

    name: str
    summary: str
    layout: Layout
    sampling: Sampling
    source: str


RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "predictive",
        "NCSN++ that maps the noisy spectrogram to the clean one, in one evaluation",
        Layout(generative=False, predictive="own"),
        Sampling(steps=0),
        "Lemercier et al. 2023 (StoRM), baseline",
    ),
    Recipe(
        "sgmse_plus",
        "score-based diffusion",
        Layout(generative=True, predictive="none"),
        Sampling(steps=30),
        "Richter et al. 2023; VoiceBank-DEMAND PESQ 2.93, ESTOI 0.87, SI-SDR 17.3 at 30 steps",
    ),
    Recipe(
        "storm",
        "a predictive network, and diffusion around its estimate",
        Layout(generative=True, predictive="own"),
        Sampling(steps=50, grid="paper"),
        "Lemercier et al. 2023; VoiceBank-DEMAND PESQ 2.93, ESTOI 0.88, SI-SDR 18.8",
    ),
    Recipe(
        "gp_sgmse_plus",
        "SGMSE+ whose encoder also feeds a predictive decoder in training",
        Layout(generative=True, predictive="shared"),
        Sampling(steps=30),
        "arXiv 2305.10734; VoiceBank-DEMAND PESQ 2.95, ESTOI 0.87, SI-SDR 17.9 at 30 steps",
    ),
    Recipe(
        "gp_unified",
        "both decoders in inference: fused after the first and after the last reverse step",
        Layout(generative=True, predictive="shared"),
        Sampling(steps=30, alpha=0.2, beta=0.1),
        "arXiv 2305.10734; VoiceBank-DEMAND PESQ 2.97, ESTOI 0.87, SI-SDR 18.3 at 30 steps",
    ),
)
