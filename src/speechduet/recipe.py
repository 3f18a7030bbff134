"""The named systems, as rows of data, with the published numbers that each row stands for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from speechduet.errors import SettingError
from speechduet.network.backbone import Backbone
from speechduet.network.layout import Layout
from speechduet.network.ncsnpp import SGMSE_PLUS, STORM
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck, Process
from speechduet.sampler import Sampling
from speechduet.settings import nearest
from speechduet.spectrogram import Spectrogram


class Published(NamedTuple):
    """Means over the test set of VoiceBank-DEMAND."""

    pesq: float
    estoi: float
    si_sdr: float
    """In dB."""


@dataclass(frozen=True)
class Recipe:
    """A system of the literature: its parts, at their published size, and how it samples."""

    name: str
    summary: str
    layout: Layout
    backbone: Backbone
    process: Process | None
    modes: Mapping[str, Sampling]
    """The last one is that of the published numbers."""
    reference: str
    scores: Published | None = None
    at_steps: int | None = None
    """Reverse steps behind the scores, where they are stated beside them."""
    spectrogram: Spectrogram = field(default_factory=Spectrogram)

    @property
    def sampling(self) -> Sampling:
        """The settings that its numbers were published with."""
        return list(self.modes.values())[-1]

    @property
    def anchor(self) -> Literal["noisy speech", "prediction"] | None:
        """What the process drifts to; None without a process."""
        if self.process is None:
            return None
        return "prediction" if self.layout.anchored else "noisy speech"

    @property
    def source(self) -> str:
        """Where it was published, with which scores."""
        if self.scores is None:
            return self.reference
        pesq, estoi, si_sdr = self.scores
        text = f"{self.reference}; VoiceBank-DEMAND PESQ {pesq}, ESTOI {estoi}, SI-SDR {si_sdr}"
        return f"{text} at {self.at_steps} steps" if self.at_steps else text

    def build(self, backbone: Backbone | None = None) -> System:
        """The system with new weights: at its published size, or on another backbone."""
        return System(self.layout, self.process, backbone or self.backbone)


FAST = Sampling(steps=0)
"""The predictive estimate alone."""

RECIPES: tuple[Recipe, ...] = (
    Recipe(
        "predictive",
        "NCSN++ that maps the noisy spectrogram to the clean one, in one evaluation",
        Layout(generative=False, predictive="own"),
        STORM,
        None,
        {"fast": FAST},
        "Lemercier et al. 2023 (StoRM), baseline",
    ),
    Recipe(
        "sgmse_plus",
        "score-based diffusion",
        Layout(generative=True, predictive="none"),
        SGMSE_PLUS,
        OrnsteinUhlenbeck(),
        {"balanced": Sampling(steps=30)},
        "Richter et al. 2023",
        Published(2.93, 0.87, 17.3),
        at_steps=30,
    ),
    Recipe(
        "storm",
        "a predictive network, and diffusion around its estimate",
        Layout(generative=True, predictive="own"),
        STORM,
        OrnsteinUhlenbeck(),
        {"fast": FAST, "balanced": Sampling(steps=50, grid="paper")},
        "Lemercier et al. 2023",
        Published(2.93, 0.88, 18.8),
    ),
    Recipe(
        "gp_sgmse_plus",
        "SGMSE+ whose encoder also feeds a predictive decoder in training",
        Layout(generative=True, predictive="shared"),
        SGMSE_PLUS,
        OrnsteinUhlenbeck(),
        {"balanced": Sampling(steps=30)},
        "arXiv 2305.10734",
        Published(2.95, 0.87, 17.9),
        at_steps=30,
    ),
    Recipe(
        "gp_unified",
        "both decoders in inference: fused after the first and after the last reverse step",
        Layout(generative=True, predictive="shared"),
        SGMSE_PLUS,
        OrnsteinUhlenbeck(),
        {
            "fast": FAST,
            "balanced": Sampling(steps=15, alpha=0.2, beta=0.1),
            "best": Sampling(steps=30, alpha=0.2, beta=0.1),
        },
        "arXiv 2305.10734",
        Published(2.97, 0.87, 18.3),
        at_steps=30,
    ),
)


def system_named(name: str) -> Recipe:
    """The row of this name; a `SettingError` names all rows."""
    rows = {recipe.name: recipe for recipe in RECIPES}
    if name not in rows:
        names = ", ".join(rows)
        raise SettingError(f"no system {name!r}", f"one of {names}", nearest(name, [*rows]))
    return rows[name]
