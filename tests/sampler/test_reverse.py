"""The whole reverse process, on a system that knows the answer and counts its evaluations."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from oracles import OUVE, Noise, knowing, oracle, run, spectrogram
from speechduet.errors import SettingError
from speechduet.network.cost import evaluations
from speechduet.process import FlowMatching, Process, SchroedingerBridge
from speechduet.recipe import RECIPES, Recipe
from speechduet.sampler import Sampling, reverse, time_grid
from speechduet.sampler.transition import euler_maruyama, langevin
from stand_ins import Ruled

every_process = pytest.mark.parametrize(
    "process", [OUVE, SchroedingerBridge(), FlowMatching()], ids=str
)


@every_process
@pytest.mark.parametrize("predictor", ["deterministic", "heun", "ancestral"])
@pytest.mark.parametrize("steps", [1, 2, 7])
@pytest.mark.parametrize("corrector_steps", [0, 1])
def test_a_system_that_knows_the_answer_gets_there(
    process: Process, predictor: str, steps: int, corrector_steps: int
) -> None:
    x_0, y = spectrogram(), spectrogram()
    settings = Sampling(steps=steps, predictor=predictor, corrector_steps=corrector_steps)  # type: ignore[arg-type]
    *_, last = run(oracle(x_0), settings, y, process)
    torch.testing.assert_close(last.result, x_0)


def test_the_exact_grid_gets_nearer_with_fewer_steps() -> None:
    """The published collapse at few steps is the paper grid's: see time_grid."""
    x_0, y = spectrogram(), spectrogram()

    def error(steps: int, grid: str) -> float:
        settings = Sampling(steps=steps, grid=grid)  # type: ignore[arg-type]
        *_, last = run(oracle(x_0), settings, y)
        return (last.result - x_0).abs().mean().item()

    for steps in (5, 10, 20):
        assert error(steps, "exact") < 0.5 * error(steps, "paper")
    assert error(30, "exact") < 0.05


def test_time_grids() -> None:
    exact = time_grid(OUVE, Sampling(steps=3))
    paper = time_grid(OUVE, Sampling(steps=3, grid="paper"))
    assert [t for t, _ in exact] == pytest.approx([1.0, 0.515, 0.03])
    assert [size for _, size in exact] == pytest.approx([0.485, 0.485, 0.03])
    assert [t for t, _ in paper] == pytest.approx([1.0, 0.515, 0.03])
    assert [size for _, size in paper] == pytest.approx([1 / 3] * 3)


def test_time_grids_of_one_step_and_of_a_late_start() -> None:
    assert time_grid(OUVE, Sampling(steps=1)) == [(1.0, 1.0)]
    late = time_grid(OUVE, Sampling(steps=2, start=0.4))
    assert late == [pytest.approx((0.4, 0.37)), pytest.approx((0.03, 0.03))]
    assert sum(size for _, size in time_grid(OUVE, Sampling(start=0.3))) == pytest.approx(0.3)


def test_draws_come_in_the_order_prior_corrector_predictor() -> None:
    x_0, y = spectrogram(), spectrogram()
    settings, noise = Sampling(steps=2), Noise()
    *_, last = reverse(oracle(x_0), OUVE, y, settings, noise)
    # The last predictor's noise is never drawn: its mean is the result.
    assert len(noise.drawn) == 4
    prior, corrector, predictor, corrector_2 = noise.drawn
    (t_1, size_1), (t_2, size_2) = (
        (torch.tensor([t], dtype=torch.float64), torch.tensor([size], dtype=torch.float64))
        for t, size in time_grid(OUVE, settings)
    )
    x = y + OUVE.kernel(t_1).std * prior

    def knows(x_t: Tensor, t: Tensor) -> Tensor:
        return x_0

    x = langevin(OUVE, knows, x, y, t_1, 0.5).sample(corrector)
    x = euler_maruyama(OUVE, knows, x, y, t_1, size_1).sample(predictor)
    x = langevin(OUVE, knows, x, y, t_2, 0.5).sample(corrector_2)
    expected = euler_maruyama(OUVE, knows, x, y, t_2, size_2).mean
    torch.testing.assert_close(last.result, expected)
    torch.testing.assert_close(last.state, expected)


