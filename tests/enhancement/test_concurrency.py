"""Enhancing in threads, in processes, and in the workers of a DataLoader.

Processes get what a package can import, and the enhancer itself, which can be pickled.
"""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from speechduet import Enhancer

RATE, LENGTH, COUNT = 16_000, 6000, 4
NOISY = [
    np.random.default_rng(index).uniform(-0.5, 0.5, LENGTH).astype(np.float32)
    for index in range(COUNT)
]
KNOWN = multiprocessing.get_all_start_methods()


@pytest.fixture
def enhancer(tiny_model: Path) -> Enhancer:
    return Enhancer.from_pretrained(tiny_model, device="cpu")


@pytest.fixture
def expected(enhancer: Enhancer) -> list[np.ndarray]:
    torch.set_num_threads(2)  # the parent has threads, which a forked process lacks
    return [enhancer(one, RATE) for one in NOISY]


def assert_same(found: Any, expected: list[np.ndarray]) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_threads(enhancer: Enhancer, expected: list[np.ndarray]) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(enhancer, NOISY * 4, [RATE] * 4 * COUNT))
    assert_same(found, expected * 4)


@pytest.mark.slow
@pytest.mark.parametrize("method", [one for one in KNOWN if one != "fork"])
def test_processes(enhancer: Enhancer, expected: list[np.ndarray], method: str) -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context(method)) as pool:
        futures = [pool.submit(enhancer, one, RATE) for one in NOISY]
        assert_same([future.result(timeout=120) for future in futures], expected)


@pytest.mark.slow
@pytest.mark.parametrize("method", KNOWN)
def test_workers_of_a_data_loader(
    enhancer: Enhancer, expected: list[np.ndarray], method: str
) -> None:
    loader = DataLoader(
        NOISY,  # type: ignore[arg-type]
        **{"batch_size": None, "num_workers": 1, "multiprocessing_context": method},
        collate_fn=partial(enhancer, sample_rate=RATE),
        timeout=120,
    )
    assert_same(list(loader), expected)
