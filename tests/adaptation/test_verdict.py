"""A verdict goes by what certainly changed."""

from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import pytest

from speechduet.adaptation.verdict import PLACES, Outcome, Verdict, check_scored, judge, verdict
from speechduet.errors import AudioError
from speechduet.evaluation import Evaluation, PairedDifference, UnscoredFile
from speechduet.evaluation.scoring import Scores
from speechduet.evaluation.summary import Interval


def changed(metric: str, low: float, high: float) -> PairedDifference:
    interval = Interval((low + high) / 2, low, high, 40)
    return PairedDifference(metric, "adapted", "before", interval, 0.01)


SAME = changed("pesq", -0.01, 0.01)
BETTER = changed("si_sdr", 0.2, 0.8)
SIR = changed("si_sir", 1.0, 2.0)


def of(own: PairedDifference, other: PairedDifference = SAME, quiet=SAME) -> Verdict:
    return Verdict({"own": [own], "other": [other], "quiet": [quiet]})


def test_a_certain_gain_without_loss_is_accepted() -> None:
    assert of(BETTER).accepted
    assert of(BETTER, other=changed("pesq", -0.1, -0.01)).accepted  # negligible, perhaps


@pytest.mark.parametrize(
    "own",
    [
        SAME,
        changed("si_sdr", -0.1, 3.0),  # not certain
        changed("si_sir", 1.0, 2.0),  # of a metric that does not count
        changed("estoi", 0.001, 0.003),  # too small to matter
    ],
)
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
    mean, low, high = (abs(number) for number in loss.difference[:3])
    unit = " dB" if loss.metric == "si_sdr" else ""
    assert said.endswith(f"{PLACES[where]} fell by {mean:.3f}{unit} ({high:.3f} to {low:.3f})")
    assert found.reason == said


@pytest.mark.parametrize("metric", ["pesq", "estoi", "si_sdr"])
def test_in_the_own_noise_even_a_small_certain_loss_is_refused(metric: str) -> None:
    small = changed(metric, -0.002, -0.001)
    assert of(BETTER, other=small, quiet=small).accepted
    assert not Verdict({"own": [BETTER, small], "other": [SAME], "quiet": [SAME]}).accepted


def test_what_decided_is_said_in_a_sentence() -> None:
    pesq, estoi = changed("pesq", 0.03, 0.05), changed("estoi", -0.001, 0.002)
    found = Verdict({"own": [pesq, estoi, SIR, BETTER], "other": [SAME], "quiet": [SAME]})
    assert found.reason == (
        "PESQ in your noise rose by 0.040 (0.030 to 0.050); SI-SDR in your noise rose by 0.500 dB "
        "(0.200 to 0.800); ESTOI did not change noticeably; nothing was noticeably lost elsewhere"
    )
    assert of(BETTER).reason.startswith("SI-SDR in your noise rose by 0.500 dB (0.200 to 0.800); n")
    assert of(SIR).reason == "no score in your noise certainly and noticeably rose"
    lost = of(BETTER, quiet=changed("si_sdr", -2, -1)).reason
    assert lost == "SI-SDR of speech at 40 dB fell by 1.500 dB (1.000 to 2.000)"


def judged(count: int, better: float = 0.0) -> Evaluation:
    """Of four mixtures, these have scores."""
    files = [Scores(str(index), 2 + better, 0.8, 10 + better) for index in range(count)]
    silent = [UnscoredFile(str(index), "estimate is silent") for index in range(count, 4)]
    return Evaluation(files, silent)


def test_what_can_no_longer_be_scored_is_a_loss() -> None:
    before = {name: judged(4) for name in PLACES}
    better = verdict(before, {name: judged(4, 1.0) for name in PLACES})
    assert better.accepted
    assert [row[:2] for row in better.means()["own"].rows] == [
        ("before", "2.000 [2.000,\u00a02.000]"),
        ("adapted", "3.000 [3.000,\u00a03.000]"),
    ]
    found = verdict(before, {**{name: judged(4, 1.0) for name in PLACES}, "other": judged(1, 1.0)})
    assert found.gained and not found.accepted
    assert found.losses == [
        "3 mixtures in other noise can no longer be scored (estimate is silent)"
    ]


def test_each_set_gets_its_own_scores(monkeypatch: pytest.MonkeyPatch) -> None:
    seen, said = [], []

    def score(_: object, examples: str, mode: str, index: int) -> Scores:
        return Scores(f"{examples} {index} {mode}", 2, 0.8, 10)

    def track(items: Iterable[Outcome], label: str, unit: str, total: int) -> Iterator[Outcome]:
        seen.append((label, unit, total))
        yield from items

    monkeypatch.setattr("speechduet.adaptation.verdict._scored", score)
    monkeypatch.setattr("speechduet.adaptation.verdict.PAIRS", 2)
    found = judge(
        SimpleNamespace(name="fan"), {"own": "a", "quiet": "b"}, "fast", said.append, track
    )
    assert {name: [one.file for one in judged.files] for name, judged in found.items()} == {
        "own": ["a 0 fast", "a 1 fast"],
        "quiet": ["b 0 fast", "b 1 fast"],
    }
    assert seen == [("Scoring", "mixtures", 4)]
    assert said == ["scoring fan on 2 held-out mixtures each: in your noise, of speech at 40 dB"]


def test_too_few_scores_are_no_base_for_a_verdict() -> None:
    check_scored({name: judged(2) for name in PLACES})
    with pytest.raises(AudioError, match="only 1 of 4 held-out mixtures in your noise .* silent"):
        check_scored({"own": judged(1)})
