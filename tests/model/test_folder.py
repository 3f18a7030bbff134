"""Model folders: what is written is what is read, and everything else is an error in one line."""

import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

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


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


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


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_weights_that_are_no_numbers_are_not_loaded(folder: Path, value: float) -> None:
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name].view(-1)[0] = value
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match=f"weights that are no numbers .{name}"):
        load(folder)


def test_weights_beyond_float32_are_not_loaded(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name] = torch.full_like(weights[name], 1e300, dtype=torch.float64)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match=f"weights that are no numbers .{name}"):
        load(folder)


@pytest.mark.parametrize(
    "dtype",
    [torch.float8_e4m3fn, torch.float8_e5m2, torch.complex64, torch.int64, torch.uint8, torch.bool],
)
def test_weights_that_are_no_floats_are_not_loaded(folder: Path, dtype: torch.dtype) -> None:
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name] = weights[name].to(dtype)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match=rf"weights of {dtype} .{name}.; expected torch.float32"):
        load(folder)


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
    edit(tmp_path, lambda config: [config["network"].pop(name) for name in constants])
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


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_incomplete_and_damaged_folders(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    (folder / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match=f"{name} is damaged"):
        load(folder)
    (folder / name).unlink()
    with pytest.raises(ModelError, match=f"is incomplete: it has no {name}"):
        load(folder)
    with pytest.raises(ModelError, match="is no folder"):
        load(folder / "nothing")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(format=2), "model format 2; expected 1; update speechduet"),
        (lambda c: c.pop("network"), "config.json: 'network' is missing"),
        (lambda c: c.update(nettwork={}), "unknown key 'nettwork'; .*did you mean 'network'"),
        (
            lambda c: c["network"].update(base_chanels=4),
            "network: unknown key 'base_chanels'.*did you mean 'base_channels'",
        ),
        (lambda c: c["network"].update(base_channels="8"), "base_channels is '8'; expected"),
        (lambda c: c["network"].update(base_channels=True), "base_channels is True; expected"),
        (lambda c: c["network"].update(base_channels=6), "a multiple of 4"),
        (lambda c: c["network"].update(multipliers=2), "multipliers is 2; expected a list"),
        (lambda c: c["network"].update(kind="unet"), "network.kind is 'unet'; expected one of"),
        (lambda c: c["system"].pop("layout"), "system: 'layout' is missing"),
        (lambda c: c["system"]["layout"].update(predictive="both"), "'both'; expected one of"),
        (
            lambda c: c["system"]["layout"].pop("generative"),
            "system.layout: 'generative' is missing",
        ),
        (lambda c: c["modes"].update(slow={}), "unknown key 'slow' in modes"),
        (
            lambda c: c["modes"]["best"].update(steps=-1),
            "modes.best.steps is -1; expected 0 or more",
        ),
        (lambda c: c["modes"].update(best=5), "modes.best is 5; expected named values"),
        (lambda c: c["spectrogram"].update(hop=0), "spectrogram.hop is 0; expected 1 or more"),
        (lambda c: c["spectrogram"].update(n_fft=0), "spectrogram.n_fft is 0; expected 2"),
        (lambda c: c.update(name=None), "name is None; expected text"),
        (lambda c: c.update(name="a\nb"), r"name is 'a\\nb'; expected 200 printable"),
        (lambda c: c.update(name=201 * "a"), "expected 200 printable characters at most"),
        (lambda c: c.update(format=True), "model format True; expected 1; update speechduet"),
        (
            lambda c: c["spectrogram"].update(n_fft=2**70),
            "n_fft is 1180591620717411303424; expected 16384 or less",
        ),
        (lambda c: c["network"].update(base_channels=132), "config.json: .* cannot be built"),
    ],
)
def test_configurations_that_are_wrong(
    folder: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    edit(folder, change)
    with pytest.raises(ModelError, match=message) as caught:
        load(folder)
    assert "\n" not in str(caught.value)


def test_weights_of_another_system(folder: Path) -> None:
    edit(folder, lambda c: c["network"].update(base_channels=8))
    with pytest.raises(ModelError, match=r"does not fit its configuration: .* is \[4"):
        load(folder)
    edit(folder, lambda c: c["network"].update(base_channels=4, residual_blocks=2))
    with pytest.raises(ModelError, match="does not fit its configuration .lacks"):
        load(folder)
    edit(folder, lambda c: c["network"].update(residual_blocks=1))
    edit(folder, lambda c: c["system"]["layout"].update(predictive="none"))
    edit(folder, lambda c: c.update(modes={"balanced": {"steps": 2}}))
    with pytest.raises(ModelError, match="does not fit its configuration .unknown"):
        load(folder)


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
