"""Checkpoints of the public code: what is read, and what is refused."""

import collections
import os
import pickle
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from speechduet.errors import ModelError
from speechduet.model.find import load_any
from speechduet.model.folder import load
from speechduet.model.upstream import released
from speechduet.model.upstream.archive import Archive, Placeholder
from speechduet.model.upstream.ncsnpp import layer_order
from speechduet.network.ncsnpp import NCSNpp
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck
from speechduet.sampler import Sampling

SIZE = NCSNpp(base_channels=4, multipliers=(1, 2), residual_blocks=1, attention_bins=(128,))
SETTINGS: dict[str, Any] = {"backbone": "ncsnpp", "sde": "ouve", "nf": 4, "num_res_blocks": 1}


def upstream_names(system: System) -> dict[str, Tensor]:
    """The weights of an SGMSE+ under their names in the public code."""
    state = system.state_dict()
    named = {
        f"dnn.output_layer.{kind}": state[f"generative_decoder.output.{kind}"]
        for kind in ("weight", "bias")
    }
    for index, (layer, parts) in enumerate(
        layer_order(SIZE, True, "encoder", "generative_decoder")
    ):
        for part, ours in parts.items():
            for kind in ("weight", "bias", "frequencies"):
                value = state.get(f"{layer}{ours}.{kind}")
                if value is None:
                    continue
                nin = part.startswith("NIN")
                theirs = {"weight": "W" if nin else "weight", "bias": "b" if nin else "bias"}
                leaf = theirs.get(kind, "W")
                name = f"dnn.all_modules.{index}.{part}.{leaf}".replace("..", ".")
                named[name] = value.t().contiguous() if nin and kind == "weight" else value
    return named


@pytest.fixture
def system() -> System:
    return System(released.SGMSE_PLUS.recipe.layout, OrnsteinUhlenbeck(), SIZE)


@pytest.fixture
def save(tmp_path: Path, system: System) -> Callable[..., Path]:
    """Writes a checkpoint, with the given sections instead of good ones."""

    def write(**sections: Any) -> Path:
        content = {"state_dict": upstream_names(system), "hyper_parameters": SETTINGS}
        path = tmp_path / "tiny.ckpt"
        torch.save({**content, **sections}, path)
        return path

    return write


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


class Hostile:
    """Asks the reader of a pickle to call something."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, r"(posix|nt)\.system"),
        (eval, r"builtins\.eval"),
        (exec, r"builtins\.exec"),
        (getattr, r"builtins\.getattr"),
        (subprocess.Popen, r"subprocess\.Popen"),
        (torch.load, r"torch\.serialization\.load"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_pickle_that_runs_something_is_refused_by_name(
    save: Callable[..., Path], tmp_path: Path, function: Callable[..., Any], name: str
) -> None:
    mark = tmp_path / "was here"
    hostile = Hostile(function, f"touch '{mark}'")
    with pytest.raises(ModelError, match=f"refused: the checkpoint tries to run {name}"):
        released.load(save(callbacks=hostile))
    assert not mark.exists()


@pytest.mark.parametrize("protocol", [2, pickle.HIGHEST_PROTOCOL])
def test_a_bare_pickle_that_runs_something_is_refused_by_name(
    tmp_path: Path, protocol: int
) -> None:
    path = tmp_path / "hostile.ckpt"
    with path.open("wb") as file:
        pickle.dump("harmless", file, protocol)
        pickle.dump({"state_dict": Hostile(os.system, "false")}, file, protocol)
    with pytest.raises(ModelError, match=r"refused: .*(posix|nt)\.system"):
        released.load(path)


class Unknown:
    """A class that the reader must neither import nor build."""

    built = 0

    def __init__(self) -> None:
        Unknown.built += 1

    def __setstate__(self, state: Any) -> None:
        Unknown.built += 1


class UnknownDictionary(dict[str, Any]):
    """As Lightning keeps settings in."""


def test_unknown_classes_become_inert_placeholders(tmp_path: Path) -> None:
    thing = Unknown()
    thing.state = 1  # type: ignore[attr-defined]
    before = Unknown.built
    path = tmp_path / "archive.pt"
    torch.save(
        {
            "class": Unknown,
            "instance": thing,
            "dictionary": UnknownDictionary(theta=1.5),
            "path": Path("/tmp"),
            "bytes": b"\x00\xff",
            "set": {1, 2},
            "shape": torch.Size([2, 3]),
            "order": collections.OrderedDict(a=1),
            "default": collections.defaultdict(list, {1: [2]}),
            "number": 1 + 2j,
            "half": torch.arange(6.0).half().reshape(2, 3).t(),
            "none": torch.zeros(0, 3),
        },
        path,
    )
    with Archive(path) as archive:
        found = archive.content
        assert issubclass(found["class"], Placeholder)
        assert isinstance(found["instance"], Placeholder) and not hasattr(
            found["instance"], "state"
        )
        assert found["dictionary"] == {"theta": 1.5}
        assert isinstance(found["path"], Placeholder)
        assert found["bytes"] == b"\x00\xff" and found["set"] == {1, 2}
        assert found["shape"] == (2, 3) and found["order"] == {"a": 1}
        assert found["default"] == {1: [2]} and found["number"] == 1 + 2j
        half = archive.tensor(found["half"])
        torch.testing.assert_close(half, torch.arange(6.0).half().reshape(2, 3).t())
        assert archive.tensor(found["none"]).shape == (0, 3)
    assert Unknown.built == before


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
    for position in torch.randint(4, len(whole), (150,), generator=generator).tolist():
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
