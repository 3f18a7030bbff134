"""Folders of short recordings to evaluate."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.evaluation import Evaluation, Manifest, Scores, pair_up
from speechduet.evaluation.report import Report

RATE = 16_000


@pytest.fixture
def folders(tmp_path: Path, speech: np.ndarray, rng: np.random.Generator) -> Path:
    """clean/, enhanced/ and noisy/ with the pairs a and deep/b, in different containers."""
    for name in ("a", "deep/b"):
        noise = 0.02 * rng.standard_normal(speech.size)
        for path, waveform in (
            (f"clean/{name}.flac", speech),
            (f"noisy/{name}.wav", speech + noise),
            (f"enhanced/{name}.wav", 0.9 * speech + 0.3 * noise),
        ):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / path, waveform, RATE)
    return tmp_path


@pytest.fixture
def report(folders: Path) -> Report:
    """Two systems of two files with made-up scores, whose recordings exist, and a manifest."""
    files = [Scores("a", 2.0, 0.6, 10.0, 12.0, 20.0), Scores("deep/b", 3.0, 0.8, 12.0, 15.0, 18.0)]
    worse = [scores._replace(pesq=scores.pesq - 0.5) for scores in files]
    (folders / "manifest.csv").write_text("file,snr_db,noise\na,0,rain\ndeep/b,5,<fan>\n")
    pairs, _ = pair_up(folders / "clean", folders / "enhanced", folders / "noisy")
    by_name = {pair.name: pair for pair in pairs}
    return Report(
        {"one": Evaluation(files, []), "two": Evaluation(worse, [])},
        {"one": by_name, "two": by_name},
        Manifest(folders / "manifest.csv"),
    )
