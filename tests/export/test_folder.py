"""An exported folder: its files, what they say, and what is refused."""

import json
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from speechduet.enhancement.enhancer import Enhancer as WithPyTorch
from speechduet.errors import FileError, ModelError, SettingError
from speechduet.export import folder as module
from speechduet.export import programs
from speechduet.export.folder import export_folder
from speechduet.model.folder import Pretrained
from speechduet.network.dual_path import DualPath
from speechduet.network.layout import Layout
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import System
from speechduet.onnx import Enhancer
from speechduet.process import OrnsteinUhlenbeck
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

PROGRAMS = ("both", "generative", "predictive")


def test_the_files_and_what_they_say(pretrained: Pretrained, tmp_path: Path) -> None:
    exported = export_folder(pretrained, tmp_path / "a" / "b")
    files = {str(f.relative_to(tmp_path / "a/b")) for f in (tmp_path / "a/b").rglob("*.*")}
    assert files == {
        *(f"{program}.onnx" for program in PROGRAMS),
        *(f"golden/program_{program}.npz" for program in PROGRAMS),
        *("golden/mode_fast.npz", "golden/mode_balanced.npz", "speechduet.json", "README.md"),
    }
    assert set(exported.programs) == set(PROGRAMS) and set(exported.modes) == {"fast", "balanced"}
    assert 0 < max(exported.programs.values()) < 1e-4 and max(exported.modes.values()) < 1e-4
    for program in PROGRAMS:
        model = onnx.load(tmp_path / "a" / "b" / f"{program}.onnx")
        said = {entry.key: entry.value for entry in model.metadata_props}
        transform = json.loads(said.pop("spectrogram"))
        assert transform["n_fft"] == 62 and transform["sample_rate"] == 16_000
        assert said.pop("written_by").startswith("speechduet ")
        assert said == {
            **{"name": "small", "licence": "mit", "format": "1", "precision": "float32"},
            **{"program": program, "frame_multiple": "1"},
        }
    text = (tmp_path / "a" / "b" / "README.md").read_text()
    assert "# small, as ONNX (float32)" in text and "`generative.onnx`" in text
    assert "direct current" in text and "{" not in text.replace('{"', "").replace(": {", "")


def test_golden_numbers(pretrained: Pretrained, tmp_path: Path) -> None:
    """What another implementation is to get: here by ONNX Runtime, and by the runner's parts."""
    export_folder(pretrained, tmp_path)
    for program in PROGRAMS:
        numbers = np.load(tmp_path / "golden" / f"program_{program}.npz")
        session = onnxruntime.InferenceSession(tmp_path / f"{program}.onnx")
        names = [output.name for output in session.get_outputs()]
        assert set(numbers) == {"spectrograms", "t", *names}
        given = {name: numbers[name] for name in ("spectrograms", "t")}
        for name, found in zip(names, session.run(None, given), strict=True):
            np.testing.assert_allclose(found, numbers[name], atol=1e-5)
    runner = Enhancer(tmp_path, threads=1)
    for mode in ("fast", "balanced"):
        numbers = np.load(tmp_path / "golden" / f"mode_{mode}.npz")
        noisy, z = numbers["noisy"][None], numbers["z"]
        assert np.abs(noisy).max() == 1
        encoded = runner.spectrogram.encode(noisy)[0, 0]
        np.testing.assert_allclose(encoded, numbers["spectrogram"], atol=1e-6)
        enhanced = runner.enhance_piece(
            noisy, runner.sampling(mode), lambda number, frames, z=z: z[None, None, number]
        )
        np.testing.assert_allclose(enhanced[0], numbers["enhanced"], atol=1e-5)
        decoded = runner.spectrogram.decode(numbers["result"][None, None], noisy.shape[1])
        np.testing.assert_allclose(decoded[0], numbers["enhanced"], atol=1e-5)


