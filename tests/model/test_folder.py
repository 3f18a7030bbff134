"""Model folders: what is written is what is read, and everything else is an error in one line."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from speechduet.errors import ModelError
from speechduet.model import find
from speechduet.model.find import load_any
from speechduet.model.folder import Pretrained, load, save
from speechduet.network.compact import Compact
from speechduet.network.dual_path import DualPath
from speechduet.network.layout import Layout
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import System
from speechduet.process import FlowMatching, OrnsteinUhlenbeck, Process, SchroedingerBridge
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram

TINY = NCSNpp(base_channels=4, multipliers=(1, 1), residual_blocks=1, attention_bins=())


def pretrained(
    layout: Layout | None = None,
    process: Process | None = None,
    network: NCSNpp | Compact | DualPath = TINY,
    predictive_network: NCSNpp | Compact | None = None,
) -> Pretrained:
    """A small system with random weights."""
    system = System(
        layout or Layout(generative=True, predictive="shared"),
        process or OrnsteinUhlenbeck(theta=1.25),
        network,
        predictive_network,
    )
    modes = {"best": Sampling(steps=3)}
    if system.predicts:
        modes = {"fast": Sampling(steps=0), "best": Sampling(steps=3, alpha=0.2, beta=0.1)}
    metadata = {"licence": "mit", "scores": {"PESQ": 1.5}, "notes": ["a", "b"]}
    return Pretrained("tiny", system, Spectrogram(factor=0.33), modes, metadata)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(pretrained(), tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize(
    "written",
    [
        pretrained(),
        pretrained(Layout(True, "own"), predictive_network=Compact(width=16)),
        pretrained(Layout(True, "none", "clean"), SchroedingerBridge(k=2.5)),
        pretrained(Layout(True, "shared", "clean"), FlowMatching(), Compact(width=16)),
    ],
    ids=["shared", "own", "bridge", "compact"],
)
def test_round_trip(tmp_path: Path, written: Pretrained) -> None:
    save(written, tmp_path)
    read = load(tmp_path)
    assert (read.name, read.spectrogram) == (written.name, written.spectrogram)
    assert (read.modes, read.metadata) == (written.modes, written.metadata)
    for name in ("layout", "process", "backbone", "predictive_backbone", "frame_multiple"):
        assert getattr(read.system, name) == getattr(written.system, name)
    assert not read.system.training
    assert not any(p.requires_grad for p in read.system.parameters())
    state = read.system.state_dict()
    for name, value in written.system.state_dict().items():
        torch.testing.assert_close(state[name], value, rtol=0, atol=0)
    y = torch.randn(1, 1, 256, 64, dtype=torch.complex64)
    t = torch.tensor([0.5])
    with torch.inference_mode():
        expected = written.system.eval().estimate(y, y, y, t, generative=True, predictive=True)
        found = read.system.estimate(y, y, y, t, generative=True, predictive=True)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_a_purely_predictive_system(tmp_path: Path) -> None:
    system = System(Layout(generative=False, predictive="own"), None, TINY)
    save(Pretrained("p", system, Spectrogram(), {"fast": Sampling(steps=0)}), tmp_path)
    assert load(tmp_path).system.process is None


def test_half_precision_halves_the_parameters_only(tmp_path: Path) -> None:
    written = pretrained()
    save(written, tmp_path / "whole")
    save(written, tmp_path / "half", torch.float16)
    sizes = [(tmp_path / f / "model.safetensors").stat().st_size for f in ("whole", "half")]
    assert sizes[1] < 0.75 * sizes[0]
    state = load(tmp_path / "half").system.state_dict()
    for name, value in written.system.state_dict().items():
        assert state[name].dtype == torch.float32
        # The Fourier features' frequencies would lose their meaning at half precision.
        expected = value if name.endswith("frequencies") else value.half().float()
        torch.testing.assert_close(state[name], expected, rtol=0, atol=0)
    with pytest.raises(ModelError, match=r"weights as torch.int8; expected torch.float32"):
        save(written, tmp_path / "other", torch.int8)


def test_weights_that_are_no_numbers_are_not_written(tmp_path: Path) -> None:
    written = pretrained()
    parameter = next(written.system.parameters())
    with torch.no_grad():
        parameter.fill_(1e6)
    with pytest.raises(ModelError, match="not finite as torch.float16"):
        save(written, tmp_path / "model", torch.float16)
    assert not (tmp_path / "model").exists()


def test_modes_without_a_name_are_not_written(tmp_path: Path) -> None:
    written = replace(pretrained(), modes={"slow": Sampling()})
    with pytest.raises(ModelError, match="unknown key 'slow' in modes; expected fast, balanced"):
        save(written, tmp_path / "model")


def test_an_interrupted_save_leaves_the_old_model(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail(self: Path, data: bytes) -> int:
        self.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(ModelError, match=r"cannot write .*No space left on device"):
        save(pretrained(), folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match="cannot write .*a writable folder"):
        save(pretrained(), tmp_path / "file" / "model")


def test_loading_leaves_the_random_state(folder: Path) -> None:
    torch.manual_seed(3)
    expected = torch.rand(3)
    torch.manual_seed(3)
    load(folder)
    torch.testing.assert_close(torch.rand(3), expected, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("network", "constants"),
    [
        (
            Compact(width=16, encoder_blocks=5),
            {
                "encoder_dilations": [1, 2, 4, 8],
                "decoder_dilations": [4, 8, 1, 2],
                "time_exponents": [-1.2, 0.5],
                "input_scale": 10.0,
                "remainder_scale": 0.1,
            },
        ),
        (
            DualPath(channels=(4, 8), hidden=4),
            {"time_exponents": [-1.2, 0.5], "input_scale": 10.0, "remainder_scale": 0.1},
        ),
        (TINY, {"fourier_scale": 16.0}),
    ],
    ids=["compact", "dual_path", "ncsnpp"],
)
def test_constants_are_written_and_a_folder_without_them_is_read_alike(
    tmp_path: Path, network: Compact | DualPath | NCSNpp, constants: dict[str, Any]
) -> None:
    written = pretrained(Layout(True, "shared", "clean"), network=network)
    for parameter in written.system.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    save(written, tmp_path)
    kept = json.loads((tmp_path / "config.json").read_text())["network"]
    assert {name: kept[name] for name in constants} == constants
    config = json.loads((tmp_path / "config.json").read_text())
    config["network"] = {key: kept[key] for key in kept.keys() - constants.keys()}
    (tmp_path / "config.json").write_text(json.dumps(config))
    y, t = torch.randn(1, 1, 256, 64, dtype=torch.complex64), torch.tensor([0.5])
    with torch.inference_mode():
        expected = written.system.eval().estimate(y, y, y, t, generative=True, predictive=True)
        found = load(tmp_path).system.estimate(y, y, y, t, generative=True, predictive=True)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


def test_the_card_tells_what_the_model_is(folder: Path) -> None:
    card = (folder / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: speechduet") and "license: mit" in card
    size = sum(p.numel() for p in load(folder).system.parameters())
    for text in (
        "# tiny",
        f"- parameters: {size:,}",
        "| best | 6 | steps 3, alpha 0.2, beta 0.1 |",
        "## Scores\n\n- PESQ: 1.5",
        "## Notes\n\n- a\n- b",
    ):
        assert text in card


def test_load_any(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_any(folder).name == load_any(str(folder)).name == "tiny"
    monkeypatch.setattr(find, "BUNDLED", folder.parent)
    assert find.bundled() == ["model"]
    assert load_any().name == load_any("model").name == "tiny"
    with pytest.raises(ModelError, match=r"no model 'modle'; expected a bundled model \(model\)"):
        load_any("modle")
    monkeypatch.setattr(find, "BUNDLED", folder)
    with pytest.raises(ModelError, match="no model comes with this installation; give"):
        load_any()


def test_models_of_the_hub_need_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModelError, match=r"pip install 'speechduet\[hub\]'"):
        load_any("somebody/model")


def test_names_have_no_meaning_in_the_card(tmp_path: Path) -> None:
    odd = replace(pretrained(), name="<b>`x`", metadata={"a|<i>": {"<u>": 1}})
    save(odd, tmp_path)
    card = (tmp_path / "README.md").read_text()
    assert "# \\<b>\\`x\\`\n" in card
    assert "## A\\|\\<i>\n" in card and "- \\<u>: 1\n" in card


def test_only_a_model_of_the_hub_has_revisions(folder: Path) -> None:
    with pytest.raises(ModelError, match="a revision of .*, which is on this machine; expected"):
        load_any(folder, "main")
    with pytest.raises(ModelError, match="a revision of the bundled model"):
        load_any(None, "main")
