"""What a system costs: parameters by part, network calls of a sampler's settings, operations."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple, TypeVar

import torch
from torch.utils.flop_counter import FlopCounterMode

from speechduet.network.layout import Layout
from speechduet.network.system import System
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram

Output = TypeVar("Output")

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


def parameters(system: System) -> Parts:
    """Count the trainable parameters of each part."""
    # Fixed tensors, such as NCSN++'s Fourier features, are buffers and so not among these.
    counts = dict.fromkeys(Parts._fields, 0)
    for name, tensor in system.named_parameters():
        counts[name.partition(".")[0]] += tensor.numel()
    return Parts(**counts)


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
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        if twin.encoder is not None:
            decoders = "generative" if twin.predictive_decoder is None else "both"
            twin(decoders, twin.inputs(y, y, y), t)
        if twin.predictive_network is not None:
            twin.prediction(y)
    by_module = counter.get_flop_counts()
    return Parts(
        *(sum(by_module.get(f"System.{part}", {}).values()) // 2 for part in Parts._fields)
    )


def counted(call: Callable[[], Output]) -> tuple[Output, int]:
    """What a call returns, and its multiply-accumulate operations.

    Of a convolution those that define it, also where it is computed with fewer.
    """
    with FlopCounterMode(display=False) as counter:
        output = call()
    return output, int(counter.get_total_flops()) // 2


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
