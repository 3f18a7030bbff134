"""Checkpoints of the public code: what is read, and what is refused."""

import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from released_weights import SETTINGS, SIZE, upstream_names
from speechduet.errors import ModelError
from speechduet.model.find import load_any
from speechduet.model.folder import load
from speechduet.model.upstream import released
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck
from speechduet.sampler import Sampling


def assert_same_weights(found: System, expected: System) -> None:
    for name, value in expected.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value, rtol=0, atol=0)


def test_weights_dimensions_and_settings(save: Callable[..., Path], system: System) -> None:
    recorded = {
        **SETTINGS,
        "theta": 2.0,
        "sigma_max": 1.0,
        "t_eps": 0.05,
        "spec_factor": 0.33,
        "sr": 16_000,
    }
    pretrained = released.load(save(hyper_parameters=recorded))
    assert pretrained.system.backbone == SIZE
    assert pretrained.system.process == OrnsteinUhlenbeck(2.0, 0.05, 1.0, 0.05)
    assert pretrained.spectrogram.factor == 0.33
    assert pretrained.modes == {"balanced": Sampling(steps=30), "best": Sampling(steps=30)}
    assert not pretrained.system.training
    assert not any(p.requires_grad for p in pretrained.system.parameters())
    assert_same_weights(pretrained.system, system)


@pytest.mark.parametrize("fixed", [True, False], ids=["torch_ema 0.3", "before 0.3"])
def test_averaged_weights_are_taken(save: Callable[..., Path], system: System, fixed: bool) -> None:
    weights = upstream_names(system)
    averages = [
        value + 1 for name, value in weights.items() if fixed or name != "dnn.all_modules.0.W"
    ]
    loaded = released.load(save(ema={"decay": 0.999, "shadow_params": averages})).system
    found, expected = loaded.state_dict(), system.state_dict()
    for name in expected:
        shift = 1 if fixed or name != "encoder.embedding.frequencies" else 0
        torch.testing.assert_close(found[name], expected[name] + shift, rtol=0, atol=0)


def test_averaged_weights_that_do_not_fit(save: Callable[..., Path], system: System) -> None:
    with pytest.raises(ModelError, match=r"3 averaged \(EMA\) parameters"):
        released.load(save(ema={"shadow_params": [torch.zeros(1)] * 3}))
    wrong = [torch.zeros(1) for _ in upstream_names(system)]
    with pytest.raises(ModelError, match="differs in shape"):
        released.load(save(ema={"shadow_params": wrong}))


def test_conversion_keeps_the_system(save: Callable[..., Path], tmp_path: Path) -> None:
    path = save()
    converted = released.convert(path, tmp_path / "model")
    again = load(tmp_path / "model")
    assert again.modes == converted.modes and again.name == "tiny"
    assert again.spectrogram == converted.spectrogram
    assert_same_weights(again.system, converted.system)
    assert_same_weights(load_any(path).system, converted.system)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("backbone", "ncsnpp_v2", "backbone is 'ncsnpp_v2'; expected 'ncsnpp'"),
        ("sde", "sbve", "sde is 'sbve'; expected 'ouve'"),
        ("window", "sqrthann", "window is 'sqrthann'"),
        ("ch_mult", [1, 1, 2], r"recorded ch_mult is \[1, 1, 2\], but the weights' is \(1, 2\)"),
        ("nf", 128, "recorded nf is 128, but the weights' is 4"),
        ("theta", -1.0, "theta is -1.0; expected a number above 0"),
        ("n_fft", "many", "n_fft is 'many'"),
        ("n_fft", 512, "bins is 257; expected a multiple of 2"),
    ],
)
def test_settings_that_are_not_understood(
    save: Callable[..., Path], name: str, value: Any, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        released.load(save(hyper_parameters={**SETTINGS, name: value}))


def test_incomplete_or_foreign_weights(save: Callable[..., Path], system: System) -> None:
    weights = upstream_names(system)
    lacking = {k: v for k, v in weights.items() if k != "dnn.all_modules.5.Conv_1.bias"}
    with pytest.raises(ModelError, match="lacks"):
        released.load(save(state_dict=lacking))
    with pytest.raises(ModelError, match="unknown weights"):
        released.load(save(state_dict={**weights, "dnn.all_modules.99.weight": torch.zeros(1)}))
    with pytest.raises(ModelError, match="networks generator"):
        released.load(save(state_dict={"generator.weight": torch.zeros(1)}))
    with pytest.raises(ModelError, match="not the weights of an NCSN"):
        released.load(save(state_dict={"dnn.output_layer.weight": torch.zeros(2, 4, 1, 1)}))
    with pytest.raises(ModelError, match="it has no 'hyper_parameters'"):
        released.load(save(hyper_parameters=None))


def test_other_files(tmp_path: Path, save: Callable[..., Path]) -> None:
    path = tmp_path / "file.ckpt"
    with pytest.raises(ModelError, match="does not exist"):
        released.load(path)
    path.write_bytes(b"")
    with pytest.raises(ModelError, match="is empty"):
        released.load(path)
    path.write_bytes(b"RIFF....WAVE")
    with pytest.raises(ModelError, match="is no checkpoint; expected a checkpoint of torch.save"):
        released.load(path)
    torch.save({"state_dict": {}}, path, _use_new_zipfile_serialization=False)
    with pytest.raises(ModelError, match=r"bare pickle or torch's format before 1\.6"):
        released.load(path)
    path.write_bytes(pickle.dumps({}))
    with pytest.raises(ModelError, match="bare pickle"):
        released.load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme", "hello")
    with pytest.raises(ModelError, match="zip archive without a torch pickle"):
        released.load(path)
    whole = save().read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match="truncated or damaged"):
        released.load(path)
    with pytest.raises(ModelError, match="cannot be read"):
        released.load(tmp_path)


