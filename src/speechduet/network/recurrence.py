"""Recurrence along time whose gates depend on the input alone.

A gated recurrent unit without recurrent weights: ``h[t] = k[t] h[t-1] + (1 - k[t]) c[t]``, with
k a sigmoid and c a tanh of the frame. So the products of all frames are made at once, and the loop
over the frames is left with one multiplication and one addition per number.
"""

from collections.abc import Sequence
from math import log2
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

LONGEST_MEMORY_FRAMES = 64.0
"""A new network remembers from 2 to this many frames, its channels evenly spaced on a log scale."""


def _paths(x: Tensor) -> tuple[Sequence[Tensor], Sequence[Tensor]]:
    """Frames of ``[batch, frames, bins, channels]`` as either half of the channels meets them.

    The first half runs forwards in time, the second backwards.
    """
    back, ahead = x.chunk(2, dim=-1)
    return back.unbind(1), ahead.unbind(1)[::-1]


class _Recursion(torch.autograd.Function):
    """Gates before their sigmoids -> states; tanh(c / 2) is 2 sigmoid(c) - 1, in half the time."""

    @staticmethod
    def forward(ctx: Any, gates: Tensor) -> Tensor:
        opened = gates.sigmoid()
        keep, drive = opened.chunk(2, dim=-1)
        candidate = (2 * drive).sub_(1)
        h = candidate.addcmul_(keep, candidate, value=-1)
        for kept, states in zip(_paths(keep), _paths(h), strict=True):
            for now in range(1, len(states)):
                states[now].addcmul_(kept[now], states[now - 1])
        ctx.save_for_backward(opened, h)
        return h

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        """Gradients of the states -> gradients of the gates, by the recursion run backwards."""
        opened, h = ctx.saved_tensors
        keep, drive = opened.chunk(2, dim=-1)
        # Of the loss by what a frame brings in: directly, and by all that remember it.
        brought = gradients[0].clone(memory_format=torch.contiguous_format)
        for kept, slopes in zip(_paths(keep), _paths(brought), strict=True):
            for now in range(len(slopes) - 1, 0, -1):
                slopes[now - 1].addcmul_(kept[now], slopes[now])
        channels, half = h.shape[3], h.shape[3] // 2
        before = torch.zeros_like(h)
        before[:, 1:, :, :half] = h[:, :-1, :, :half]
        before[:, :-1, :, half:] = h[:, 1:, :, half:]
        slope = torch.empty_like(opened)
        slope[..., :channels] = before.sub_(2 * drive).add_(1).mul_(brought)
        slope[..., channels:] = brought.addcmul_(brought, keep, value=-1).mul_(2)
        return slope.mul_(opened).mul_(1 - opened)


def recursion(gates: Tensor) -> Tensor:
    """States ``[batch, frames, bins, channels]`` of gates ``[..., 2 channels]``, of k before of c.

    k is the sigmoid of its half, c the tanh of half of its own. The first half of the channels
    looks back, the second ahead; both begin at 0. No number of channels is odd.
    """
    h: Tensor = _Recursion.apply(gates)  # type: ignore[no-untyped-call]
    return h


def recurrent_unit(gates: Tensor, channels: int) -> Tensor:
    """The same as `recursion`, by the gated recurrent unit that every runtime knows.

    Its input weights pick the gates, its recurrent ones are 0. For programs that are recorded for
    another runtime, with any number of frames; all weights are constants there.
    """
    batch, frames, bins, _ = gates.shape
    half, picks = channels // 2, np.eye(2 * channels)
    weights = []
    for start in (0, half):
        keep = picks[start : start + half]
        candidate = picks[channels + start : channels + start + half] / 2
        # The order of the unit's gates: reset, on which nothing depends here, keep, candidate.
        reads = np.concatenate([np.zeros_like(keep), keep, candidate])
        weights += [reads, np.zeros((3 * half, half))]
    # [batch, frames, bins, ...] -> [frames, sequences, ...]
    sequences = gates.transpose(0, 1).reshape(frames, batch * bins, 2 * channels)
    h, _ = torch.gru(
        sequences,
        sequences.new_zeros(2, batch * bins, half),
        [torch.from_numpy(weight).to(gates) for weight in weights],
        has_biases=False,
        num_layers=1,
        dropout=0.0,
        train=False,
        bidirectional=True,
        batch_first=False,
    )
    return h.reshape(frames, batch, bins, channels).transpose(0, 1)


class Recurrence(nn.Module):
    """A look at the neighbouring frames, the recursion in both directions, a gate at its output.

    Maps ``[batch, frames, bins, channels]`` to the same shape; the weights are the same in all
    bins. ``hidden``, an even number, is the size of the state, both directions together.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.project = nn.Linear(channels, 3 * hidden)
        self.out = nn.Linear(hidden, channels)
        self.parts = (2 * hidden, hidden)
        memory = torch.logspace(1, log2(LONGEST_MEMORY_FRAMES), hidden // 2, base=2.0)
        with torch.no_grad():
            self.project.bias[:hidden] = torch.logit(1 - 1 / memory).repeat(2)

    def forward(self, x: Tensor) -> Tensor:
        """Look back and ahead."""
        gates, valve = self.project(neighbours(x)).split(self.parts, dim=-1)
        recorded = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        h = recurrent_unit(gates, self.parts[1]) if recorded else recursion(gates)
        out: Tensor = self.out(h * functional.silu(valve))
        return out


def neighbours(x: Tensor) -> Tensor:
    """A quarter of the channels from the frame before, a quarter from the one after; same shape.

    What a convolution over three frames is for, without its cost. Beyond the ends there are zeros.
    """
    quarter = x.shape[-1] // 4
    sizes = [quarter, quarter, x.shape[-1] - 2 * quarter]
    late, early, same = torch.split(x, sizes, dim=-1)
    before = functional.pad(late, (0, 0, 0, 0, 1, -1))
    after = functional.pad(early, (0, 0, 0, 0, -1, 1))
    return torch.cat([before, after, same], dim=-1)
