"""Streams at another rate: the same whatever the blocks are, in pieces of bounded size."""

import numpy as np
import pytest

from speechduet.audio.resampling import Resampler, resampled


def whole(blocks: list[np.ndarray], from_rate: int, to_rate: int) -> np.ndarray:
    return np.concatenate(list(resampled(blocks, from_rate, to_rate)))


@pytest.mark.parametrize("rates", [(48_000, 16_000), (8_000, 16_000), (44_100, 16_000)])
def test_blocks_make_no_difference(rates: tuple[int, int], rng: np.random.Generator) -> None:
    samples = rng.uniform(-1, 1, (rates[0], 2)).astype(np.float32)
    parts = np.split(samples, [1, 2, 777, 20_000])
    np.testing.assert_allclose(whole(parts, *rates), whole([samples], *rates), atol=1e-6)


def test_a_low_rate_takes_no_gigabytes_at_once(rng: np.random.Generator) -> None:
    block = rng.uniform(-1, 1, (5_000, 2)).astype(np.float32)
    sizes = [piece.size for piece in Resampler(8, 16_000, 2).pushed(block)]
    assert sum(sizes) > 15_000_000
    assert max(sizes) < 5_000_000


def test_pieces_are_the_block(rng: np.random.Generator) -> None:
    block = rng.uniform(-1, 1, (3_000, 1)).astype(np.float32)
    pieces = list(Resampler(16, 16_000, 1).pushed(block))
    assert len(pieces) > 2
    np.testing.assert_array_equal(
        np.concatenate(pieces), Resampler(16, 16_000, 1).push(block)[: sum(map(len, pieces))]
    )