def test_a_tensor_outside_its_storage(tmp_path: Path, save: Callable[..., Path]) -> None:
    damaged = tmp_path / "damaged.ckpt"
    with zipfile.ZipFile(save()) as whole, zipfile.ZipFile(damaged, "w") as broken:
        for entry in whole.infolist():
            data = whole.read(entry)
            broken.writestr(entry.filename, data[:5] if "/data/" in entry.filename else data)
    with pytest.raises(ModelError, match="is damaged .*outside its storage"):
        released.load(damaged)


def test_a_damaged_archive(tmp_path: Path, save: Callable[..., Path]) -> None:
    """Whatever byte is wrong, the error says which file and is one line."""
    whole, damaged = save().read_bytes(), tmp_path / "damaged.ckpt"
    generator = torch.Generator().manual_seed(0)
    for position in torch.randint(4, len(whole), (60,), generator=generator).tolist():
        changed = bytearray(whole)
        changed[position] ^= 0xFF
        damaged.write_bytes(changed)
        try:
            released.load(damaged)
        except ModelError as error:
            assert str(damaged) in str(error) and "\n" not in str(error)


@pytest.mark.parametrize(
    "name",
    ["epoch=326-step=408750.ckpt", "epoch%3D326-step%3D408750.ckpt", "epoch_326-step_408750.ckpt"],
)
def test_settings_are_filled_in_by_the_published_name(save: Callable[..., Path], name: str) -> None:
    model = released.load(save().rename(save().with_name(name)))
    assert {mode: (s.steps, s.corrector_snr) for mode, s in model.modes.items()} == {
        "balanced": (50, 0.33),
        "best": (50, 0.33),
    }
    assert "steps 50, corrector_snr 0.33, filled in" in model.metadata["published_file"]


def test_other_names_have_the_defaults(save: Callable[..., Path]) -> None:
    path = save()
    for name in ("epoch=326-step=408751.ckpt", "train_vb_29nqe0uh_epoch=115.ckpt"):
        path = path.rename(path.with_name(name))
        model = released.load(path)
        assert {(s.steps, s.corrector_snr) for s in model.modes.values()} == {(30, 0.5)}
    assert "VoiceBank-DEMAND; by its name, sampling with the defaults" in str(model.metadata)


def test_a_name_counts_for_its_system_only(shared: Path, tmp_path: Path) -> None:
    other = tmp_path / "epoch=326-step=408750.ckpt"
    other.symlink_to(shared / "reference/storm.ckpt")
    model = released.load(other)
    assert model.modes["best"].corrector_snr == 0.5 and "published_file" not in model.metadata
