"""Mixtures are what they were: another draw or another formula is another training."""

import runpy
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

REFERENCE = Path(__file__).parents[1] / "reference"
EXPECTED = load_file(REFERENCE / "mixtures.safetensors")


def test_mixtures_are_what_they_were() -> None:
    # Made in the test itself: what a shared fixture calls counts, in mutation testing and in
    # coverage by test, for the first test that asks for it.
    values = runpy.run_path(str(REFERENCE / "make_mixtures.py"))["mixture_values"]()
    assert values.keys() == EXPECTED.keys()
    for kind, expected in EXPECTED.items():
        np.testing.assert_allclose(values[kind], expected, atol=1e-5, err_msg=kind)
