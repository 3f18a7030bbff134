"""All measurements together, with the memory in processes of their own."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from speechduet.bench.machine import description, peak
from speechduet.bench.measure import (
    alternate,
    commit,
    measure,
    relative_difference,
    with_own_memory,
)
from speechduet.bench.memory import memory, resident
from speechduet.bench.request import PLAIN, Candidate, Request
from speechduet.errors import SettingError, SpeechduetError


def test_everything_against_a_clone(sgmse_model: str, clone: Path) -> None:
    stages: list[str] = []
    request = Request(model=sgmse_model, sgmse=clone, seconds=0.1, threads=1)
    report = measure(request, 3, stages.append)
    record = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert record["request"]["work"] == "evaluation" and record["request"]["sgmse"] == "clone"
    ours, theirs = record["contestants"].values()
    assert ours["macs"] == theirs["macs"] > 0
    assert ours["difference"] == 0 and theirs["difference"] < 1e-5
    assert len(ours["seconds"]) == 3 and ours["examples"] == 1
    assert sum(ours["shares"].values()) == pytest.approx(1)
    assert {"convolution", "resampling", "attention", "normalisation"} <= set(ours["shares"])
    assert ours["floor_s"] > 0 and ours["peak"] == theirs["peak"]
    assert ours["memory"]["peak"] >= ours["memory"]["ready"] > 1e7
    ratio = record["times_as_fast_as"]["SGMSE+ code, float32"]
    assert ratio["least"] <= ratio["median"] <= ratio["greatest"]
    assert any("memory: SGMSE+ code" in line for line in stages)
    table = report.to_markdown()
    assert "| speechduet, float32, against |" in table and "| convolution |" in table
    assert table.startswith("One evaluation of ")


def test_runs_take_turns_and_are_timed_apart() -> None:
    now, order = [0.0], []

    def takes(name: str, seconds: float) -> Callable[[], None]:
        def run() -> None:
            order.append(name)
            now[0] += seconds

        return run

    taken = alternate({"a": takes("a", 1.0), "b": takes("b", 3.0)}, 3, clock=lambda: now[0])
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert taken == {"a": [1.0, 1.0, 1.0], "b": [3.0, 3.0, 3.0]}


def test_no_repeats() -> None:
    with pytest.raises(SettingError, match="0 repeats; expected 1 or more"):
        alternate({"a": lambda: None}, 0)


def test_each_code_runs_with_its_own_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    for name in ("keep_freed_memory", "return_freed_memory"):
        monkeypatch.setattr(
            f"speechduet.bench.measure.{name}", lambda name=name: happened.append(name)
        )
    for candidate in (PLAIN, Candidate("SGMSE+ code", "float32")):
        with_own_memory(candidate, lambda: happened.append("run"))()
    assert happened == ["keep_freed_memory", "run", "return_freed_memory", "run"]


def test_a_backend_that_shows_no_operations(
    sgmse_model: str, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here it is PyTorch under another name."""
    monkeypatch.setattr("speechduet.backend.choice.build", lambda system, *_: None)
    monkeypatch.setattr("speechduet.bench.measure.memory", lambda *_: None)
    request = Request(
        model=sgmse_model, sgmse=clone, seconds=0.1, backend="openvino", precision="int8"
    )
    record = json.loads(json.dumps(measure(request, 2).to_json(), allow_nan=False))
    other, plain, theirs = record["contestants"].values()
    assert other["macs"] == plain["macs"] == theirs["macs"] > 0
    assert other["peak"] is other["floor_s"] is None and other["shares"] == {}
    assert plain["floor_s"] > 0 and plain["difference"] == 0
    assert set(record["times_as_fast_as"]) == {"speechduet, float32", "SGMSE+ code, float32"}


def test_a_process_that_dies_is_an_error(
    sgmse_model: str, clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / "sgmse" / "backbones" / "__init__.py").write_text("import os\nos._exit(9)")
    request = Request(model=sgmse_model, sgmse=clone, seconds=0.1)
    with pytest.raises(SpeechduetError, match=r"the process of SGMSE\+ code, float32 died"):
        memory(request, request.candidates[1])


def test_resident_memory_is_a_maximum() -> None:
    before = resident(torch.device("cpu"))
    if before is None:
        pytest.skip("this system does not count the memory of a process")
    after = resident(torch.device("cpu"))
    assert after is not None and after >= before > 10_000_000


def test_differences_are_relative_to_the_greatest_magnitude() -> None:
    reference = torch.tensor([1.0 + 0j, -4j])
    assert relative_difference(reference + torch.tensor([0.4, 0]), reference) == pytest.approx(0.1)


def test_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_TRIM_THRESHOLD_", "1")
    monkeypatch.setenv("HOME_OF_SOMEBODY", "x")
    cpu = torch.device("cpu")
    assert description(cpu)["environment"].items() >= {("MALLOC_TRIM_THRESHOLD_", "1")}
    assert "HOME_OF_SOMEBODY" not in description(cpu)["environment"]
    assert description(cpu)["threads"] == torch.get_num_threads()
    assert description(cpu)["processor"]
    assert min(peak(cpu, "float32", lambda: None, tries=1)) > 0


def test_the_commit_of_a_checkout() -> None:
    found = commit()
    assert found is None or re.fullmatch(r"[0-9a-f]{7,}\+?", found)
