"""An adaptation is trained as the model that it starts from was."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from speechduet.adaptation import Adaptation
from speechduet.adaptation.recipe import recipe_of, times
from speechduet.model.find import load_any
from speechduet.model.folder import Pretrained
from speechduet.training.losses import LossSettings


def losses(model: Pretrained) -> LossSettings:
    settings = Adaptation()
    return recipe_of(model, Path("noise"), Path("speech"), 2.0, settings).losses


def test_it_trains_on_what_the_bundled_model_was_trained_on(root: Path) -> None:
    bundled = load_any(None)
    recipe = yaml.safe_load((root / "recipes/corpus/continued.yaml").read_text())
    trained_by, trained_at = recipe["losses"], recipe["times"]
    made = losses(bundled)
    for name in ("weighting", "magnitude", "si_sdr", "terms_for", "perceptual", "heard_beta"):
        assert getattr(made, name) == trained_by[name]
    assert times(bundled.modes).chained
    assert times(bundled.modes).between == pytest.approx(trained_at["between"])
    wide = replace(bundled, spectrogram=replace(bundled.spectrogram, sample_rate=48_000))
    assert losses(wide).perceptual == 0


@pytest.mark.parametrize(("steps", "every"), [(3, 1), (50, 5), (100, 10), (1000, 10)])
def test_every_tenth_of_the_steps_is_logged(steps: int, every: int) -> None:
    made = recipe_of(load_any(None), Path("noise"), Path("speech"), 2.0, Adaptation(steps=steps))
    assert made.run.log_every_steps == every


@pytest.mark.parametrize(
    "other",
    [
        {"steps": 2},
        {"start_from": "noisy", "start": 1.0},
        {"predict_once": False},
        {"steps": 0, "start_from": "noisy", "start": 1.0, "predict_once": False},
    ],
)
def test_a_model_of_other_modes_is_trained_at_all_times(other: dict[str, Any]) -> None:
    """At each of its steps both decoders may be asked."""
    modes = {name: replace(mode, **other) for name, mode in load_any(None).modes.items()}
    trained_at = times(modes)
    assert not trained_at.chained
    assert trained_at.between == (0.0, 1.0) and trained_at.own_states > 0
