import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from speechduet.evaluation import Evaluation, UnscoredFile
from speechduet.sampler import Sampling
from speechduet.study.measuring import Measured
from speechduet.study.selection import (
    Measurements,
    by_beta,
    by_steps,
    described,
    frontier,
    picked,
    predictive,
    systems_only,
)
from speechduet.study.settings import NOISY, Ablation, Pick, Setting


@pytest.fixture
def measured(ablation: Ablation, made_up: Callable[..., Measured]) -> Measurements:
    """PESQ grows with the steps, and is best at beta 0.5."""
    found = {}
    for setting in ablation.settings():
        sampling = setting.sampling
        if sampling is None:
            found[setting] = made_up(setting, 1.0)
            continue
        pesq = 2 + 0.1 * sampling.steps - abs(sampling.beta - 0.5) - (sampling.grid == "paper")
        found[setting] = made_up(setting, pesq, evaluations=sampling.evaluations)
    return found


def test_lines_over_steps_vary_nothing_but_steps_and_grid(
    ablation: Ablation, measured: Measurements
) -> None:
    lines = by_steps(ablation, measured)
    assert [(line.label, line.grid) for line in lines] == [("plain", "exact"), ("plain", "paper")]
    for line in lines:
        assert [place for place, _ in line.points] == [1, 2]
        for place, point in line.points:
            assert point.setting.sampling is not None
            assert (point.setting.sampling.steps, point.setting.sampling.grid) == (place, line.grid)


def test_lines_over_beta_and_of_the_predictive_output(
    ablation: Ablation, measured: Measurements
) -> None:
    lines = by_beta(ablation, measured)
    assert [line.label for line in lines] == ["fused, steps 1", "fused, steps 2"]
    assert [place for place, _ in lines[1].points] == [0, 0.5, 1]
    (line,) = predictive(ablation, measured)
    assert [place for place, _ in line.points] == [1, 2]
    assert all(
        point.setting.sampling.beta == 0 for _, point in line.points if point.setting.sampling
    )


def test_picks_are_the_best_within_their_conditions(
    ablation: Ablation, measured: Measurements
) -> None:
    fused = Sampling(steps=2, corrector_steps=0, alpha=0.2, beta=0.5)
    best, cheap = picked(ablation, measured)
    assert (best.pick, best.setting) == ("best", Setting("tiny", fused))
    assert cheap.setting.sampling == Sampling(steps=1, corrector_steps=0, beta=0.5)
    on_paper = replace(ablation, picks={"paper": Pick(grid="paper")})
    (pick,) = picked(on_paper, {s: m for s, m in measured.items() if s.sampling != Sampling(0)})
    assert pick.setting.sampling is not None and pick.setting.sampling.grid == "paper"


def test_a_setting_that_failed_where_others_did_not_is_never_picked(
    ablation: Ablation, measured: Measurements
) -> None:
    def without_b(one: Measured) -> Measured:
        failed = [UnscoredFile("b", "broken")]
        return replace(one, evaluation=Evaluation(one.evaluation.files[:1], failed))

    best = picked(ablation, measured)[0].setting
    assert picked(ablation, {**measured, best: without_b(measured[best])})[0].setting != best
    everywhere = {setting: without_b(one) for setting, one in measured.items()}
    assert picked(ablation, everywhere)[0].setting == best


def test_a_system_without_such_a_setting_is_left_out(
    ablation: Ablation, measured: Measurements
) -> None:
    several = {s: t for s, t in measured.items() if t.cost.evaluations > 1}
    assert [pick.pick for pick in picked(ablation, several)] == ["best"]


def test_the_frontier_is_what_nothing_cheaper_equals(made_up: Callable[..., Measured]) -> None:
    def at(nfe: int, pesq: float) -> Measured:
        return made_up(Setting("x", Sampling(steps=nfe, beta=pesq / 10)), pesq, evaluations=nfe)

    candidates = [at(4, 2.5), at(1, 2.0), at(2, 1.9), at(1, 1.5), at(3, 2.5), at(9, 2.6)]
    best = frontier(candidates, "pesq", "evaluations")
    assert [m.cost.evaluations for m in best] == [1, 3, 9]
    assert [m.mean("pesq") for m in best] == pytest.approx([2.0, 2.5, 2.6])
    nothing = replace(candidates[3], evaluation=Evaluation([], []))
    assert math.isnan(nothing.mean("pesq"))
    assert frontier([nothing, *candidates], "pesq", "evaluations") == best


def test_words() -> None:
    assert described(None) == "as it is"
    assert described(Sampling(steps=0)) == "predictive estimate"
    assert described(Sampling(steps=0, framings=2)) == "predictive estimate, framings 2"
    assert described(Sampling(steps=1)) == "1 step"
    words = described(Sampling(steps=5, grid="paper", beta=0.1))
    assert words == "5 steps, grid paper, beta 0.1"


def test_the_noisy_input_is_no_system(measured: Measurements) -> None:
    assert NOISY not in {one.setting.system for one in systems_only(measured)}
