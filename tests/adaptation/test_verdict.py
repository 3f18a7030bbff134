"""A verdict goes by what certainly changed."""

import pytest

from speechduet.adaptation.verdict import Verdict
from speechduet.evaluation import PairedDifference
from speechduet.evaluation.summary import Interval


def changed(metric: str, low: float, high: float) -> PairedDifference:
    interval = Interval((low + high) / 2, low, high, 40)
    return PairedDifference(metric, "adapted", "before", interval, 0.01)


SAME = changed("pesq", -0.01, 0.01)
BETTER = changed("si_sdr", 0.2, 0.8)


def of(own: PairedDifference, other: PairedDifference = SAME, quiet=SAME) -> Verdict:
    return Verdict({"own": [own], "other": [other], "quiet": [quiet]})


def test_a_certain_gain_without_loss_is_accepted() -> None:
    assert of(BETTER).accepted
    assert of(BETTER, other=changed("pesq", -0.1, -0.01)).accepted  # negligible, perhaps


@pytest.mark.parametrize("own", [SAME, changed("si_sdr", -0.1, 3.0), changed("si_sir", 1.0, 2.0)])
def test_without_a_certain_gain_it_is_refused(own: PairedDifference) -> None:
    found = of(own)
    assert not found.gained and not found.losses and not found.accepted


@pytest.mark.parametrize("where", ["own", "other", "quiet"])
@pytest.mark.parametrize(
    "loss",
    [changed("pesq", -0.1, -0.03), changed("estoi", -0.1, -0.004), changed("si_sdr", -2, -0.2)],
)
def test_a_certain_loss_anywhere_is_refused(where: str, loss: PairedDifference) -> None:
    compared = {"own": [BETTER], "other": [SAME], "quiet": [SAME]}
    compared[where] = [BETTER, loss]
    found = Verdict(compared)
    assert found.gained and not found.accepted
    (said,) = found.losses
    assert said.startswith(f"{loss.metric} in {where} noise by ")
