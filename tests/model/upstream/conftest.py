"""A small SGMSE+ and its checkpoint as the public code writes it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from released_weights import SETTINGS, SIZE, upstream_names
from speechduet.model.upstream import released
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck


@pytest.fixture
def system() -> System:
    return System(released.SGMSE_PLUS.recipe.layout, OrnsteinUhlenbeck(), SIZE)


@pytest.fixture
def save(tmp_path: Path, system: System) -> Callable[..., Path]:
    """Writes a checkpoint, with the given sections instead of good ones."""

    def write(**sections: Any) -> Path:
        content = {"state_dict": upstream_names(system), "hyper_parameters": SETTINGS}
        path = tmp_path / "tiny.ckpt"
        torch.save({**content, **sections}, path)
        return path

    return write
