"""Sampler settings: their defaults, what they cost, and what they refuse."""

from typing import Any

import pytest

from speechduet.errors import SettingError
from speechduet.sampler import Sampling


def test_defaults_are_those_of_sgmse_plus() -> None:
    sampling = Sampling()
    assert (sampling.steps, sampling.grid, sampling.predictor) == (30, "exact", "euler_maruyama")
    assert (sampling.corrector_steps, sampling.corrector_snr) == (1, 0.5)
    assert sampling.generative_evaluations == 60 and not sampling.needs_predictive


@pytest.mark.parametrize(
    ("settings", "evaluations", "needs_predictive"),
    [
        ({"steps": 0}, 0, True),
        ({"steps": 1}, 2, False),
        ({"steps": 5, "corrector_steps": 0}, 5, False),
        ({"steps": 5, "corrector_steps": 2}, 15, False),
        ({"steps": 15, "alpha": 0.2}, 30, True),
        ({"steps": 15, "beta": 0.1}, 30, True),
        ({"steps": 3, "corrector_steps": 0, "start_from": "predictive"}, 3, True),
    ],
)
def test_generative_evaluations(
    settings: dict[str, Any], evaluations: int, needs_predictive: bool
) -> None:
    sampling = Sampling(**settings)
    assert sampling.generative_evaluations == evaluations
    assert sampling.needs_predictive is needs_predictive


@pytest.mark.parametrize(
    ("settings", "anew", "once"),
    [
        ({"steps": 0}, 1, 1),
        ({"steps": 5}, 0, 0),
        ({"steps": 5, "alpha": 0.2, "beta": 0.1}, 2, 1),
        ({"steps": 1, "alpha": 0.2, "beta": 0.1}, 1, 1),
        ({"steps": 2, "alpha": 0.2, "beta": 0.1, "start_from": "predictive"}, 3, 1),
    ],
)
def test_predictions(settings: dict[str, Any], anew: int, once: int) -> None:
    assert Sampling(**settings).predictions == anew
    assert Sampling(**settings, predict_once=True).predictions == once


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"steps": -1}, r"^steps is -1; expected 0 or more$"),
        ({"corrector_steps": -1}, "^corrector_steps is -1; expected 0 or more$"),
        ({"framings": 0}, "^framings is 0; expected 1 or more$"),
        ({"corrector_snr": 0.0}, "^corrector_snr is 0.0; expected 0.001 or more$"),
        ({"corrector_snr": float("nan")}, "^corrector_snr is nan; expected a finite number$"),
        ({"alpha": 1.1}, "^alpha is 1.1; expected 1 or less$"),
        ({"beta": -0.1}, "^beta is -0.1; expected 0 or more$"),
        ({"beta": float("nan")}, "^beta is nan"),
        ({"start": 0.0}, "^start is 0.0; expected 0.001 or more$"),
        ({"start": 1.5}, "^start is 1.5"),
        ({"grid": "fine"}, "^grid is 'fine'; expected one of exact, paper$"),
        ({"predictor": "frog"}, "^predictor is 'frog'; expected one of deterministic, heun, an"),
        ({"start_from": "clean"}, "^start_from is 'clean'; expected one of noisy, predictive$"),
        ({"grid": "paper", "predictor": "ancestral"}, "use grid 'exact'$"),
    ],
)
def test_settings_outside_their_range(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Sampling(**settings)