@pytest.mark.parametrize("corrector_steps", [0, 1])
@pytest.mark.parametrize("steps", [1, 4])
def test_evaluations_of_a_second_order_predictor(steps: int, corrector_steps: int) -> None:
    settings = Sampling(
        steps=steps, predictor="heun", corrector_steps=corrector_steps, alpha=0.2, beta=0.1
    )
    system = oracle(spectrogram(), spectrogram())
    run(system, settings, spectrogram())
    assert len(system.asked) == settings.generative_evaluations
    # The predictive decoder shares the evaluations at the first and the last state.
    assert sum(predictive for _, predictive in system.asked) == settings.predictions


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_decoders_are_evaluated_only_where_they_are_used(recipe: Recipe) -> None:
    system = oracle(spectrogram(), spectrogram())
    run(system, recipe.sampling, spectrogram(), recipe.process)
    assert len(system.asked) == evaluations(recipe.layout, recipe.sampling)
    predictive = [index for index, (_, predictive) in enumerate(system.asked) if predictive]
    expected = {"predictive": [0], "gp_unified": [1, 59]}
    # GP-Unified: at the predictor's evaluation (the second of a step) of the first and last step.
    assert predictive == expected.get(recipe.name, [])


def test_no_weight_below_1_no_predictive_evaluation() -> None:
    system = oracle(spectrogram(), None)
    run(system, Sampling(steps=3), spectrogram())
    assert system.asked == [(True, False)] * 6


def test_first_fusion_blends_the_state_after_the_first_step() -> None:
    x_0, x_pre, y = spectrogram(), spectrogram(), spectrogram()
    plain = run(oracle(x_0, x_pre), Sampling(steps=3), y)
    fused = run(oracle(x_0, x_pre), Sampling(steps=3, alpha=0.3), y)
    torch.testing.assert_close(fused[0].state, 0.3 * plain[0].state + 0.7 * x_pre)
    torch.testing.assert_close(fused[0].result, 0.3 * plain[0].result + 0.7 * x_pre)
    assert fused[0].predictive is x_pre and fused[1].predictive is None
    assert not torch.allclose(fused[-1].result, plain[-1].result)


def test_final_fusion_blends_the_result() -> None:
    x_0, x_pre, y = spectrogram(), spectrogram(), spectrogram()
    plain = run(oracle(x_0, x_pre), Sampling(steps=3), y)
    fused = run(oracle(x_0, x_pre), Sampling(steps=3, beta=0.1), y)
    torch.testing.assert_close(fused[1], plain[1])
    torch.testing.assert_close(fused[-1].result, 0.1 * plain[-1].result + 0.9 * x_pre)


def test_with_one_step_final_fusion_alone_applies() -> None:
    x_0, x_pre, y = spectrogram(), spectrogram(), spectrogram()
    settings = Sampling(steps=1, alpha=0.2, predictor="deterministic", beta=0.6)
    (only,) = run(oracle(x_0, x_pre), settings, y)
    torch.testing.assert_close(only.result, 0.6 * x_0 + 0.4 * x_pre)


def test_no_steps_are_the_predictive_estimate_in_one_evaluation() -> None:
    x_pre = spectrogram()
    system = oracle(None, x_pre)
    for process in (OUVE, None):
        (only,) = run(system, Sampling(steps=0), spectrogram(), process)
        assert only.result is x_pre and only.generative is None
    assert system.asked == [(False, True)] * 2 and system.times == [1.0, 1.0]


