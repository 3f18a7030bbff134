"""An interrupted adaptation goes on with the same model and recordings, however spelled."""

import json
import os
import shutil
from pathlib import Path

import pytest

from speechduet.adaptation import Adaptation, adapt
from speechduet.adaptation.folder import identity
from speechduet.errors import SettingError
from speechduet.model.find import load_any

pytest.importorskip("lightning", reason="needs the extra train")
pytest.importorskip("pesq", reason="needs the extra evaluation")


def interrupt(*_: object) -> None:
    raise KeyboardInterrupt


@pytest.mark.slow
def test_what_is_spelled_otherwise_is_the_same(
    monkeypatch: pytest.MonkeyPatch, noise: Path, speech: Path, tiny_model: Path, tmp_path: Path
) -> None:
    base, said = tmp_path / "base", []
    shutil.copytree(tiny_model, base)
    monkeypatch.chdir(tmp_path)
    output, settings = tmp_path / "adapted", Adaptation(steps=2)
    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr("speechduet.training.run.save_model", interrupt)
        adapt(Path("noise"), speech, output, "base", settings, said.append)
    assert (tmp_path / "adapted.adapting" / "last.ckpt").is_file()

    config = json.loads((base / "config.json").read_text())
    config["modes"]["balanced"]["beta"] = 0.25
    other = tmp_path / "other"
    shutil.copytree(base, other)
    (other / "config.json").write_text(json.dumps(config))
    with pytest.raises(SettingError, match="holds an adaptation to other recordings, of another m"):
        adapt(noise, speech, output, other, settings, said.append)

    for spelled in ("base/", "./base", str(base)):
        with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
            context.setattr("speechduet.training.run.save_model", interrupt)
            adapt(noise, speech, output, spelled, settings, said.append)
    moved = base.rename(tmp_path / "moved")
    adapt(Path(os.path.relpath(noise)), speech, output, moved, settings, said.append)
    assert not any("another setting" in text for text in said)
    assert said.count("training tiny: 2 steps") == 1
    assert said.count("going on with training tiny: 2 steps") == 4


def test_recordings_are_known_by_their_place_in_their_folder(
    noise: Path, speech: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    model = load_any(tiny_model)
    known = identity(model, noise, speech, {})
    monkeypatch.chdir(tmp_path)
    assert identity(model, Path("noise"), Path("noise/..") / speech, {}) == known
    moved = noise.rename(tmp_path / "moved")
    assert identity(model, moved, speech, {}) == known
    (moved / "hum.wav").rename(moved / "fan.wav")
    assert identity(model, moved, speech, {}) != known


def test_noise_is_not_taken_for_speech(noise: Path, tiny_model: Path, tmp_path: Path) -> None:
    """The same recordings in the other folder are others."""
    model, nothing = load_any(tiny_model), tmp_path / "nothing"
    nothing.mkdir()
    assert identity(model, noise, nothing, {}) != identity(model, nothing, noise, {})
