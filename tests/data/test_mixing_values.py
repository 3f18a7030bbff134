"""Mixtures are what they were: another draw or another formula is another training."""

import runpy
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file

REFERENCE = Path(__file__).parents[1] / "reference"


@pytest.fixture(scope="module")
def values() -> dict[str, NDArray[np.float32]]:
    made: dict[str, NDArray[np.float32]] = runpy.run_path(str(REFERENCE / "make_mixtures.py"))[
        "mixture_values"
    ]()
    return made


EXPECTED = load_file(REFERENCE / "mixtures.safetensors")


@pytest.mark.parametrize("kind", EXPECTED)
def test_mixtures_are_what_they_were(kind: str, values: dict[str, NDArray[np.float32]]) -> None:
    np.testing.assert_allclose(values[kind], EXPECTED[kind], atol=1e-5)


def test_every_kind_has_its_values(values: dict[str, NDArray[np.float32]]) -> None:
    assert values.keys() == EXPECTED.keys()
