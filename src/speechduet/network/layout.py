"""Which parts a system has: the five published systems differ in little else.

Published as GP-SGMSE+ and GP-Unified: *shared* puts a predictive decoder beside the generative
one, on the same encoder. Published as StoRM: *own* puts a whole predictive network before it.
"""

from dataclasses import dataclass
from typing import Literal

from speechduet.errors import SettingError
from speechduet.process import Process
from speechduet.sampling import Sampling
from speechduet.settings import NotNegative, Settings

Predictive = Literal["none", "own", "shared"]
Parametrisation = Literal["score", "clean"]


@dataclass(frozen=True)
class Layout(Settings):
    """Which parts a system has.

    ``predictive``: *none*; *own*, a network of its own that reads y alone (with a generative part
    beside it, its estimate P is the anchor and a third input: StoRM); *shared*, a decoder on the
    generative encoder's features. ``parametrisation``: whether the generative decoder emits the
    *score* (SGMSE+) or the *clean* spectrogram.

    ``prior_std`` is for the latter. The decoder's output F is then taken as the mean of a Gaussian
    prior of this standard deviation per coefficient, and what x_t says of x_0, known to
    ``s / a``, is weighed against it: ``D = F + c ((x_t - b y) / a - F)`` with
    ``c = prior_std^2 / (prior_std^2 + (s/a)^2)``. So D is exact where the noise vanishes and F
    alone where it drowns everything; 0 leaves F as it is.
    """

    generative: bool
    predictive: Predictive
    parametrisation: Parametrisation = "score"
    prior_std: NotNegative = 0.0

    def check(self) -> None:
        """There is a decoder, and an encoder for each."""
        if not self.generative and self.predictive != "own":
            raise SettingError(
                f"predictive is {self.predictive!r} without a generative decoder",
                "a generative decoder, or predictive 'own'",
            )

    @property
    def anchored(self) -> bool:
        """Whether the process drifts to the system's own prediction rather than to y (StoRM)."""
        return self.generative and self.predictive == "own"

    def check_process(self, process: Process | None) -> None:
        """SettingError if the generative decoder cannot work with this process."""
        if self.generative and process is None:
            raise SettingError("a generative layout without a process", "a diffusion process")
        score = self.generative and self.parametrisation == "score"
        if score and process is not None and process.forgets_clean:
            raise SettingError(
                "a score for a process whose state at t = 1 holds nothing of the clean speech",
                "parametrisation 'clean'",
            )

    def check_sampling(self, sampling: Sampling) -> None:
        """SettingError if these settings need a decoder that is not there."""
        if sampling.needs_predictive and self.predictive == "none":
            raise SettingError(
                "the system has no predictive decoder",
                "steps of 1 or more, alpha and beta of 1, a start from the noisy speech",
            )
        if sampling.steps and not self.generative:
            raise SettingError("the system has no generative decoder", "steps 0", "use mode 'fast'")
