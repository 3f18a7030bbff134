import json
import math

import numpy as np
import pytest

from speechduet.evaluation import Evaluation, Scores, UnscoredFile, bootstrap


def test_the_interval_is_that_of_the_normal_distribution_where_it_should_be(
    rng: np.random.Generator,
) -> None:
    values = rng.normal(3, 2, size=1000)
    interval = bootstrap(values)
    half_width = 1.96 * values.std() / math.sqrt(values.size)
    assert interval.n == 1000
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.2 * half_width)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.2 * half_width)
    assert bootstrap(values) == interval
    assert bootstrap(values, seed=1) != interval


def test_json_has_the_published_shape() -> None:
    evaluation = Evaluation(
        [Scores("a", 2.0, 0.5, math.inf), Scores("b", 3.0, 0.7, 10.0)], [UnscoredFile("c", "gone")]
    )
    record = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert set(record) >= {"summary", "files", "failed"}
    assert set(record["summary"]) == {"pesq", "estoi", "si_sdr", "si_sir", "si_sar"}
    assert record["summary"]["pesq"] == {"mean": 2.5, "ci95": [2.0, 3.0], "n": 2}
    assert record["summary"]["si_sdr"]["mean"] is None  # infinite
    assert record["summary"]["si_sir"] == {"mean": None, "ci95": None, "n": 0}
    assert record["files"][1]["si_sdr"] == 10.0
    assert record["failed"] == [{"file": "c", "error": "gone"}]


def test_further_metrics_are_summarised_too() -> None:
    files = [Scores("a", 2.0, 0.5, 1.0, further={"lsd": 4.0})]
    record = Evaluation([*files, files[0]._replace(file="b", further={"lsd": 6.0})], []).to_json()
    assert record["summary"]["lsd"]["mean"] == 5
    assert record["files"][1] == {
        "file": "b",
        "pesq": 2.0,
        "estoi": 0.5,
        "si_sdr": 1.0,
        "si_sir": None,
        "si_sar": None,
        "lsd": 6.0,
    }


def test_word_errors_are_also_counted_over_all_words(rng: np.random.Generator) -> None:
    """The mean over files makes much of a wrong word in a short one; the corpus does not."""
    short = Scores("a", 2.0, 0.5, 1.0, further={"wer": 1.0, "wer_words": 1, "words_clean": "no"})
    long = Scores("b", 3.0, 0.7, 2.0, further={"wer": 0.0, "wer_words": 9, "words_clean": "..."})
    record = Evaluation([short, long], []).to_json()
    assert record["summary"]["wer"] == {"mean": 0.5, "ci95": [0, 1], "n": 2}
    assert record["summary"]["wer_corpus"] == {"mean": 0.1, "ci95": [0, 1], "n": 2}
    assert list(record["summary"])[5:] == ["wer", "wer_corpus"]
    assert record["files"][0]["wer_words"] == 1
    assert record["files"][0]["words_clean"] == "no"
    rates, words = rng.uniform(size=200), rng.integers(1, 30, size=200)
    interval = bootstrap(rates, weights=words)
    assert interval.mean == pytest.approx((rates * words).sum() / words.sum())
    # The standard error of a ratio of means, by the delta method.
    error = (words * (rates - interval.mean)).std() / words.mean() / math.sqrt(200)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * error, rel=0.1)
    assert bootstrap(rates, weights=[3] * 200) == pytest.approx(bootstrap(rates))


def test_extremes_are_by_pesq() -> None:
    files = [
        Scores(name, pesq, 0.5, 1.0) for name, pesq in zip("abcde", (3, 1, 5, 2, 4), strict=True)
    ]
    record = Evaluation(files, []).to_json()
    assert record["best"] == ["c", "e", "a"]
    assert record["worst"] == ["b", "d", "a"]
    assert Evaluation([], []).to_json()["best"] == []


def test_an_evaluation_without_scores_has_an_empty_summary() -> None:
    record = Evaluation([], [UnscoredFile("a", "gone")]).to_json()
    assert record["summary"]["pesq"] == {"mean": None, "ci95": None, "n": 0}
