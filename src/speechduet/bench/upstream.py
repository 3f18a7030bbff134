"""The public SGMSE+ code, out of a user's own clone, with our weights in its network.

Of the clone only the modules of its network and its process are imported.
"""

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from speechduet.errors import ModelError, SettingError
from speechduet.model.upstream.ncsnpp import rename
from speechduet.network.layout import Layout
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck

PACKAGE = "sgmse"
NETWORK, PROCESS = f"{PACKAGE}.backbones.ncsnpp", f"{PACKAGE}.sdes"


class ScoreMatching(NamedTuple):
    """Its network, and its loss ``loss(x_0, y, t, z)`` as a function of that network."""

    network: nn.Module
    loss: Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def score_network(
    folder: Path, system: System, device: torch.device
) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """Its network with the weights of an SGMSE+ of ours: ``(x_t, y, t)`` -> score."""
    (module,) = _imported(folder, NETWORK)
    network = _network(module, system).to(device).eval()
    return lambda x_t, y, t: -_called(network, x_t, y, t)


def score_matching(folder: Path, system: System, device: torch.device) -> ScoreMatching:
    """Its network and process with its default loss, ``1/2 |s score + z|^2`` summed.

    The loss stands here, for the module in which it does there imports much that it does not need.
    """
    module, processes = _imported(folder, NETWORK, PROCESS)
    network = _network(module, system).to(device).train()
    process = system.process
    assert isinstance(process, OrnsteinUhlenbeck)
    sde = processes.OUVESDE(process.theta, process.sigma_min, process.sigma_max)

    def loss(x_0: Tensor, y: Tensor, t: Tensor, z: Tensor) -> Tensor:
        mean, std = sde.marginal_prob(x_0, y, t)
        std = std[:, None, None, None]
        score = -_called(network, mean + std * z, y, t)
        error = (std * score + z).abs().square()
        summed: Tensor = error.sum(dim=(1, 2, 3))
        return 0.5 * summed.mean()

    return ScoreMatching(network, loss)


def _called(network: nn.Module, x_t: Tensor, y: Tensor, t: Tensor) -> Tensor:
    output: Tensor = network(torch.cat([x_t, y], dim=1), t)
    return output


def _network(module: ModuleType, system: System) -> nn.Module:
    size = system.backbone
    plain = system.layout == Layout(generative=True, predictive="none")
    if not (plain and isinstance(size, NCSNpp) and isinstance(system.process, OrnsteinUhlenbeck)):
        raise SettingError(
            "a model that the SGMSE+ code does not have", "an SGMSE+ (a generative NCSN++ alone)"
        )
    network: nn.Module = module.NCSNpp(
        nf=size.base_channels,
        ch_mult=size.multipliers,
        num_res_blocks=size.residual_blocks,
        attn_resolutions=size.attention_bins,
        image_size=size.bins,
        centered=size.centred,
        scale_by_sigma=size.scale_by_time,
    )
    ours = system.state_dict()
    expected = "the network of the released SGMSE+"
    try:
        theirs = rename(network.state_dict(), size, True, "encoder", "generative_decoder")
    except ModelError as error:
        raise ModelError(f"the clone's network has other layers: {error}", expected) from None
    if {name: tensor.shape for name, tensor in theirs.items()} != {
        name: tensor.shape for name, tensor in ours.items()
    }:
        raise ModelError("the clone's network has layers of other sizes", expected)
    with torch.no_grad():
        for name, tensor in theirs.items():
            tensor.copy_(ours[name])  # a view of the parameter there
    return network


def _imported(folder: Path, *names: str) -> list[Any]:
    """Modules of the clone; modules of the same names that were loaded before stay loaded."""
    place = folder.resolve()
    for name in names:
        file = f"{name.replace('.', '/')}.py"
        if not (place / file).is_file():
            raise SettingError(
                f"{folder} has no {file}",
                "a clone of the SGMSE+ code",
                "git clone https://github.com/sp-uhh/sgmse",
            )
    before = _unloaded()
    sys.path.insert(0, str(place))
    try:
        return [import_module(name) for name in names]
    except ModuleNotFoundError as error:
        raise SettingError(
            f"the code in {folder} needs {error.name}", remedy=f"pip install {error.name}"
        ) from error
    except (ImportError, SyntaxError, RuntimeError, OSError) as error:
        # With a GPU in sight it compiles its resampling on import.
        reason = str(error).strip().partition("\n")[0]
        raise SettingError(
            f"the code in {folder} cannot be imported ({reason})",
            remedy="install what it names, or hide the GPU with CUDA_VISIBLE_DEVICES=",
        ) from error
    finally:
        sys.path.remove(str(place))
        _unloaded()
        sys.modules.update(before)


def _unloaded() -> dict[str, ModuleType]:
    """Take the package's modules out of the table of loaded ones."""
    names = [name for name in sys.modules if name.partition(".")[0] == PACKAGE]
    return {name: sys.modules.pop(name) for name in names}
