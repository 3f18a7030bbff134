import itertools
import math

import numpy as np
import pytest

from speechduet.evaluation import Evaluation, Scores, UnscoredFile, bootstrap, compare, signed_rank


def system(*scores: tuple[str, float]) -> Evaluation:
    return Evaluation([Scores(name, pesq, 0.5, 10 * pesq) for name, pesq in scores], [])


def by_enumeration(differences: list[float]) -> float:
    """Exact p of the signed-rank test: all signs are equally probable."""
    ranks = np.argsort(np.argsort(np.abs(differences))) + 1
    middle = ranks.sum() / 2
    found = abs(ranks[np.array(differences) > 0].sum() - middle)
    extreme = [
        abs(sum(itertools.compress(ranks, signs)) - middle) >= found
        for signs in itertools.product((0, 1), repeat=len(ranks))
    ]
    return float(np.mean(extreme))


def test_p_is_that_of_all_signs_counted(rng: np.random.Generator) -> None:
    for shift in (0.0, 0.5, 2.0):
        differences = list(rng.normal(shift, 1, 9))
        assert signed_rank(differences) == pytest.approx(by_enumeration(differences))


def test_files_of_both_are_paired_by_name() -> None:
    better = system(("a", 3.0), ("b", 2.0), ("c", 2.5))
    worse = system(("b", 1.5), ("x", 4.0), ("a", 2.0))
    pesq, estoi, si_sdr = compare({"better": better, "worse": worse})
    assert (pesq.metric, pesq.system, pesq.other) == ("pesq", "better", "worse")
    assert pesq.difference == bootstrap([1.0, 0.5])
    assert pesq.p == 0.5
    assert estoi.difference.mean == 0
    assert estoi.p == 1
    assert si_sdr.difference.mean == pytest.approx(7.5)


def test_every_two_systems_are_compared() -> None:
    systems = {name: system(("a", pesq)) for name, pesq in zip("xyz", (1, 2, 3), strict=True)}
    compared = [(c.system, c.other) for c in compare(systems) if c.metric == "pesq"]
    assert compared == [("x", "y"), ("x", "z"), ("y", "z")]


def test_a_real_difference_is_found_in_noisy_scores(rng: np.random.Generator) -> None:
    quality = rng.normal(2, 0.5, 60)  # of the files, far more different than the systems
    systems = {
        name: system(*((str(n), q) for n, q in enumerate(quality + gain + rng.normal(0, 0.05, 60))))
        for name, gain in (("a", 0.1), ("b", 0.0))
    }
    pesq = compare(systems)[0]
    assert 0.05 < pesq.difference.low < 0.1 < pesq.difference.high < 0.15
    assert pesq.p < 1e-6


def test_infinite_scores_are_compared() -> None:
    perfect = Evaluation([Scores("a", 4.6, 1.0, math.inf), Scores("b", 4.6, 1.0, math.inf)], [])
    other = Evaluation([Scores("a", 4.6, 1.0, math.inf), Scores("b", 4.0, 0.9, 20.0)], [])
    si_sdr = compare({"perfect": perfect, "other": other})[2]
    assert si_sdr.difference.mean == math.inf
    assert si_sdr.to_json()["difference"]["mean"] is None
    assert si_sdr.p == 1  # of one difference


def test_systems_without_a_file_in_common_are_not_compared() -> None:
    assert compare({"a": system(("x", 1)), "b": system(("y", 1))}) == []
    assert compare({"a": system(("x", 1)), "b": Evaluation([], [UnscoredFile("x", "gone")])}) == []
