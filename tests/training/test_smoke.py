"""Every system trains: the recipes in recipes/smoke, cut to a few steps."""

from pathlib import Path

import pytest
import torch

from speechduet.enhancement.enhancer import Enhancer
from speechduet.model.folder import load
from speechduet.recipe import RECIPES
from speechduet.training.building import build
from speechduet.training.recipe_file import read_recipe
from speechduet.training.run import train

ROOT = Path(__file__).parents[2]
SMOKE = sorted((ROOT / "recipes/smoke").glob("*.yaml"))


def test_there_is_one_for_every_system() -> None:
    names = {path.stem for path in SMOKE}
    assert names >= {"schroedinger_bridge", "flow_matching"}
    for recipe in RECIPES:
        path = ROOT / "recipes/smoke" / f"{recipe.name}.yaml"
        if recipe.name in names:
            assert read_recipe(path).model.layout == recipe.layout


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("path", SMOKE, ids=lambda path: path.stem)
def test_it_trains_and_enhances(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    settings = ["run.max_steps=2", "run.workers=0", "run.accelerator=cpu", "run.log_every_steps=1"]
    recipe = read_recipe(path, settings)
    before = {name: p.clone() for name, p in build(recipe).system.named_parameters()}
    pretrained = load(train(recipe, tmp_path))
    best = next((tmp_path / "best").iterdir())
    assert load(best).metadata["training"]["steps"] == 2
    moved = {name for name, p in pretrained.system.named_parameters() if not p.equal(before[name])}
    for part in ("encoder", "generative_decoder", "predictive_decoder", "predictive_network"):
        if getattr(pretrained.system, part) is not None:
            assert any(name.startswith(f"{part}.") for name in moved), f"{part} did not move"
    enhancer = Enhancer.from_pretrained(tmp_path / "model", device="cpu")
    mode = next(iter(pretrained.modes))
    assert enhancer(torch.randn(4000), 16_000, mode=mode).isfinite().all()
