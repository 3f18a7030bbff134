from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from speechduet.evaluation import Evaluation, UnscoredFile
from speechduet.study import published
from speechduet.study.figures import draw
from speechduet.study.measuring import Measured
from speechduet.study.settings import NOISY, Ablation, Setting

pytest.importorskip("matplotlib", reason="needs matplotlib for the figures")

NAMES = {"steps", "evaluations", "seconds", "predictive", "beta"}
NAMES |= {"frontier_gmac", "frontier_seconds"}


@pytest.fixture
def measured(ablation: Ablation, made_up: Callable[..., Measured]) -> dict[Setting, Measured]:
    return {
        setting: made_up(setting, 2 + index / 10, evaluations=1, gmac_per_s=1, seconds_per_s=0.1)
        for index, setting in enumerate(ablation.settings())
    }


def test_every_figure_is_a_picture(
    ablation: Ablation, measured: dict[Setting, Measured], tmp_path: Path
) -> None:
    made = draw(ablation, measured, tmp_path, "valid")
    assert {path.name for path in made} == {f"valid_{name}.png" for name in NAMES}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in made)


def test_titles_say_what_the_paper_shows_too(
    ablation: Ablation,
    measured: dict[Setting, Measured],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from matplotlib.figure import Figure

    titles: dict[str, str] = {}

    def watch(figure: Figure, path: Path, **options: object) -> None:
        titles[path.stem] = figure.get_suptitle().partition("\n")[0]

    monkeypatch.setattr(Figure, "savefig", watch)
    draw(ablation, measured, tmp_path, "valid")
    paper = "arXiv 2305.10734)"
    assert titles == {
        "valid_steps": f"Quality against number of steps (as in figures of {paper}",
        "valid_evaluations": "Quality against network evaluations (NFE)",
        "valid_seconds": "Quality against processor seconds per second of audio",
        "valid_predictive": f"PESQ of the predictive output, by steps (as in {paper}",
        "valid_beta": f"PESQ against the weight of the final fusion (as in {paper}",
        "valid_frontier_gmac": "What quality costs: GMAC per second of audio",
        "valid_frontier_seconds": "What quality costs: processor seconds per second of audio",
    }


def test_without_lines_there_is_still_the_frontier(
    ablation: Ablation, measured: dict[Setting, Measured], tmp_path: Path
) -> None:
    settings = [Setting(NOISY, None), *list(measured)[1:2]]
    made = draw(ablation, {setting: measured[setting] for setting in settings}, tmp_path, "test")
    assert {path.stem for path in made} == {"test_frontier_gmac", "test_frontier_seconds"}


def test_nothing_scored_gives_no_frontier(
    ablation: Ablation, measured: dict[Setting, Measured], tmp_path: Path
) -> None:
    failed = Evaluation([], [UnscoredFile("a", "broken")])
    nothing = {s: replace(one, evaluation=failed) for s, one in measured.items()}
    made = draw(ablation, nothing, tmp_path, "valid")
    assert not {path for path in made if "frontier" in path.name}


def test_published_curves_are_drawn_for_their_data_only(
    ablation: Ablation,
    measured: dict[Setting, Measured],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from matplotlib.axes import Axes

    curves = {tuple(curve) for metric in published.BY_STEPS.values() for curve in metric.values()}
    drawn: list[tuple[float, ...]] = []
    plot = Axes.plot

    named: set[object] = set()

    def watch(axes: Axes, x: list[float], y: list[float], *styles: str, **options: object) -> None:
        drawn.append(tuple(y))
        named.add(options.get("label"))
        plot(axes, x, y, *styles, **options)

    monkeypatch.setattr(Axes, "plot", watch)
    for dataset, name, there in (
        ("voicebank_demand", "test", True),
        ("voicebank_demand", "valid", False),
        ("other", "test", False),
    ):
        drawn.clear()
        draw(replace(ablation, dataset=dataset), measured, tmp_path, name)
        assert (curves <= set(drawn)) == there
        assert (published.PREDICTIVE in drawn) == there
    # No system here has one of these names: its own colour and entry for each.
    assert {f"{system}, published" for system in published.BY_STEPS["pesq"]} <= named
