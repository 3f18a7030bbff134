"""Enhances the recordings of a WebDataset (tar shards) into another.

pip install webdataset
python examples/web_dataset.py "noisy-{0000..0009}.tar" enhanced-%04d.tar
"""

import io
import sys
from collections.abc import Iterator
from typing import Any

import soundfile
import webdataset

from speechduet import Enhancer

RECORDINGS = ("flac", "wav")


def enhanced(shards: str, enhancer: Enhancer, mode: str = "fast") -> Iterator[dict[str, Any]]:
    """Each example of the shards, its recordings enhanced and all else as it was."""
    for example in webdataset.WebDataset(shards, shardshuffle=False):
        for kind in RECORDINGS:
            if kind in example:
                noisy, rate = soundfile.read(io.BytesIO(example[kind]), dtype="float32")
                written = io.BytesIO()
                clean = enhancer(noisy.T, rate, mode).T
                soundfile.write(written, clean, rate, format=kind.upper())
                example[kind] = written.getvalue()
        yield example


if __name__ == "__main__":
    with webdataset.ShardWriter(sys.argv[2], maxcount=1000) as shards:
        for example in enhanced(sys.argv[1], Enhancer.from_pretrained()):
            shards.write(example)
