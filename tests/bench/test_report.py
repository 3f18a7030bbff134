"""The numbers that follow from what was measured, in tables, records and their history."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import pytest

from speechduet.bench.machine import Peak
from speechduet.bench.memory import Memory
from speechduet.bench.report import Performance, Record, Spread, times_as_fast
from speechduet.bench.request import Request


def measured(seconds: tuple[float, ...], difference: float, memory: Memory | None) -> Performance:
    shares = {"convolution": 0.9, "copy": 0.097, "activation": 0.003}
    peak = Peak(200.0, 150.0)
    return Performance(100_000_000_000, 4.0, 2, seconds, difference, shares, 1.0, peak, memory)


@pytest.fixture
def report(clone: Path) -> Record:
    return Record(
        Request(sgmse=clone),
        "1.0",
        "abc1234",
        "2026-01-02",
        {"processor": "A processor", "threads": 2, "torch": "2"},
        {
            "speechduet, float32": measured((2.0, 1.0, 4.0), 0.0, Memory(10**8, 10**9)),
            "SGMSE+ code, float32": measured((6.0, 2.0, 8.0), 1e-6, None),
        },
    )


def test_what_follows_from_the_measurements(report: Record) -> None:
    record = json.loads(json.dumps(report.to_json()))
    ours, theirs = record["contestants"].values()
    assert ours["seconds_median"] == 2.0 and theirs["seconds_median"] == 6.0
    assert ours["gflops"] == 100.0 and ours["share_of_convolution_peak"] == 0.5
    assert ours["share_of_floor"] == 0.5 and theirs["share_of_floor"] == pytest.approx(1 / 6)
    assert ours["examples_per_s"] == 1.0 and ours["real_time_factor"] == 0.5
    assert ours["memory"] == {"ready": 10**8, "peak": 10**9} and theirs["memory"] is None
    # Of the rounds 3, 2 and 2; not the ratio of the medians, which is 3.
    ratio = record["times_as_fast_as"]["SGMSE+ code, float32"]
    assert ratio == {"median": 2.0, "least": 2.0, "greatest": 3.0}
    assert record["request"]["sgmse"] == "clone" and record["commit"] == "abc1234"


def test_ratios_are_of_rounds_so_that_a_slow_machine_cancels_out() -> None:
    assert times_as_fast([1.0, 10.0, 1.0], [2.0, 20.0, 4.0]) == Spread(2.0, 2.0, 4.0)


def test_tables(report: Record) -> None:
    table = report.to_markdown()
    assert "One evaluation of sgmse_plus: 4.00 s of audio in 2 examples." in table
    row = "| 2 (1–4) | 0.5 | 100 | 100 | 50% of 200 | 50% (1 s) | 1000 |"
    assert f"| speechduet, float32 {row}" in table
    assert "| SGMSE+ code, float32 | 2.00 (2.00–3.00) | 1.0e-06 |" in table
    assert "| copy | 9.7% | 9.7% |" in table and "activation" not in table


def test_the_history_has_a_line_for_each_comparison(report: Record, root: Path) -> None:
    script = importlib.util.spec_from_file_location("history", root / "benchmarks/history.py")
    assert script is not None and script.loader is not None
    history = importlib.util.module_from_spec(script)
    script.loader.exec_module(history)
    (line,) = history.lines(json.loads(json.dumps(report.to_json())))
    assert line.startswith("| 2026-01-02 | abc1234 | A processor, 2 threads | evaluation of sgmse")
    assert line.endswith("| SGMSE+ code, float32 | 2.00 (2.00–3.00) |")
    for path in sorted((root / "benchmarks" / "history").glob("*.json")):
        assert list(history.lines(json.loads(path.read_text(encoding="utf-8"))))


def test_a_backend_that_shows_no_operations(report: Record) -> None:
    known = report.candidates["speechduet, float32"]
    unknown = replace(known, shares={}, floor_s=None, peak=None)
    candidates = {"speechduet, openvino, int8": unknown, "speechduet, float32": known}
    other = replace(report, candidates=candidates)
    table = other.to_markdown()
    assert "| speechduet, openvino, int8 | 2 (1–4) | 0.5 | 100 | 100 | – | – | 1000 |" in table
    assert "| share of operations' time | speechduet, float32 |\n" in table
    record = json.loads(json.dumps(other.to_json()))["contestants"]["speechduet, openvino, int8"]
    assert record["peak"] is None and record["share_of_floor"] is None
