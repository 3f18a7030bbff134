"""How a reverse process runs, as one immutable record.

The fields of `Sampling` are all that is said of a setting: Python's arguments, the options of the
command line with their ranges and their help, and the sweeps of ablations are made of them.
"""

from dataclasses import dataclass, fields
from typing import Annotated, Literal, get_args

from annotated_types import Ge, Le

from speechduet.errors import SettingError
from speechduet.settings import Settings, Share

Grid = Literal["exact", "paper"]
Predictor = Literal["deterministic", "heun", "ancestral", "euler_maruyama"]
Start = Literal["noisy", "predictive"]
Mode = Literal["fast", "balanced", "best"]
MODES: tuple[Mode, ...] = get_args(Mode)
"""Names of the settings that a model comes with."""

SettingValue = int | float | bool | str
"""What a field of `Sampling` holds."""


@dataclass(frozen=True)
class Sampling(Settings):
    """Settings of the sampler; the defaults are those of SGMSE+.

    Times lie at ``linspace(start, t_min, steps)``. On the *exact* grid a step is the spacing to the
    next time and the last one goes to 0; on the *paper* grid, kept for comparison, every step is
    ``start / steps``, which overshoots 0 (SGMSE+ before June 2024, StoRM, the paper).

    ``alpha`` and ``beta`` weigh the generative result against the predictive estimate (paper eq. 12
    and 13). A predictive estimate is made at each state at which it is needed.

    ``start`` below 1 truncates the process. Its first state is drawn from the kernel around the
    noisy speech or, for one evaluation more, around the predictive estimate.

    ``faithful (1 - confidence)`` of each frame of the result is replaced by the mean of predictive
    estimate, if one was made, and noisy speech; see `speechduet.enhancement.confidence`.
    """

    steps: Annotated[int, Ge(0), Le(10_000)] = 30
    """Reverse steps; 0: predictive estimate."""
    grid: Grid = "exact"
    """Step sizes."""
    predictor: Predictor = "euler_maruyama"
    """Kind of reverse step."""
    corrector_steps: Annotated[int, Ge(0), Le(1_000)] = 1
    """Langevin corrections in each step."""
    corrector_snr: Annotated[float, Ge(0.001), Le(1)] = 0.5
    """Size of a correction: its signal-to-noise ratio."""
    alpha: Share = 1.0
    """Generative weight after the first step; 1: no fusion."""
    beta: Share = 1.0
    """Generative weight after the last step; 1: no fusion."""
    start: Annotated[float, Ge(0.001), Le(1)] = 1.0
    """Time of the first step."""
    start_from: Start = "noisy"
    """Around what the first state is drawn."""
    predict_once: bool = False
    """Use the first predictive estimate wherever one is needed, instead of one for each state."""
    framings: Annotated[int, Ge(1), Le(1_000)] = 1
    """Average over this many positions of the frames; each costs as much as one."""
    faithful: Share = 0.0
    """How much to lean on prediction and input where the result is least sure; 0: not at all."""

    def check(self) -> None:
        """The paper's grid goes with its predictor alone."""
        if self.grid == "paper" and self.predictor != "euler_maruyama":
            raise SettingError(
                f"grid 'paper' with the {self.predictor} predictor",
                "the euler_maruyama predictor",
                "the other predictors need to know the time they step to: use grid 'exact'",
            )

    @property
    def needs_predictive(self) -> bool:
        """Whether a predictive estimate is part of these settings."""
        return self.steps == 0 or self.alpha < 1 or self.beta < 1 or self.start_from == "predictive"

    @property
    def predictions(self) -> int:
        """How many predictive estimates are made in one framing.

        StoRM's are its anchor, which is made anyway.
        """
        if self.steps == 0:
            return 1
        uses = (self.start_from == "predictive", self.alpha < 1 and self.steps > 1, self.beta < 1)
        return min(sum(uses), 1) if self.predict_once else sum(uses)

    @property
    def generative_evaluations(self) -> int:
        """How often the generative decoder is evaluated in one framing, the corrector included."""
        second_order = self.steps - 1 if self.predictor == "heun" else 0
        return self.steps * (1 + self.corrector_steps) + max(second_order, 0)


SETTINGS = tuple(setting.name for setting in fields(Sampling))
"""Names of all settings."""
