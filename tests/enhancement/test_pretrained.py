"""Models that an enhancer writes."""

from pathlib import Path

import numpy as np

from speechduet import Enhancer


def test_the_model_of_a_checkpoint_is_saved_as_a_folder(shared: Path, tmp_path: Path) -> None:
    enhancer = Enhancer.from_pretrained(shared / "reference/storm.ckpt", device="cpu")
    enhancer.save_pretrained(tmp_path / "storm")
    again = Enhancer.from_pretrained(tmp_path / "storm", device="cpu")
    noise = np.random.default_rng(0).standard_normal(4000).astype(np.float32)
    assert np.array_equal(enhancer(noise, 16_000, "fast"), again(noise, 16_000, "fast"))
