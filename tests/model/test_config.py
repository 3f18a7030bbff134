"""Networks that are too large, or whose sizes do not fit, are refused before they take memory."""

import resource
from dataclasses import asdict
from typing import Any

import pytest
import torch

from speechduet.errors import SettingError
from speechduet.model import config
from speechduet.model.config import Config
from speechduet.recipe import system_named

ROW = system_named("gp_unified")


def described(network: dict[str, Any]) -> Config:
    values = {
        "format": 1,
        "name": "x",
        "system": {"layout": asdict(ROW.layout)},
        "network": network,
        "process": asdict(ROW.process or ROW.spectrogram),
        "spectrogram": {},
        "modes": {},
    }
    return Config.from_json(values)


@pytest.mark.parametrize(
    "network",
    [
        {"kind": "compact", "width": 2**14, "channels": [2**14]},
        {"kind": "compact", "width": 2**14, "encoder_blocks": 256},
        {"kind": "dual_path", "hidden": 2**14, "channels": [32, 2**14]},
        {"kind": "ncsnpp", "base_channels": 2**12, "multipliers": [64] * 7},
    ],
)
def test_too_many_parameters(network: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "MOST_PARAMETERS", 10**7)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SettingError, match=r"too many parameters; expected 10,000,000|not be b"):
        described(network).build()
    taken_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert taken_kb * 1024 < 5 * config.MOST_PARAMETERS


@pytest.mark.parametrize(
    ("multipliers", "base_channels"), [((1, 1, 2, 2, 2, 2, 2), 132), ((1, 3, 5, 7), 20)]
)
def test_sizes_that_do_not_fit(multipliers: tuple[int, ...], base_channels: int) -> None:
    network = {"kind": "ncsnpp", "multipliers": multipliers, "base_channels": base_channels}
    with pytest.raises(SettingError, match=r"cannot be built \(num_channels .* divisible by"):
        described(network).build()


def test_the_limit_is_of_one_network_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    network = {"kind": "compact", "width": 16, "channels": [4, 4]}
    parameters = sum(p.numel() for p in described(network).build().parameters())
    monkeypatch.setattr(config, "MOST_PARAMETERS", parameters)
    described(network).build()
    torch.nn.Linear(1000, parameters)  # No network of a config: it is not counted.
    described(network).build()
    monkeypatch.setattr(config, "MOST_PARAMETERS", parameters - 1)
    with pytest.raises(SettingError, match="too many parameters"):
        described(network).build()
