"""Where the two decoders disagree."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from speechduet.audio import write
from speechduet.enhancement.confidence import (
    MeanConfidence,
    check_compared,
    check_file,
    disagreement,
    save,
)
from speechduet.enhancement.files import enhance_file
from speechduet.errors import SettingError
from speechduet.expected_error import expected_error
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram
from stand_ins import Ruled, noisy, ruled


def lower(x_t: Tensor, y: Tensor) -> Tensor:
    """What is below 4 kHz."""
    below = y.clone()
    below[:, :, 128:] = 0
    return below


def test_disagreement_lies_between_agreement_and_contradiction() -> None:
    one = torch.polar(torch.tensor(0.5), torch.tensor(1.0)).reshape(1, 1, 1, 1)
    for other, expected in (
        (one, 0),
        (0 * one, 1),
        (-one, 1),
        (3 * one, 0.5),
        (1j * one, 0.5**0.5),
    ):
        assert disagreement(one, other).item() == pytest.approx(expected, abs=1e-6)
        assert disagreement(other, one).item() == pytest.approx(expected, abs=1e-6)
    assert disagreement(one * 1e-6, -one * 1e-6).item() < 1e-3, "silence is agreement"
    assert disagreement(torch.zeros(2, 1, 3, 4), torch.zeros(2, 1, 3, 4)).shape == (2, 3, 4)


@pytest.mark.parametrize("segment_s", [1, 16])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_map_of_a_recording(tmp_path: Path, segment_s: float, channels: int) -> None:
    modes = {"balanced": Sampling(steps=2, corrector_steps=0, beta=0.5)}
    enhancer = ruled(Ruled(noisy, lower, frame_multiple=16), modes, segment_s=segment_s)
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, (channels, 50_001)).astype(np.float32)
    write(tmp_path / "in.wav", samples, 16_000)
    enhance_file(
        tmp_path / "in.wav", tmp_path / "out.wav", enhancer, confidence=tmp_path / "map.npz"
    )
    saved = np.load(tmp_path / "map.npz")
    assert saved["map"].shape == (256, 391)
    assert saved["times_s"][[0, -1]].tolist() == [0, pytest.approx(390 * 128 / 16_000)]
    assert saved["frequencies_hz"][[0, -1]].tolist() == [0, 8000]
    np.testing.assert_allclose(saved["map"][:128], 0, atol=1e-6)
    assert np.quantile(saved["map"][128:], 0.01) == pytest.approx(1, abs=0.01)


def test_the_mean_confidence_weighs_frames_by_what_was_kept() -> None:
    rate, length = 1000, 32
    noise = np.random.default_rng(0).standard_normal((3 * length + 10, 2)).astype(np.float32)
    kept = noise * np.repeat([0.9, 0.2, 0.0, 0.5], [length, length, length, 10])[:, None]
    parts = np.split(np.stack([kept, noise - kept]), [length, 2 * length, 3 * length], axis=1)
    energies = np.array([np.square(part, dtype=np.float64).sum((1, 2)) for part in parts])
    errors = energies[:, 0] @ expected_error(*energies.T)
    confidence = MeanConfidence(rate)
    blocks = np.split(kept.astype(np.float32), [5, 50, 80])
    passed = list(confidence.of(blocks, iter(np.split(noise, [33, 34]))))
    assert all(one is other for one, other in zip(passed, blocks, strict=True))
    assert confidence.mean == pytest.approx(1 / (1 + errors / energies[:, 0].sum()), rel=1e-5)


def test_where_nothing_is_kept_there_is_no_confidence() -> None:
    confidence, silence = MeanConfidence(16_000), np.zeros((1000, 1), np.float32)
    assert list(confidence.of([silence], iter([silence])))
    assert confidence.mean is None


def test_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    save(tmp_path / "map.png", np.eye(256, 5000, dtype=np.float32), Spectrogram())
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    save(tmp_path / "one.png", np.zeros((256, 1), np.float32), Spectrogram())


@pytest.mark.parametrize("settings", [{"steps": 0}, {"steps": 1, "alpha": 0.2}, {"steps": 5}])
def test_settings_that_never_evaluate_both(settings: dict[str, Any]) -> None:
    with pytest.raises(SettingError, match="evaluates both decoders; expected .*such as balanced"):
        check_compared(Sampling(**settings))


def test_settings_that_evaluate_both() -> None:
    check_compared(Sampling(steps=1, beta=0.1))
    check_compared(Sampling(steps=2, alpha=0.1))


def test_files_that_cannot_hold_a_map(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingError, match=r"map in x\.jpg; expected a \.png or \.npz file"):
        check_file(Path("x.jpg"))
    monkeypatch.setattr("speechduet.enhancement.confidence.find_spec", lambda name: None)
    check_file(Path("x.npz"))
    check_file(Path("x.NPZ"))
    with pytest.raises(SettingError, match=r"matplotlib.* not installed; .*or ask for a \.npz"):
        check_file(Path("x.PNG"))
