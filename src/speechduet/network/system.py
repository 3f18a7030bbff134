"""The five systems as one module: which encoders and decoders there are, and what each means.

Published as GP-SGMSE+ and GP-Unified: *shared* puts a predictive decoder beside the generative
one, on the same encoder. Published as StoRM: *own* puts a whole predictive network before it.
"""

from collections.abc import Mapping
from copy import copy, deepcopy
from dataclasses import dataclass
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from speechduet.errors import SettingError
from speechduet.network.backbone import Backbone
from speechduet.process import Process, over_state
from speechduet.sampler import Estimate
from speechduet.sampling import Sampling
from speechduet.settings import NotNegative, Settings

Predictive = Literal["none", "own", "shared"]
Parametrisation = Literal["score", "clean"]
Program = Literal["generative", "predictive", "both", "predictive_network"]
"""What can be evaluated in one go: the encoder with either decoder or both, or a network of y."""

ActivationRange = tuple[float, float, float, float]
"""Least and greatest number that a layer reads, and that it makes."""


class Backend(Protocol):
    """What evaluates the programs of a system in place of its own `System.forward`."""

    def __call__(
        self, program: Program, spectrograms: Tensor, t: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Outputs of the program's decoders; see `System.forward`."""
        ...


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
        """Noisy -> clean, both real ``[batch, 2, bins, frames]``."""
        clean: Tensor = self.decoder(self.encoder(y, None))
        return clean


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
        layout.check_process(process)
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
        self._backend: Backend | None = None
        self._activation_ranges: Mapping[str, ActivationRange] = {}

    @property
    def backend(self) -> Backend | None:
        """What evaluates the programs; None is the system's own `forward`."""
        return self._backend

    @property
    def activation_ranges(self) -> Mapping[str, ActivationRange]:
        """Of layers, by name, if the system is calibrated for products of 8-bit numbers."""
        return self._activation_ranges

    @property
    def anchored(self) -> bool:
        """See `Layout.anchored`."""
        return self.layout.anchored

    @property
    def predicts(self) -> bool:
        """Whether there is a predictive estimate at all."""
        return self.layout.predictive != "none"

    def evaluated_by(self, backend: Backend | None) -> "System":
        """The same networks, with the same tensors, evaluated by this backend."""
        made = copy(self)
        made._backend = backend
        return made

    def calibrated(self, ranges: Mapping[str, ActivationRange]) -> "System":
        """The same networks with these `activation_ranges`."""
        made = copy(self)
        made._activation_ranges = ranges
        return made

    def placed(self, device: torch.device) -> "System":
        """A copy for evaluation on a device, without a backend.

        It shares the tensors that are there already; this system stays where and as it is.
        """
        memo: dict[int, object] = {id(self._backend): None}
        for parameter in self.parameters():
            there = parameter.detach().to(device)
            same = there.device == parameter.device
            memo[id(parameter)] = (
                parameter if same else nn.Parameter(there, parameter.requires_grad)
            )
        memo |= {id(buffer): buffer.to(device) for buffer in self.buffers()}
        return deepcopy(self, memo).eval()

    def forward(
        self, program: Program, spectrograms: Tensor, t: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Evaluate networks: their inputs -> the output of each decoder, the generative one first.

        ``spectrograms`` is real ``[batch, 2 n, bins, frames]``, as `inputs` makes it (of y alone
        for *predictive_network*, whose t is None); t is ``[batch]``, outputs are real
        ``[batch, 2, bins, frames]``.
        """
        if program == "predictive_network":
            assert self.predictive_network is not None
            return (self.predictive_network(spectrograms),)
        assert self.encoder is not None
        features = self.encoder(spectrograms, t)
        outputs = []
        if program != "predictive":
            assert self.generative_decoder is not None
            outputs.append(self.generative_decoder(features))
        if program != "generative":
            assert self.predictive_decoder is not None
            outputs.append(self.predictive_decoder(features))
        return tuple(outputs)

    def programs(self) -> tuple[Program, ...]:
        """The programs that this layout has."""
        names: list[Program] = ["predictive_network"] if self.predictive_network else []
        if self.encoder is not None:
            names.append("generative")
        if self.predictive_decoder is not None:
            names += ["predictive", "both"]
        return tuple(names)

    def inputs(self, x_t: Tensor, y: Tensor, anchor: Tensor) -> Tensor:
        """What the encoder reads: the state, the noisy speech (and StoRM's prediction)."""
        return stack(x_t, y, anchor) if self.anchored else stack(x_t, y)

    def anchor(self, y: Tensor) -> Tensor:
        """The drift target of the process: y, or StoRM's prediction P(y)."""
        return self.prediction(y) if self.anchored else y

    def clean(self, output: Tensor, x_t: Tensor, anchor: Tensor, t: Tensor) -> Tensor:
        """Clean estimate that the generative decoder's output stands for."""
        assert self.process is not None
        output = unstack(output)
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
        generative = generative and self.generative_decoder is not None
        shared = predictive and self.predictive_decoder is not None
        if generative or shared:
            program: Program = (
                "both" if generative and shared else "generative" if generative else "predictive"
            )
            outputs = self.evaluate(program, self.inputs(x_t, y, anchor), t)
            if generative:
                clean = self.clean(outputs[0], x_t, anchor, t)
            if shared:
                prediction = unstack(outputs[-1])
        if predictive and self.predictive_network is not None:
            prediction = anchor if self.anchored else self.prediction(y)
        return Estimate(clean, prediction)

    def prediction(self, y: Tensor) -> Tensor:
        """The clean estimate of a predictive network of its own, from y alone."""
        return unstack(self.evaluate("predictive_network", stack(y), None)[0])

    def evaluate(
        self, program: Program, spectrograms: Tensor, t: Tensor | None
    ) -> tuple[Tensor, ...]:
        """Outputs of `forward`, by the backend if there is one."""
        return (self._backend or self)(program, spectrograms, t)
