import pickle
from pathlib import Path
from typing import Any

import pytest

from speechduet.bench.request import Candidate, Request
from speechduet.errors import SettingError


@pytest.mark.parametrize(
    ("options", "work"),
    [
        ({}, "enhancement"),
        ({"model": "m", "mode": "fast"}, "enhancement"),
        ({"network": "storm"}, "evaluation"),
        ({"model": "m", "sgmse": Path("clone")}, "evaluation"),
        ({"train": True, "network": "storm"}, "training step"),
        ({"train": True, "recipe": Path("r.yaml"), "sgmse": Path("clone")}, "training step"),
    ],
)
def test_the_work_follows_from_what_is_given(options: dict[str, Any], work: str) -> None:
    request = Request(**options)
    assert request.work == work
    assert pickle.loads(pickle.dumps(request)) == request  # as it goes to a fresh process


def test_what_was_asked_for_comes_first_and_float32_beside_bfloat16() -> None:
    assert Request().candidates == (Candidate("speechduet", "float32"),)
    request = Request(sgmse=Path("clone"), precision="bfloat16")
    assert [candidate.name for candidate in request.candidates] == [
        "speechduet, bfloat16",
        "speechduet, float32",
        "SGMSE+ code, float32",
    ]


def test_another_backend_is_held_against_pytorch_in_float32() -> None:
    request = Request(backend="openvino", precision="int8")
    assert [candidate.name for candidate in request.candidates] == [
        "speechduet, openvino, int8",
        "speechduet, float32",
    ]
    assert len(Request(backend="compile").candidates) == 2
    # By name PyTorch as it is, beside what is the default.
    plain, default = Request(backend="pytorch").candidates
    assert (plain.name, default.name) == ("speechduet, pytorch, float32", "speechduet, float32")
    assert plain.shows_operations and default.shows_operations
    assert not Request(precision="int8").candidates[0].shows_operations


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"model": "m", "network": "n"}, "model and network; expected one of them"),
        ({"recipe": Path("r")}, "a recipe with nothing to train"),
        ({"network": "n", "mode": "fast"}, "mode 'fast' for one evaluation"),
        ({"train": True, "mode": "fast"}, "mode 'fast' for one training step"),
        ({"train": True, "backend": "compile"}, "training with compile in float32; expected auto"),
        ({"train": True, "precision": "int8"}, "training with auto in int8"),
        ({"batch_size": 2}, "a batch of 2 for one enhancement"),
        ({"network": "n", "batch_size": 0}, "a batch of 0 for one evaluation; expected 1 or more"),
        ({"seconds": 0.0}, "0.0 s of audio; expected above 0"),
        ({"seconds": float("nan")}, "nan s of audio"),
    ],
)
def test_requests_without_a_meaning(options: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingError, match=message):
        Request(**options)