def test_float16_and_int8(pretrained: Pretrained, tmp_path: Path) -> None:
    sizes, waveforms = {}, {}
    noise = np.random.default_rng(0).uniform(-0.3, 0.3, 16_000).astype(np.float32)
    for precision in ("float32", "float16", "int8"):
        folder = tmp_path / precision
        exported = export_folder(pretrained, folder, precision)  # type: ignore[arg-type]
        assert exported.size == sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
        model = onnx.load(folder / "both.onnx")
        sizes[precision] = sum(len(t.raw_data) for t in model.graph.initializer if len(t.dims) > 1)
        waveforms[precision] = Enhancer(folder, threads=1)(noise, 16_000)
    assert sizes["float16"] == sizes["float32"] / 2
    assert sizes["int8"] < 0.9 * sizes["float32"]
    stored = [tensor.name for tensor in model.graph.initializer]
    rounded = [node for node in model.graph.node if node.op_type == "QuantizeLinear"]
    assert rounded and not any(node.input[0] in stored for node in rounded)
    in_pytorch = WithPyTorch(pretrained, "cpu", backend="pytorch")(noise, 16_000)
    assert np.abs(waveforms["float32"] - in_pytorch).max() < 1e-4
    assert 0 < np.abs(waveforms["float16"] - in_pytorch).max() < 1e-2
    assert 1e-4 < np.abs(waveforms["int8"] - in_pytorch).max() < 0.1


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("layout", ["storm", "predictive"])
@pytest.mark.parametrize("backbone", ["ncsnpp", "dual_path"])
def test_other_systems_and_networks(
    tmp_path: Path, backbone: str, layout: str, published: bool
) -> None:
    """Compared by the export itself with PyTorch, which lets no more than 1e-4 through."""
    network = {
        "ncsnpp": NCSNpp(8, (1, 2, 2), 1, attention_bins=(16,), bins=32, frame_multiple=4),
        "dual_path": DualPath(32, (4, 2), (8, 8), 8, 2, 1, 1, 16),
    }[backbone]
    storm = layout == "storm"
    process = OrnsteinUhlenbeck() if storm else None
    system = System(Layout(storm, "own"), process, network).eval()
    for parameter in system.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    modes = {"fast": Sampling(steps=0), **({"balanced": Sampling(steps=2)} if storm else {})}
    transform = Spectrogram(n_fft=62, hop=16, published=published)
    exported = export_folder(Pretrained(layout, system, transform, modes), tmp_path)
    assert set(exported.programs) == {"predictive_network", *(["generative"] if storm else [])}
    assert set(exported.modes) == set(modes)
    assert ("direct current" in (tmp_path / "README.md").read_text()) is not published


def test_an_earlier_export_is_replaced_and_nothing_else(
    pretrained: Pretrained, tmp_path: Path
) -> None:
    export_folder(pretrained, tmp_path)
    (tmp_path / "stale.onnx").touch()
    export_folder(replace(pretrained, name="other"), tmp_path)
    assert not (tmp_path / "stale.onnx").exists()
    assert Enhancer(tmp_path).description.name == "other"
    (tmp_path / "speechduet.json").unlink()
    with pytest.raises(ModelError, match="holds other files; expected a new or empty folder"):
        export_folder(pretrained, tmp_path)


def test_int8_of_a_model_that_is_not_calibrated(pretrained: Pretrained, tmp_path: Path) -> None:
    bare = replace(pretrained, system=pretrained.system.calibrated({}))
    with pytest.raises(SettingError, match="int8 for a model without activation ranges"):
        export_folder(bare, tmp_path / "new", "int8")
    assert not (tmp_path / "new").exists()


def test_a_disk_that_is_full(
    pretrained: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr(module, "write_program", full)
    with pytest.raises(FileError, match="cannot write .*new: No space left"):
        export_folder(pretrained, tmp_path / "new")


def test_a_program_that_cannot_be_exported(
    pretrained: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message names it, and nothing is written."""
    decoder = pretrained.system.predictive_decoder
    assert decoder is not None

    forward = type(decoder).forward

    def with_what_onnx_lacks(self: Any, features: Any) -> Tensor:
        output = forward(self, features)
        return output + torch.linalg.matrix_exp(output[..., :2, :2]).sum()

    monkeypatch.setattr(type(decoder), "forward", with_what_onnx_lacks)
    with pytest.raises(ModelError, match=r"model small: program '\w+' cannot be exported \(.*matr"):
        export_folder(pretrained, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_what_differs_is_not_written(
    pretrained: Pretrained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs, "TOLERANCES", {"float32": 0.0})
    with pytest.raises(ModelError, match=r"small: program '\w+' differs from PyTorch by .*e-"):
        export_folder(pretrained, tmp_path / "new")
    monkeypatch.undo()
    monkeypatch.setattr(module, "TOLERANCES", {"float32": 0.0})
    with pytest.raises(ModelError, match="mode 'fast' differs from PyTorch by .* of full scale"):
        export_folder(pretrained, tmp_path / "new")
    assert not (tmp_path / "new").exists()
