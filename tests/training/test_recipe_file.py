from pathlib import Path

import pytest

from speechduet.errors import ModelError, SettingError, SpeechduetError
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


ABSURD = (
    *("run.seed=-1", f"run.seed={10**22}", "run.workers=-1", "run.workers=1000000"),
    *("run.max_minutes=-1", "run.max_minutes=.nan", "run.gradient_clip=-1", "run.keep_best=-1"),
    *("run.gradient_norms_every_steps=-1", "run.show_examples=-1", "run.ema_decay=.nan"),
    *(f"optimisation.learning_rate={rate}" for rate in ("-1", ".nan", ".inf")),
    *("optimisation.weight_decay=-1", "optimisation.warmup_steps=-1"),
    "optimisation.decay_steps=-1",
    *(f"losses.{name}=-1" for name in ("generative", "predictive", "magnitude", "si_sdr")),
    *("losses.si_sdr=.nan", "data.valid_limit=-1"),
    *("spectrogram.hop=0", "spectrogram.hop=100000", "spectrogram.n_fft=0"),
    *("spectrogram.sample_rate=0", "spectrogram.exponent=0", "spectrogram.factor=-1"),
    *(f"mixing.excerpt_s={length}" for length in ("1e9", "0", "-1", ".nan")),
    *("mixing.pause_s=-1", "mixing.early_s=.nan", "mixing.colour_db=-1"),
    "mixing.snr_db=[.nan, 1]",
)


@pytest.mark.parametrize("override", ABSURD)
def test_absurd_settings_are_named(override: str) -> None:
    section, _, key = override.partition("=")[0].partition(".")
    with pytest.raises(ModelError) as caught:
        read_recipe(RECIPES[0], [override])
    assert str(caught.value).startswith(f"config: {section}: ")
    assert "; expected " in str(caught.value) and "\n" not in str(caught.value)
    assert key.partition("_")[0] in str(caught.value)


@pytest.mark.parametrize(
    "name", ["..", ".", "''", "a/b", "/tmp", "../x", "a/", '"a\\nb"', '"a\\0"']
)
def test_a_name_is_that_of_one_folder(name: str) -> None:
    with pytest.raises(SettingError, match="a plain name without slashes"):
        read_recipe(RECIPES[0], [f"name={name}"])
    assert read_recipe(RECIPES[0], ["name=my model.v2"]).model.name == "my model.v2"


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