def test_a_start_at_the_prediction_is_renoised() -> None:
    x_0, x_pre, y = spectrogram(), spectrogram(), spectrogram()
    system, noise = oracle(x_0, x_pre), Noise()
    settings = Sampling(
        steps=2,
        start=0.3,
        start_from="predictive",
        predictor="deterministic",
        corrector_steps=0,
    )
    first, last = reverse(system, OUVE, y, settings, noise)
    assert system.asked == [(False, True), (True, False), (True, False)]
    assert system.times == pytest.approx([1.0, 0.3, 0.03])
    t, then = (torch.tensor([v], dtype=torch.float64) for v in (0.3, 0.03))
    state = OUVE.perturb(x_pre, y, t, noise.drawn[1])
    z = (state - OUVE.mean(x_0, y, t)) / OUVE.kernel(t).std
    torch.testing.assert_close(first.state, OUVE.perturb(x_0, y, then, z), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(last.result, x_0)


def drifting() -> Ruled:
    """An oracle whose predictive estimate is another one each time."""
    return Ruled(knowing(spectrogram()), lambda x_t, y: spectrogram())


def test_one_prediction_serves_the_start_and_every_fusion() -> None:
    y, noise = spectrogram(), Noise()
    settings = Sampling(
        steps=3,
        start=0.3,
        start_from="predictive",
        alpha=0.2,
        beta=0.1,
        corrector_steps=0,
        predict_once=True,
    )
    system = drifting()
    first, middle, last = reverse(system, OUVE, y, settings, noise)
    assert system.asked == [(False, True), (True, False), (True, False), (True, False)]
    assert first.predictive is not None and first.predictive is last.predictive
    assert middle.predictive is None
    system = drifting()
    first, _, last = reverse(system, OUVE, y, replace(settings, predict_once=False), Noise())
    assert first.predictive is not last.predictive
    assert system.asked == [(False, True), (True, True), (True, False), (True, True)]
    # Without a start at the prediction the first fusion's estimate is the one that is kept.
    system = drifting()
    list(reverse(system, OUVE, y, replace(settings, start_from="noisy"), Noise()))
    assert system.asked == [(True, True), (True, False), (True, False)]


def test_a_late_start_at_the_noisy_speech() -> None:
    y, noise = spectrogram(), Noise()
    next(reverse(oracle(y), OUVE, y, Sampling(steps=1, start=0.5, corrector_steps=0), noise))
    assert len(noise.drawn) == 1


def test_the_anchor_is_asked_for_once() -> None:
    system = oracle(spectrogram())
    run(system, Sampling(steps=4), spectrogram())
    assert len(system.batches) == 1


@pytest.mark.parametrize(
    ("decoder", "settings", "process", "message"),
    [
        ("generative", Sampling(steps=0), OUVE, "no predictive estimate"),
        ("generative", Sampling(steps=2, alpha=0.5), OUVE, "no predictive estimate"),
        ("generative", Sampling(steps=2, start_from="predictive"), OUVE, "no predictive estimate"),
        ("predictive", Sampling(steps=2), OUVE, "no generative estimate"),
        ("predictive", Sampling(steps=2, corrector_steps=0), OUVE, "no generative estimate"),
        ("predictive", Sampling(steps=2), None, "2 reverse steps asked of a purely predictive"),
    ],
)
def test_what_a_system_cannot_do(
    decoder: str, settings: Sampling, process: Process | None, message: str
) -> None:
    system = oracle(**{"generative": None, "predictive": None, decoder: spectrogram()})
    with pytest.raises(SettingError, match=message):
        run(system, settings, spectrogram(), process)


@every_process
def test_euler_maruyama_gets_near_the_answer(process: Process) -> None:
    x_0, y = spectrogram(), spectrogram()
    settings = Sampling(steps=200, corrector_steps=0, start=0.98)
    *_, last = run(oracle(x_0), settings, y, process)
    assert (last.result - x_0).abs().max() < 0.1


@pytest.mark.parametrize("process", [SchroedingerBridge(), FlowMatching()])
def test_euler_maruyama_is_refused_where_the_drift_is_infinite(process: Process) -> None:
    with pytest.raises(SettingError, match="infinite drift.*ancestral"):
        run(oracle(spectrogram()), Sampling(steps=5), spectrogram(), process)
