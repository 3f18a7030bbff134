import json
from dataclasses import replace

import pytest

from speechduet.evaluation import Evaluation, Scores, UnscoredFile
from speechduet.evaluation.report import Report, to_markdown


def of_one(report: Report) -> Report:
    """The first system alone, without a manifest."""
    return Report({"one": report.systems["one"]}, {"one": report.pairs["one"]})


def test_one_system_has_its_table_alone(report: Report) -> None:
    alone = of_one(report)
    lines = alone.terminal().splitlines()
    assert lines[0] == "| metric | mean | 95 % interval | files |"
    assert lines[2] == "| PESQ | 2.500 | 2.000 to 3.000 | 2 |"
    assert set(alone.to_json()) == {"summary", "files", "failed", "best", "worst"}


def test_several_systems_stand_side_by_side(report: Report) -> None:
    text = report.terminal().replace("\N{NO-BREAK SPACE}", " ")
    assert "| one | 2.500 [2.000, 3.000] |" in text
    assert "| two | 2.000 [1.500, 2.500] |" in text
    assert "| PESQ | one − two | +0.500 | +0.500 to +0.500 | 0.5 | 2 |" in text
    assert "| 0 dB | one | 2.000 |" in text  # a single file has no interval
    assert "| rain | two | 1.500 |" in text


def test_json_of_several_systems_keeps_the_published_shape(report: Report) -> None:
    record = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert record["summary"] == record["systems"]["one"]["summary"]
    assert record["systems"]["two"]["summary"]["pesq"]["mean"] == 2.0
    assert record["systems"]["two"]["groups"]["noise"]["rain"]["pesq"]["mean"] == 1.5
    assert record["groups"]["snr_db"]["5 dB"]["pesq"] == {"mean": 3, "ci95": [3, 3], "n": 1}
    assert record["comparison"][0] == {
        "metric": "pesq",
        "system": "one",
        "other": "two",
        "difference": {"mean": 0.5, "ci95": [0.5, 0.5], "n": 2},
        "wilcoxon_p": 0.5,
    }


def test_groups_are_the_same_for_all_systems(report: Report) -> None:
    lacking = Evaluation(report.systems["two"].files[:1], [UnscoredFile("deep/b", "gone")])
    incomplete = replace(report, systems={**report.systems, "two": lacking})
    assert incomplete.groups() == report.groups()
    assert "| 5 dB | one |" in incomplete.terminal()
    assert "| 5 dB | two |" not in incomplete.terminal()
    assert incomplete.failures() == ["two: deep/b: gone"]


def test_the_noisy_input_is_a_row_of_its_own(report: Report) -> None:
    noisy = Evaluation([Scores("a", 1.0, 0.5, 5.0)], [UnscoredFile("deep/b", "gone")])
    one = replace(of_one(report), noisy=noisy)
    text = to_markdown(one).replace("\N{NO-BREAK SPACE}", " ")
    summary = "| one | 2.500 [2.000, 3.000] | 0.700 [0.600, 0.800] | 11.00 [10.00, 12.00] |"
    assert summary in text
    # The input has no SI-SIR and SI-SAR.
    assert "\n| noisy input | 1.000 | 0.500 | 5.00 | – | – | 1 |\n" in text
    assert "| PESQ | one − noisy input | +1.000 | +1.000 to +1.000 | 1 | 1 |" in text
    assert "SI-SIR (dB) | one − noisy input" not in text
    assert one.failures() == ["noisy input: deep/b: gone"]
    assert summary in one.terminal().replace("\N{NO-BREAK SPACE}", " ")
    assert "| PESQ | one − noisy input | +1.000 |" in one.terminal()
    assert one.to_json() == of_one(report).to_json()
    both = to_markdown(replace(report, noisy=noisy))
    assert "| two − noisy input |" in both and "| 0 dB | noisy input | 1.000 |" in both


def test_markdown_has_every_file_and_failure(report: Report) -> None:
    one = report.systems["one"]
    failing = Evaluation([*one.files, Scores("a|b", 1.0, 0.1, 1.0)], [UnscoredFile("c", "gone")])
    text = to_markdown(replace(of_one(report), systems={"one": failing}))
    assert text.startswith("# Evaluation\n\n## Summary\n")
    assert "| deep/b | 3.000 | 0.800 | 12.000 | 15.000 | 18.000 |" in text
    assert r"| a\|b | 1.000 | 0.100 | 1.000 | – | – |" in text
    assert text.endswith("## Failed, and not in the means\n\n- c: gone\n")


@pytest.mark.parametrize(
    ("count", "labels"),
    [
        (0, {}),
        (1, {"Best": 9}),
        (2, {"Best": 9, "Worst": 8}),
        (3, {"Best": 9, "Median": 8, "Worst": 7}),
        (9, {"Best": 9, "Median": 5, "Worst": 1}),
    ],
)
def test_examples_are_extremes_and_the_middle(count: int, labels: dict[str, float]) -> None:
    files = [Scores(str(9 - n), 9.0 - n, 0.5, 1.0) for n in range(count)]
    chosen = Report({"x": Evaluation(files, [])}, {"x": {}}).examples()
    assert {label: scores.pesq for label, scores in chosen.items()} == labels
    assert list(chosen) == list(labels)
