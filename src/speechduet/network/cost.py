"""What a system costs: parameters by part, network calls of a sampler's settings, operations."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple, TypeVar

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from speechduet.network.system import Layout, System
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram

Result = TypeVar("Result")

FRAMES = 256
"""Frames on which operations are counted: an excerpt of SGMSE+'s training."""


class Parts(NamedTuple):
    """One number for each part that a system evaluates on its own; 0 for one that it lacks."""

    encoder: int = 0
    generative_decoder: int = 0
    predictive_decoder: int = 0
    """The one on the shared encoder."""
    predictive_network: int = 0
    """StoRM's first network, or the predictive system's only one."""


class Parameters(NamedTuple):
    """Trainable parameters of a system by part; 0 for a part that it lacks."""

    embedding: int
    """Of the time, in the encoder."""
    encoder: int
    """The way down, without embedding and bottleneck."""
    bottleneck: int
    generative_decoder: int
    """The way up, without its head."""
    generative_head: int
    """The last convolution, which makes one spectrogram of the decoder's output."""
    predictive_decoder: int
    predictive_head: int
    predictive_network: int
    """A whole network of its own (StoRM, predictive)."""

    @property
    def total(self) -> int:
        """All of them."""
        return sum(self)


def parameters(system: System) -> Parameters:
    """Count the trainable parameters of each part."""
    encoder = dict(system.encoder.named_children()) if system.encoder is not None else {}
    embedding = _trainable(encoder, ("embedding", "embed"))
    bottleneck = _trainable(
        encoder, ("bottleneck_in", "attention", "bottleneck_out", "narrow", "blocks")
    )
    counted = [embedding, _trainable(encoder) - embedding - bottleneck, bottleneck]
    for decoder in (system.generative_decoder, system.predictive_decoder):
        children = dict(decoder.named_children()) if decoder is not None else {}
        head = _trainable(children, ("output", "head"))
        counted += [_trainable(children) - head, head]
    network = system.predictive_network
    counted.append(_trainable(dict(network.named_children()) if network is not None else {}))
    return Parameters(*counted)


def _trainable(modules: dict[str, nn.Module], names: Iterable[str] | None = None) -> int:
    chosen = modules if names is None else [name for name in names if name in modules]
    # Fixed tensors, such as NCSN++'s Fourier features, are buffers and so not among these.
    return sum(tensor.numel() for name in chosen for tensor in modules[name].parameters())


def calls(layout: Layout, sampling: Sampling) -> Parts:
    """How often each part is evaluated with these settings, in all framings."""
    shared = layout.predictive == "shared"
    # StoRM's network makes the anchor, and any prediction is that anchor again.
    network = int(layout.predictive == "own")
    if sampling.framings > 1:
        once = calls(layout, replace(sampling, framings=1))
        return Parts(*(sampling.framings * number for number in once))
    if sampling.steps == 0:
        return Parts(int(shared), 0, int(shared), network)
    generative = sampling.generative_evaluations
    restarts = int(shared and sampling.start_from == "predictive")
    return Parts(generative + restarts, generative, shared * sampling.predictions, network)


def evaluations(layout: Layout, sampling: Sampling) -> int:
    """Network evaluations (NFE) of these settings, the corrector's included.

    As published, that StoRM makes its anchor is not counted.
    """
    made = calls(layout, sampling)
    return made.encoder or made.predictive_network


def operations(system: System, bins: int) -> Parts:
    """Multiply-accumulate operations of one call of each part on `FRAMES` frames.

    Those of convolutions, matrix products and attention; pointwise work is not counted.
    """
    # Shapes without numbers: nothing is allocated or computed.
    with torch.device("meta"):
        twin = System(system.layout, system.process, system.backbone, system.predictive_backbone)
    y = torch.zeros(1, 1, bins, FRAMES, dtype=torch.complex64, device="meta")
    t = torch.ones(1, device="meta")
    encoder = generative = predictive = network = 0
    with torch.inference_mode():
        if (encode := twin.encoder) is not None:
            inputs = twin.inputs(y, y, y)
            _, encoder = counted(lambda: encode(inputs, t))
            _, both = counted(lambda: twin("generative", inputs, t))
            generative = both - encoder
            if twin.predictive_decoder is not None:
                _, both = counted(lambda: twin("predictive", inputs, t))
                predictive = both - encoder
        if twin.predictive_network is not None:
            _, network = counted(lambda: twin.prediction(y))
    return Parts(encoder, generative, predictive, network)


def counted(call: Callable[[], Result]) -> tuple[Result, int]:
    """What a call returns, and its multiply-accumulate operations.

    Of a convolution those that define it, also where it is computed with fewer.
    """
    with FlopCounterMode(display=False) as counter:
        result = call()
    return result, int(counter.get_total_flops()) // 2


def operations_per_second(
    each: Parts, layout: Layout, sampling: Sampling, transform: Spectrogram
) -> float:
    """Operations per second of audio of a sampler's settings, from those `each` part's call takes.

    Attention over all frames costs a little more per second the longer a recording is; this is
    the rate at `FRAMES` frames.
    """
    duration_s = FRAMES * transform.hop / transform.sample_rate
    number_of = calls(layout, sampling)
    return sum(n * cost for n, cost in zip(number_of, each, strict=True)) / duration_s
