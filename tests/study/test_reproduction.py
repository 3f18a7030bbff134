import pytest

from speechduet.errors import SettingError
from speechduet.evaluation import Evaluation, Scores
from speechduet.study.published import SCORES
from speechduet.study.reproduction import published_sampling, rows, table


def evaluation(pesq: float, estoi: float, si_sdr: float) -> Evaluation:
    return Evaluation([Scores("a", pesq, estoi, si_sdr), Scores("b", pesq, estoi, si_sdr)], [])


@pytest.mark.parametrize(
    ("scores", "verdicts"),
    [
        ((2.97, 0.87, 18.3), [True, True, True]),
        ((2.82, 0.85, 17.3), [True, True, True]),
        ((2.81, 0.89, 19.4), [False, True, False]),
        ((3.30, 0.84, 18.3), [False, False, True]),
    ],
)
def test_a_row_passes_within_its_tolerance_to_either_side(
    scores: tuple[float, float, float], verdicts: list[bool]
) -> None:
    found = rows({"gp_unified": evaluation(*scores)})
    assert [row.metric for row in found] == ["pesq", "estoi", "si_sdr"]
    assert [row.passed for row in found] == verdicts
    cells = [row[-1] for row in table(found).rows]
    assert cells == ["pass" if passed else "fail" for passed in verdicts]


def test_the_range_of_published_reproductions_passes() -> None:
    for pesq in (2.78, 2.93):
        assert rows({"sgmse_plus": evaluation(pesq, 0.87, 17.3)})[0].passed


def test_the_noisy_input_leaves_little_room() -> None:
    assert all(row.passed for row in rows({"noisy": evaluation(1.968, 0.787, 8.45)}))
    assert not rows({"noisy": evaluation(1.93, 0.79, 8.4)})[0].passed


def test_what_has_no_scores_fails() -> None:
    found = rows({"storm": Evaluation([], [])})
    assert not any(row.passed for row in found)
    assert table(found).rows[0][3] == "–"


def test_settings_are_those_of_the_publication() -> None:
    sampling = published_sampling("gp_unified")
    assert (sampling.steps, sampling.alpha, sampling.beta) == (30, 0.2, 0.1)
    for name in SCORES:
        if name != "noisy":
            assert published_sampling(name).steps >= 30
    for name in ("predictive", "noisy", "mine"):
        with pytest.raises(SettingError, match="expected one of sgmse_plus, storm"):
            published_sampling(name)
