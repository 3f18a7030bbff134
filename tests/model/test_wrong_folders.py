"""Model folders that are damaged or do not fit together: an error in one line, that names it."""

import json
from collections.abc import Callable
from errno import EACCES
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from speechduet.errors import ModelError
from speechduet.model.folder import Pretrained, load, save
from speechduet.network.layout import Layout
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small system with random weights."""
    network = NCSNpp(base_channels=4, multipliers=(1, 1), residual_blocks=1, attention_bins=())
    layout = Layout(generative=True, predictive="shared")
    system = System(layout, OrnsteinUhlenbeck(), network)
    modes = {"fast": Sampling(steps=0), "best": Sampling(steps=3, alpha=0.2, beta=0.1)}
    save(Pretrained("tiny", system, Spectrogram(), modes, {}), tmp_path / "model")
    return tmp_path / "model"


def edit(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


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


def test_a_folder_that_may_not_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def denied(path: Path) -> bool:
        raise PermissionError(EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "is_file", denied)
    with pytest.raises(ModelError, match=f"cannot read {folder}: Permission denied"):
        load(folder)


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
