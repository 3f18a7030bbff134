"""The five systems as one module: which encoders and decoders there are, and what each means.

Published as GP-SGMSE+ and GP-Unified: *shared* puts a predictive decoder beside the generative
one, on the same encoder. Published as StoRM: *own* puts a whole predictive network before it.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from speechduet.errors import SettingError
from speechduet.network.backbone import Backbone, Features
from speechduet.process import Process, over_state
from speechduet.sampler import Estimate

Predictive = Literal["none", "own", "shared"]
Parametrisation = Literal["score", "clean"]


@dataclass(frozen=True)
class Layout:
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
    prior_std: float = 0.0


def stack(*spectrograms: Tensor) -> Tensor:
    """Complex ``[batch, 1, bins, frames]`` each -> real ``[batch, 2 n, bins, frames]``."""
    return torch.cat([part for s in spectrograms for part in (s.real, s.imag)], dim=1)


def unstack(channels: Tensor) -> Tensor:
    """Real ``[batch, 2, bins, frames]`` -> complex ``[batch, 1, bins, frames]``."""
    if channels.dtype in (torch.bfloat16, torch.float16):  # there are no complex numbers of these
        channels = channels.float()
    return torch.complex(channels[:, :1], channels[:, 1:])


class PredictiveNetwork(nn.Module):
    """Encoder and decoder that map the noisy spectrogram straight to the clean one."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.encoder = backbone.encoder(spectrograms=1, timed=False)
        self.decoder = backbone.decoder(spectrograms=1, timed=False, generative=False)

    def forward(self, y: Tensor) -> Tensor:
        """Noisy -> clean, both complex ``[batch, 1, bins, frames]``."""
        return unstack(self.decoder(self.encoder(stack(y), None)))


class System(nn.Module):
    """A speech-enhancement system as the sampler and the losses see it.

    Parts that a layout lacks are None. Every estimate is of the clean spectrogram, also where the
    network emits a score.
    """

    def __init__(
        self,
        layout: Layout,
        process: Process | None,
        backbone: Backbone,
        predictive_backbone: Backbone | None = None,
    ) -> None:
        super().__init__()
        if layout.generative and process is None:
            raise SettingError("a generative layout without a process", "a diffusion process")
        if process is not None and layout.parametrisation == "score" and process.forgets_clean:
            raise SettingError(
                "a score for a process whose state at t = 1 holds nothing of the clean speech",
                "parametrisation 'clean'",
            )
        self.layout = layout
        self.process = process
        self.backbone = backbone
        self.predictive_backbone = predictive_backbone
        own = layout.predictive == "own"
        shared = layout.predictive == "shared"
        inputs = 3 if own else 2
        self.predictive_network = (
            PredictiveNetwork(predictive_backbone or backbone) if own else None
        )
        self.encoder = backbone.encoder(inputs, timed=True) if layout.generative else None
        self.generative_decoder = (
            backbone.decoder(inputs, timed=True, generative=True) if layout.generative else None
        )
        self.predictive_decoder = (
            backbone.decoder(inputs, timed=True, generative=False) if shared else None
        )
        self.frame_multiple = backbone.frame_multiple

    @property
    def anchored(self) -> bool:
        """Whether the process drifts to the system's own prediction rather than to y (StoRM)."""
        return self.layout.generative and self.layout.predictive == "own"

    @property
    def predicts(self) -> bool:
        """Whether there is a predictive estimate at all."""
        return self.layout.predictive != "none"

    def anchor(self, y: Tensor) -> Tensor:
        """The drift target of the process: y, or StoRM's prediction P(y)."""
        if self.anchored and self.predictive_network is not None:
            prediction: Tensor = self.predictive_network(y)
            return prediction
        return y

    def encode(self, x_t: Tensor, y: Tensor, anchor: Tensor, t: Tensor) -> Features:
        """What both decoders read, from the state, the noisy speech (and StoRM's prediction)."""
        assert self.encoder is not None
        inputs = stack(x_t, y, anchor) if self.anchored else stack(x_t, y)
        features: Features = self.encoder(inputs, t)
        return features

    def decode_generative(
        self, features: Features, x_t: Tensor, anchor: Tensor, t: Tensor
    ) -> Tensor:
        """Clean estimate of the generative decoder."""
        assert self.generative_decoder is not None and self.process is not None
        output = unstack(self.generative_decoder(features))
        if self.layout.parametrisation == "score":
            return self.process.clean_from_score(output, x_t, anchor, t)
        if self.layout.prior_std == 0:
            return output
        a, b, variance = self.process.kernel(t)
        prior = self.layout.prior_std**2
        # c / a and c, in a form that stays finite where a is 0.
        trust_over_a = a * prior / (a.square() * prior + variance)
        seen = over_state(trust_over_a, x_t) * (x_t - over_state(b, anchor) * anchor)
        return seen + over_state(1 - a * trust_over_a, output) * output

    def decode_predictive(self, features: Features) -> Tensor:
        """Clean estimate of the predictive decoder on shared features."""
        assert self.predictive_decoder is not None
        return unstack(self.predictive_decoder(features))

    def estimate(
        self,
        x_t: Tensor,
        y: Tensor,
        anchor: Tensor,
        t: Tensor,
        *,
        generative: bool = True,
        predictive: bool = False,
    ) -> Estimate:
        """Clean estimates at a state: ``[batch, 1, bins, frames]`` each, t ``[batch]``.

        Only the decoders asked for are evaluated; what the system lacks is None. StoRM's
        predictive estimate is its anchor, already computed.
        """
        clean = prediction = None
        shared = predictive and self.predictive_decoder is not None
        if self.encoder is not None and (generative or shared):
            features = self.encode(x_t, y, anchor, t)
            if generative:
                clean = self.decode_generative(features, x_t, anchor, t)
            if shared:
                prediction = self.decode_predictive(features)
        if predictive and self.predictive_network is not None:
            prediction = anchor if self.anchored else self.predictive_network(y)
        return Estimate(clean, prediction)
