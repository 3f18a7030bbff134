"""The examples do what they say. Packages that are not installed are stood in for or skipped."""

import json
import os
import runpy
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from speechduet import Enhancer


@pytest.fixture
def example(root: Path) -> Any:
    """What an example defines."""

    def run(name: str) -> dict[str, Any]:
        return runpy.run_path(str(root / f"examples/{name}.py"), run_name="an_example")

    return run


@pytest.fixture
def enhancer(tiny_model: Path) -> Enhancer:
    return Enhancer.from_pretrained(tiny_model, device="cpu")


def test_adapters_are_short(root: Path) -> None:
    for name in ("speechbrain_adapter", "espnet_adapter"):
        assert len((root / f"examples/{name}.py").read_text().splitlines()) < 60


def test_hugging_face_datasets(
    root: Path, example: Any, enhancer: Enhancer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("datasets", reason="needs datasets")
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    defined = example("hugging_face_datasets")
    monkeypatch.setitem(defined["enhance"].__globals__, "enhancer", lambda: enhancer)
    rows = defined["samples"](root / "samples/noisy").map(defined["enhance"])
    noisy, rate = soundfile.read(root / "samples/noisy/cafe.flac", dtype="float32")
    found = np.asarray(rows[0]["enhanced"], np.float32)
    np.testing.assert_allclose(found, enhancer(noisy, rate, "fast"), atol=1e-6)


def test_web_dataset(root: Path, example: Any, enhancer: Enhancer, tmp_path: Path) -> None:
    pytest.importorskip("webdataset", reason="needs webdataset")
    with tarfile.open(tmp_path / "noisy-0000.tar", "w") as shard:
        (tmp_path / "a.json").write_text('{"speaker": 1}')
        shard.add(root / "samples/noisy/cafe.flac", "a.flac")
        shard.add(tmp_path / "a.json", "a.json")
    enhanced = example("web_dataset")["enhanced"]
    (found,) = enhanced(str(tmp_path / "noisy-0000.tar"), enhancer)
    assert found["json"] == b'{"speaker": 1}' and found["__key__"] == "a"
    (tmp_path / "found.flac").write_bytes(found["flac"])
    made, rate = soundfile.read(tmp_path / "found.flac", dtype="float32")
    noisy, _ = soundfile.read(root / "samples/noisy/cafe.flac", dtype="float32")
    np.testing.assert_allclose(made, enhancer(noisy, rate, "fast"), atol=1e-4)


def test_speechbrain_adapter(
    root: Path, example: Any, tiny_model: Path, enhancer: Enhancer, tmp_path: Path
) -> None:
    adapter = example("speechbrain_adapter")["DuetEnhancement"](str(tiny_model), "fast")
    noisy = torch.randn(2, 8000)
    clean = adapter.enhance_batch(noisy, lengths=torch.tensor([1.0, 0.5]))
    assert clean.shape == noisy.shape and (clean[1, 4000:] == 0).all()
    torch.testing.assert_close(clean[1, :4000], enhancer(noisy[1, :4000], 16_000, "fast"))
    source, target = root / "samples/noisy/cafe.flac", tmp_path / "clean.wav"
    written = adapter.enhance_file(str(source), str(target))
    read, rate = soundfile.read(target, dtype="float32")
    assert rate == 16_000 and written.shape == (len(read),)


def test_speechbrain_has_these_calls() -> None:
    inference = pytest.importorskip("speechbrain.inference.enhancement", reason="needs speechbrain")
    assert {"enhance_batch", "enhance_file"} <= set(dir(inference.SpectralMaskEnhancement))


def test_espnet_adapter(example: Any, tiny_model: Path, enhancer: Enhancer) -> None:
    adapter = example("espnet_adapter")["DuetSeparateSpeech"](tiny_model, "fast")
    noisy = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 8000)).astype(np.float32)
    (clean,) = adapter(noisy, fs=16_000)
    np.testing.assert_array_equal(clean[1], enhancer(noisy[1], 16_000, "fast"))
    with pytest.raises(ValueError, match="expected .batch, samples."):
        adapter(noisy[0], fs=16_000)


@pytest.mark.slow
def test_training_on_own_folders(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("lightning", reason="needs lightning")
    pytest.importorskip("yaml", reason="needs PyYAML")
    small = ["network.channels=[4,4]", "network.width=8", "network.encoder_blocks=1"]
    small += ["network.decoder_blocks=1", "mixing.excerpt_s=0.5", "run.batch_size=2"]
    small += ["run.workers=0", "run.accelerator=cpu", "run.precision=32-true"]
    command = [sys.executable, str(root / "examples/train_on_own_folders.py")]
    folders = [root / "samples/clean", root / "samples/noisy", tmp_path / "run"]
    ended = subprocess.run(
        [*command, *map(str, folders), "--steps", "2", *(f"--override={one}" for one in small)],
        **{"capture_output": True, "text": True, "check": False, "timeout": 300},
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert (tmp_path / "run/model/config.json").is_file() and "backend" in ended.stdout


@pytest.mark.slow
def test_the_notebook_runs(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient", reason="needs nbclient")
    nbformat = pytest.importorskip("nbformat", reason="needs nbformat")
    pytest.importorskip("ipykernel", reason="needs ipykernel")
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("JUPYTER_PLATFORM_DIRS", "1")
    path = root / "examples/enhancement.ipynb"
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(root)}}
    ).execute()
    scores = notebook.cells[3].outputs[0]["data"]["text/plain"]
    assert "balanced" in scores
    kept = json.loads(path.read_text())
    assert not any(cell.get("outputs") for cell in kept["cells"]), "commit it without outputs"
    assert path.stat().st_size < 20_000
