"""The words that PocketSphinx hears, and DNSMOS by the network of its package: the real ones."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.evaluation import FURTHER, word_scores
from speechduet.evaluation.recognition import POCKETSPHINX
from speechduet.evaluation.sphinx import english_words


def sample(root: Path, role: str, name: str = "street") -> tuple[np.ndarray, int]:
    samples, rate = soundfile.read(root / "samples" / role / f"{name}.flac")
    return samples, rate


def test_words_do_not_depend_on_what_was_heard_before(root: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="needs the extra words")
    clean, rate = sample(root, "clean")
    assert english_words(clean, rate).startswith("please leave the parcel with")
    # Noise leaves the recogniser in doubt, so that little decides.
    noisy = [sample(root, "noisy", name)[0][: 3 * rate] for name in ("cafe", "rain")]
    heard = [english_words(one, rate) for one in noisy]
    assert [english_words(one, rate) for one in noisy[::-1]] == heard[::-1]


def test_noise_costs_words(root: Path) -> None:
    pytest.importorskip("pocketsphinx", reason="needs the extra words")
    clean, rate = sample(root, "clean")
    noisy, _ = sample(root, "noisy")
    scores = word_scores(noisy, clean, rate, POCKETSPHINX)
    assert isinstance(scores["wer"], float) and 0 < scores["wer"] < 1
    assert word_scores(clean, clean, rate, POCKETSPHINX)["wer"] == 0


def test_the_published_network_hears_the_noise(root: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs the extra dnsmos")
    pytest.importorskip("speechmos", reason="needs the extra dnsmos")
    clean, rate = sample(root, "clean")
    noisy, _ = sample(root, "noisy")
    rated = FURTHER["dnsmos"](clean, clean, rate)
    # By the package's own function: 3.473, 3.647 and 2.993.
    assert rated == pytest.approx(
        {"dnsmos_signal": 3.473, "dnsmos_background": 3.647, "dnsmos_overall": 2.993}, abs=2e-3
    )
    worse = FURTHER["dnsmos"](noisy, clean, rate)
    assert isinstance(rated, dict) and isinstance(worse, dict)
    assert worse["dnsmos_background"] < rated["dnsmos_background"] - 1
