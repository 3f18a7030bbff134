"""Enhances a column of a Hugging Face data set; here one made of the bundled samples.

    pip install datasets
    python examples/hugging_face_datasets.py

``num_proc=4`` in `map` enhances in four processes, each of which loads the model once.
"""

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import soundfile

from speechduet import Enhancer


@lru_cache(maxsize=1)
def enhancer() -> Enhancer:
    """One model for each process, loaded where it is used."""
    return Enhancer.from_pretrained(threads=1)


def enhance(row: Mapping[str, Any]) -> dict[str, Any]:
    """Add the column ``enhanced`` to a row of ``noisy`` samples and their ``sample_rate``."""
    noisy = np.asarray(row["noisy"], np.float32)
    return {"enhanced": enhancer()(noisy, row["sample_rate"], "fast")}


def samples(folder: Path) -> datasets.Dataset:
    """A data set with a row for each recording of a folder."""
    read = [soundfile.read(path, dtype="float32") for path in sorted(folder.glob("*.flac"))]
    columns = {"noisy": [one for one, _ in read], "sample_rate": [rate for _, rate in read]}
    return datasets.Dataset.from_dict(columns)


if __name__ == "__main__":
    print(samples(Path(__file__).parents[1] / "samples/noisy").map(enhance))
