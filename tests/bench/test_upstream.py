import sys
from pathlib import Path

import pytest
import torch

from speechduet.bench import upstream
from speechduet.bench.workloads import network_output
from speechduet.errors import ModelError, SettingError
from speechduet.network.compact import Compact
from speechduet.network.layout import Layout
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck

CPU = torch.device("cpu")


def state() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x_t, y = torch.randn(2, 2, 1, 32, 4, dtype=torch.complex64)
    return x_t, y, torch.tensor([0.3, 0.8])


def test_the_clones_network_has_our_weights(clone: Path, sgmse: System) -> None:
    inputs = state()
    with torch.inference_mode():
        theirs = upstream.score_network(clone, sgmse, CPU)(*inputs)
        torch.testing.assert_close(theirs, network_output(sgmse, *inputs))
    assert theirs.abs().max() > 0


def test_modules_of_the_same_name_stay_loaded(clone: Path, sgmse: System) -> None:
    module, path = object(), list(sys.path)
    sys.modules["sgmse"] = module  # type: ignore[assignment]
    try:
        upstream.score_network(clone, sgmse, CPU)
        assert sys.modules["sgmse"] is module and "sgmse.backbones" not in sys.modules
    finally:
        del sys.modules["sgmse"]
    assert sys.path == path


def test_two_clones_are_not_mixed_up(clone: Path, sgmse: System, tmp_path: Path) -> None:
    inputs, other = state(), tmp_path / "other"
    clone.rename(other)
    network = other / "sgmse" / "backbones" / "ncsnpp.py"
    first = upstream.score_network(other, sgmse, CPU)(*inputs)
    network.write_text(network.read_text().replace("return -unstack", "return 2 * -unstack"))
    other.rename(clone)
    torch.testing.assert_close(upstream.score_network(clone, sgmse, CPU)(*inputs), 2 * first)


def test_a_folder_that_is_no_clone(sgmse: System, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"has no sgmse/backbones/ncsnpp\.py; expected a clone"):
        upstream.score_network(tmp_path, sgmse, CPU)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import absent_package", "needs absent_package; pip install absent_package"),
        ("def broken(", "cannot be imported"),
        ("raise RuntimeError('Ninja is required\\nat length')", r"\(Ninja is required\); install"),
        ("from torch import absent", "cannot be imported"),
    ],
)
def test_a_clone_that_cannot_be_imported(
    clone: Path, sgmse: System, code: str, message: str
) -> None:
    (clone / "sgmse" / "backbones" / "__init__.py").write_text(code)
    with pytest.raises(SettingError, match=message) as caught:
        upstream.score_network(clone, sgmse, CPU)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("num_res_blocks = 2", "the clone's network has other layers: unknown weights all_mod"),
        ("nf = 8", "the clone's network has layers of other sizes"),
    ],
)
def test_a_clone_with_another_network(
    clone: Path, sgmse: System, change: str, message: str
) -> None:
    network = clone / "sgmse" / "backbones" / "ncsnpp.py"
    begin = "        self.size = Size("
    network.write_text(network.read_text().replace(begin, f"        {change}\n{begin}"))
    with pytest.raises(ModelError, match=message):
        upstream.score_network(clone, sgmse, CPU)


@pytest.mark.parametrize(
    "system",
    [
        System(Layout(True, "shared"), OrnsteinUhlenbeck(), NCSNpp(4, (1, 2), 1)),
        System(Layout(True, "none", "clean"), OrnsteinUhlenbeck(), NCSNpp(4, (1, 2), 1)),
        System(Layout(True, "none"), OrnsteinUhlenbeck(), Compact(channels=(4, 4), width=8)),
    ],
    ids=["two decoders", "clean", "another network"],
)
def test_a_system_that_the_clone_does_not_have(clone: Path, system: System) -> None:
    with pytest.raises(SettingError, match=r"expected an SGMSE\+"):
        upstream.score_network(clone, system, CPU)
