"""Adaptation from end to end with a very small model, and what one cannot adapt to."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from speechduet.adaptation import Adaptation, Verdict, adapt, verdict
from speechduet.adaptation.checking import check_noise, kept_energy
from speechduet.adaptation.run import _claim, _discard
from speechduet.cli import app
from speechduet.data import Recordings
from speechduet.errors import AudioError, SettingError
from speechduet.files.partial import _host
from speechduet.model.find import load_any
from speechduet.model.folder import load

pytest.importorskip("lightning", reason="needs the extra train")
pytest.importorskip("pesq", reason="needs the extra evaluation")

RATE = 16_000


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    folder = tmp_path / "noise"
    folder.mkdir()
    hum = np.random.default_rng(0).normal(0, 0.1, 12 * RATE)
    soundfile.write(folder / "hum.wav", hum, RATE)
    return folder


@pytest.fixture
def speech(root: Path) -> Path:
    return root / "samples" / "clean"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few pairs and stretches, for the time they take."""
    monkeypatch.setattr(verdict, "PAIRS", 2)
    monkeypatch.setattr("speechduet.adaptation.checking._STRETCHES", 2)


def command(noise: Path, speech: Path, output: Path, model: Path, *more: str):
    arguments = ["adapt", str(noise), "--speech", str(speech), "-o", str(output)]
    return CliRunner().invoke(app, [*arguments, "-m", str(model), "--steps", "2", *more])


@pytest.mark.slow
def test_what_is_accepted_becomes_a_model(
    monkeypatch: pytest.MonkeyPatch, noise: Path, speech: Path, tiny_model: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(Verdict, "accepted", True)
    output = tmp_path / "models" / "adapted"
    result = command(noise, speech, output, tiny_model)
    assert result.exit_code == 0, result.stderr
    assert "Your noise, the held-out part of each recording:" in result.stdout
    assert result.stdout.endswith(f"{output}\n")
    adapted = load(output)
    assert adapted.name == "tiny_adapted"
    record = adapted.metadata["adaptation"]
    assert (record["base"], record["noise_seconds"]) == ("tiny", 12)
    assert record["changes_on_held_out_mixtures"]["own"]["pesq"]["n"] == 2
    before = load(tiny_model).system.state_dict()
    after = adapted.system.state_dict()
    assert any(not before[name].allclose(after[name], atol=1e-4) for name in before)
    assert [path.name for path in output.parent.iterdir()] == ["adapted"]


@pytest.mark.slow
def test_what_is_refused_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, noise: Path, speech: Path, tiny_model: Path, tmp_path: Path
) -> None:
    monkeypatch.setattr(Verdict, "gained", False)
    monkeypatch.setattr(Verdict, "losses", [])
    output = tmp_path / "models" / "adapted"
    result = command(noise, speech, output, tiny_model)
    assert result.exit_code == 1
    assert "the adapted model was not kept: no score in your noise certainly rose" in result.stderr
    assert not list(output.parent.iterdir())


@pytest.mark.slow
def test_an_interrupted_adaptation_goes_on(
    monkeypatch: pytest.MonkeyPatch, noise: Path, speech: Path, tiny_model: Path, tmp_path: Path
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    output, said = tmp_path / "adapted", []
    settings = Adaptation(steps=2)
    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        context.setattr("speechduet.adaptation.run.load", interrupt)
        adapt(noise, speech, output, tiny_model, settings, said.append)
    assert (tmp_path / "adapted.adapting" / "last.ckpt").is_file()
    with pytest.raises(SettingError, match="other recordings, of another model or with other ste"):
        adapt(noise, speech, output, tiny_model, Adaptation(steps=3), said.append)
    adapt(noise, speech, output, tiny_model, settings, said.append)
    assert any("is complete after step 2" in text for text in said)
    assert not (tmp_path / "adapted.adapting").exists()


def test_speech_is_no_noise(root: Path) -> None:
    pretrained = load_any()
    talk = Recordings(root / "samples" / "clean", RATE, notify=lambda _: None)
    assert kept_energy(talk, RATE, pretrained).min() > 0.5
    with pytest.raises(AudioError, match="most of the noise sounds like speech"):
        check_noise(talk, RATE, pretrained)


def test_noise_is_no_speech(noise: Path) -> None:
    recordings = Recordings(noise, RATE)
    assert kept_energy(recordings, RATE, load_any()).max() < 0.1
    check_noise(recordings, RATE, load_any())


@pytest.mark.parametrize(
    ("seconds", "level", "message"),
    [
        (0, 0, "no recording in"),
        (3, 0.1, "3.0 s of noise; expected 10 s at least"),
        (12, 0, "all 1 recordings in .* are silent"),
        (-1, 0, "none of the 1 recordings in .* can be used"),
    ],
)
def test_what_one_cannot_adapt_to(
    tmp_path: Path, speech: Path, tiny_model: Path, seconds: int, level: float, message: str
) -> None:
    folder = tmp_path / "noise"
    folder.mkdir()
    if seconds > 0:
        hum = np.random.default_rng(0).normal(0, level, seconds * RATE)
        soundfile.write(folder / "hum.wav", hum, RATE)
    elif seconds < 0:
        (folder / "hum.wav").write_text("no sound")
    with pytest.raises(AudioError, match=message):
        adapt(folder, speech, tmp_path / "out", tiny_model, notify=lambda _: None)
    assert not (tmp_path / "out").exists()


def test_wrong_usage_is_said(noise: Path, speech: Path, tiny_model: Path, tmp_path: Path) -> None:
    there = command(noise, speech, tmp_path, tiny_model)
    assert there.exit_code == 2 and "is there; expected a new folder" in there.stderr
    inside = command(noise, speech, noise / "model", tiny_model)
    assert inside.exit_code == 2 and "apart from the folders that are read" in inside.stderr
    assert not list(noise.glob("model*"))


def test_one_that_was_killed_before_it_began_is_begun(tmp_path: Path) -> None:
    place = tmp_path / "adapted.adapting"
    place.mkdir()
    left = f".speechduet-{_host()}-{2**22 + 1}-1-0123abcd"
    (place / f"{left}.partial").touch()
    (tmp_path / f"{left}.folder").mkdir()
    _claim(place, {"steps": 2})
    assert [path.name for path in place.iterdir()] == ["adaptation.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["adapted.adapting"]


def test_a_folder_of_somebody_elses_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "adapted.adapting"
    place.mkdir()
    (place / "diary.txt").touch()
    with pytest.raises(SettingError, match="delete it to start again"):
        _claim(place, {"steps": 2})


def test_what_is_gone_on_from_is_known_until_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "adapted.adapting"
    _claim(place, {"steps": 2})
    (place / "best").mkdir()
    for name in ("last.ckpt", "best/config.json"):
        (place / name).touch()
    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        # As if it were killed before the last of it is removed.
        context.setattr("speechduet.adaptation.run.shutil.rmtree", interrupted_at(place))
        _discard(place)
    assert [path.name for path in place.iterdir()] == ["adaptation.json"]
    _claim(place, {"steps": 2})
    _discard(place)
    assert not place.exists()


def interrupted_at(place: Path) -> Callable[[Path], None]:
    remove = shutil.rmtree

    def rmtree(path: Path) -> None:
        if path == place:
            raise KeyboardInterrupt
        remove(path)

    return rmtree
