from pathlib import Path

import pytest

from speechduet.errors import SettingError
from speechduet.sampler import Sampling
from speechduet.study.settings import NOISY, Ablation, Setting, Sweep, canonical, read_ablation


def test_a_sweep_is_every_combination() -> None:
    sweep = Sweep(system="x", steps=(1, 5), grid=("exact", "paper"), beta=(0.1, 1.0))
    assert len(set(sweep.samplings())) == 8
    assert Sampling(steps=5, grid="paper", beta=0.1) in sweep.samplings()


def test_the_papers_grid_has_one_predictor() -> None:
    predictors = ("ancestral", "euler_maruyama")
    sweep = Sweep(system="x", steps=(5,), grid=("exact", "paper"), predictor=predictors)
    assert {(s.grid, s.predictor) for s in sweep.samplings()} == {
        ("exact", "ancestral"),
        ("exact", "euler_maruyama"),
        ("paper", "euler_maruyama"),
    }


def test_what_has_no_effect_makes_no_other_setting() -> None:
    assert canonical(Sampling(steps=0, beta=0.3)) == Sampling(steps=0)
    assert canonical(Sampling(steps=1, alpha=0.2)) == Sampling(steps=1)
    assert canonical(Sampling(steps=2, alpha=0.2)).alpha == 0.2
    without = Sampling(steps=2, corrector_steps=0, corrector_snr=0.1)
    assert canonical(without) == Sampling(steps=2, corrector_steps=0)


def test_settings_are_listed_once(ablation: Ablation) -> None:
    settings = ablation.settings()
    assert settings[0] == Setting(NOISY, None)
    # 1 + 4 + 6, of which N = 1 without fusion is in two sweeps.
    assert len(settings) == len(set(settings)) == 1 + 1 + 4 + 6 - 1
    assert ablation.settings(tested=True) == [Setting(NOISY, None)]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("sweep={}", "did you mean 'sweeps'?"),
        ("sweeps.plain.step=[1]", "did you mean 'steps'?"),
        ("sweeps.plain.system=tony", "sweeps.plain.system is 'tony'; expected one of tiny"),
        ("sweeps.plain.grid=[exakt]", "sweeps.plain.grid is 'exakt'; expected one of exact, paper"),
        ("sweeps.plain.steps=5", "sweeps.plain.steps is 5; expected a list"),
        ("sweeps.plain.beta=[2]", "sweeps.plain.beta is 2; expected 1 or less"),
        ("sweeps.plain.steps=[]", "sweeps.plain.steps is []; expected 1 or more of them"),
        ("picks.best.by=mos", "picks.best.by is 'mos'"),
        (
            "sweeps.plain={system: tiny, grid: [paper], predictor: [ancestral]}",
            "sweeps.plain: no combination has a meaning",
        ),
        ("test=", "no test set to report on"),
        ("seeds=[-1]", "seeds is -1; expected 0 or more"),
        ("systems={}", "systems is {}; expected 1 or more of them"),
        ("systems.noisy=x", "a system is named 'noisy'"),
        ("valid.clear=x", "did you mean 'clean'?"),
        ("dataset=voicebank", "expected one of other, voicebank_demand"),
    ],
)
def test_errors_are_one_line_and_usage_errors(config: Path, override: str, message: str) -> None:
    with pytest.raises(SettingError) as error:
        read_ablation(config, [override])
    assert message in str(error.value) and "\n" not in str(error.value)


def test_recipes_in_the_repository_are_whole(root: Path) -> None:
    for path in (root / "recipes/ablation").glob("*.yaml"):
        assert read_ablation(path).settings()
