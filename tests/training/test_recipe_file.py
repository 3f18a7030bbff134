from pathlib import Path

import pytest

from speechduet.errors import ModelError, SpeechduetError
from speechduet.training.recipe_file import read_recipe

FOLDER = Path(__file__).parents[2] / "recipes"
# Those of ablations train nothing.
RECIPES = sorted(path for path in FOLDER.rglob("*.yaml") if path.parent.name != "ablation")


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.model.name == path.stem
    assert recipe.audio_hours(3600) == pytest.approx(recipe.mixing.excerpt_s)


def test_overrides_change_single_settings() -> None:
    recipe = read_recipe(RECIPES[0], ["run.max_steps=7", "losses.weighting=score"])
    assert recipe.run.max_steps == 7
    assert recipe.losses.weighting == "score"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("run.max_step=7", "max_steps"),
        ("run.max_steps=many", "type int"),
        ("losses.weighting=fair", "score, clean"),
        ("nonsense", "section.key=value"),
        ("name.first=1", "not a section"),
        ("optimization.learning_rate=1", "unknown key 'optimization'"),
    ],
)
def test_wrong_overrides_say_what_is_expected(override: str, message: str) -> None:
    with pytest.raises(SpeechduetError, match=message):
        read_recipe(RECIPES[0], [override])


def test_unreadable_recipes_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpeechduetError, match="absent.yaml"):
        read_recipe(tmp_path / "absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    with pytest.raises(SpeechduetError, match="not YAML"):
        read_recipe(broken)
    broken.write_text("name: x")
    with pytest.raises(ModelError, match="lacks"):
        read_recipe(broken)
