"""An adversary that tells estimates from clean speech. It exists in training only.

Discriminators of spectrograms at several resolutions, trained by least squares (LSGAN, Mao et al.
2017), and the matching of their features (Larsen et al. 2016).
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.parametrizations import weight_norm

WINDOWS = (256, 512, 1024)
"""Samples of the discriminators' windows, which overlap by half."""
CHANNELS, LAYERS = 24, 4
LEVEL = 0.1
"""Root mean square that an excerpt of clean speech is brought to, and its estimate by as much."""
LEARNING_RATE = 1e-3


class AdversarialLosses(NamedTuple):
    """How the discriminators judge a batch of estimates; means over the batch."""

    adversarial: Tensor
    """0 where all are taken for clean speech; 0.25 where the discriminators can only guess."""
    matching: Tensor
    """Distance of the discriminators' features from those of clean speech, relative to theirs."""
    own: Tensor
    """The discriminators' loss before their step; 0.5 where they can only guess."""


class Discriminator(nn.Module):
    """Scores patches of a spectrogram with one window: 1 for clean speech, 0 for estimates."""

    window: Tensor

    def __init__(self, length: int) -> None:
        super().__init__()
        self.length = length
        self.register_buffer("window", torch.hann_window(length))
        self.layers = nn.ModuleList(
            weight_norm(nn.Conv2d(inputs, CHANNELS, (7, 3), stride=(2, 1), padding=(3, 1)))
            for inputs in (3, *[CHANNELS] * (LAYERS - 1))
        )
        self.last = weight_norm(nn.Conv2d(CHANNELS, 1, 3, padding=1))

    def forward(self, waveform: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Scores of waveforms ``[batch, samples]``, and the features of every layer."""
        bins = torch.stft(
            waveform,
            self.length,
            self.length // 2,
            window=self.window,
            pad_mode="constant",
            return_complex=True,
        )
        magnitude = (bins.real.square() + bins.imag.square() + 1e-8).sqrt()
        gain = magnitude**-0.6  # Quiet sounds count as they are heard.
        values = torch.stack([magnitude * gain, bins.real * gain, bins.imag * gain], dim=1)
        features = []
        for layer in self.layers:
            values = functional.leaky_relu(layer(values), 0.1)
            features.append(values)
        return self.last(values), features


class Adversary:
    """Discriminators and their own optimiser.

    It is no module, so that neither the system's optimiser nor its averages see its weights.
    """

    def __init__(self) -> None:
        self.discriminators = nn.ModuleList(Discriminator(length) for length in WINDOWS)
        self._optimiser = torch.optim.AdamW(
            self.discriminators.parameters(), lr=LEARNING_RATE, betas=(0.8, 0.99)
        )

    def step(self, estimate: Tensor, clean: Tensor) -> AdversarialLosses:
        """Train the discriminators on waveforms ``[batch, samples]``, then judge the estimates.

        A gradient leads to the estimates, none to the discriminators.
        """
        self._move(clean.device)
        with torch.autocast(clean.device.type, enabled=False):
            scale = LEVEL / (clean.float().square().mean(-1, keepdim=True).sqrt() + 1e-4)
            estimate, clean = scale * estimate.float(), scale * clean.float()
            own = self._learn(estimate.detach(), clean)
            self.discriminators.requires_grad_(False)
            adversarial, matching = [], []
            for discriminator in self.discriminators:
                score, features = discriminator(estimate)
                with torch.no_grad():
                    _, wanted = discriminator(clean)
                adversarial.append((1 - score).square().mean())
                matching += [
                    (_size(one - other) / (_size(other) + 1e-6)).mean()
                    for one, other in zip(features, wanted, strict=True)
                ]
            self.discriminators.requires_grad_(True)
        return AdversarialLosses(torch.stack(adversarial).mean(), torch.stack(matching).mean(), own)

    def _move(self, device: torch.device) -> None:
        if next(self.discriminators.parameters()).device != device:
            self.discriminators.to(device)
            # What a checkpoint brought follows the weights where it is loaded.
            self._optimiser.load_state_dict(self._optimiser.state_dict())

    def _learn(self, estimate: Tensor, clean: Tensor) -> Tensor:
        errors = []
        for discriminator in self.discriminators:
            errors.append((1 - discriminator(clean)[0]).square().mean())
            errors.append(discriminator(estimate)[0].square().mean())
        loss = torch.stack(errors).sum() / len(self.discriminators)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        _average_gradients(self.discriminators)
        self._optimiser.step()
        return loss.detach()

    def state_dict(self) -> dict[str, Any]:
        """All that a run goes on from, for a checkpoint."""
        return {
            "discriminators": self.discriminators.state_dict(),
            "optimiser": self._optimiser.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """The state of a checkpoint."""
        self.discriminators.load_state_dict(state["discriminators"])
        self._optimiser.load_state_dict(state["optimiser"])


def _size(features: Tensor) -> Tensor:
    """Mean magnitude of each example, ``[batch]``."""
    return features.abs().mean(dim=(1, 2, 3))


def _average_gradients(discriminators: nn.Module) -> None:
    """Over the processes of a run, which all hold the same weights."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return
    for parameter in discriminators.parameters():
        assert parameter.grad is not None
        torch.distributed.all_reduce(parameter.grad)
        parameter.grad /= torch.distributed.get_world_size()
