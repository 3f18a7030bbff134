"""The five systems as one module: the networks that a `Layout` names, and what each means."""

from collections.abc import Mapping
from copy import copy, deepcopy
from typing import Literal, Protocol

import torch
from torch import Tensor, nn

from speechduet.network.backbone import Backbone
from speechduet.network.layout import Layout
from speechduet.process import Process, over_state, ratio
from speechduet.sampler import Estimate

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
        # c / a and c, in a form that stays finite where a is 0 (and the noise too: a bridge at 1).
        trust_over_a = ratio(a * prior, a.square() * prior + variance)
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
