"""Everything that decides how a reverse process runs, as one immutable record."""

from dataclasses import dataclass
from math import inf
from typing import Literal, get_args

from speechduet.errors import SettingError
from speechduet.sampler.transition import Predictor

Grid = Literal["exact", "paper"]
Start = Literal["noisy", "predictive"]

_LARGEST = {"steps": 10_000, "corrector_steps": 1_000, "framings": 1_000}
"""Beyond these a number is a mistake rather than a wish."""


@dataclass(frozen=True)
class Sampling:
    """Settings of the sampler; the defaults are those of SGMSE+.

    ``steps = 0`` is the predictive estimate alone, in one evaluation.

    Times lie at ``linspace(start, t_min, steps)``. On the ``exact`` grid a step is the spacing to
    the next time and the last one goes to 0; on the ``paper`` grid, kept for comparison, every
    step is ``start / steps``, which overshoots 0 (SGMSE+ before June 2024, StoRM, the paper).

    ``alpha`` and ``beta`` are the weights of the *generative* result in the first and the last
    step's fusion with the predictive estimate (paper eq. 12 and 13); 1 switches a fusion off.

    ``start`` below 1 truncates the process. Its first state is drawn from the kernel around the
    noisy speech, or, with ``start_from="predictive"``, around the predictive estimate (one
    evaluation more).

    ``predict_once`` takes the first predictive estimate that is needed for all that follows,
    instead of one for each state at which there is a fusion.

    ``framings`` enhances a waveform so many times, its frames shifted by a further part of the
    hop each time, and averages; it multiplies the cost.
    """

    steps: int = 30
    grid: Grid = "exact"
    predictor: Predictor = "euler_maruyama"
    corrector_steps: int = 1
    corrector_snr: float = 0.5
    alpha: float = 1.0
    beta: float = 1.0
    start: float = 1.0
    start_from: Start = "noisy"
    predict_once: bool = False
    framings: int = 1

    def __post_init__(self) -> None:
        for name, most in _LARGEST.items():
            count: object = getattr(self, name)
            if not isinstance(count, int) or count > most:
                raise SettingError(f"{name} is {count!r}", f"a whole number up to {most}")
        if self.steps < 0:
            raise SettingError(f"steps is {self.steps}", "0 (predictive estimate alone) or more")
        if self.corrector_steps < 0:
            raise SettingError(f"corrector_steps is {self.corrector_steps}", "0 or more")
        if self.framings < 1:
            raise SettingError(f"framings is {self.framings}", "1 or more")
        if not 0 < self.corrector_snr < inf:
            raise SettingError(f"corrector_snr is {self.corrector_snr}", "a number above 0")
        for name, value in (("alpha", self.alpha), ("beta", self.beta)):
            if not 0 <= value <= 1:
                raise SettingError(f"{name} is {value}", "a weight between 0 and 1")
        if not 0 < self.start <= 1:
            raise SettingError(f"start is {self.start}", "a time above 0 and at most 1")
        for name, chosen, choices in (
            ("grid", self.grid, get_args(Grid)),
            ("predictor", self.predictor, get_args(Predictor)),
            ("start_from", self.start_from, get_args(Start)),
        ):
            if chosen not in choices:
                raise SettingError(f"{name} is {chosen!r}", "one of " + ", ".join(choices))
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
