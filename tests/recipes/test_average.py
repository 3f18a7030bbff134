"""recipes/corpus/average.py: the weighted mean of models of one network."""

import runpy
from pathlib import Path

import pytest
import torch

from speechduet.errors import SettingError
from speechduet.model.folder import load, save

SCRIPT = Path(__file__).parents[2] / "recipes/corpus/average.py"


def test_weights_are_averaged_by_their_shares(tiny_model: Path, tmp_path: Path) -> None:
    other = load(tiny_model)
    for parameter in other.system.parameters():
        parameter.data.mul_(3)
    save(other, tmp_path / "other")
    average = runpy.run_path(str(SCRIPT))["main"]
    average(tmp_path / "mean", ["0.25", str(tiny_model), "0.75", str(tmp_path / "other")])
    found = load(tmp_path / "mean").system.parameters()
    for one, tripled in zip(load(tiny_model).system.parameters(), found, strict=True):
        torch.testing.assert_close(tripled, 2.5 * one, rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("shares", [["0.5"], ["0.5", "0.6"]])
def test_shares_that_are_not_one_in_all(
    tiny_model: Path, tmp_path: Path, shares: list[str]
) -> None:
    average = runpy.run_path(str(SCRIPT))["main"]
    parts = [word for share in shares for word in (share, str(tiny_model))]
    with pytest.raises(SettingError, match="expected one for each, 1 in all"):
        average(tmp_path / "mean", parts)
