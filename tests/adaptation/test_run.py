"""Adaptation from end to end with a very small model, and what one cannot adapt to."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from speechduet.adaptation import Adaptation, Verdict, adapt
from speechduet.adaptation.checking import check_noise, kept_energy
from speechduet.adaptation.folder import MODEL, claimed, discard
from speechduet.cli import app
from speechduet.data import Recordings
from speechduet.errors import AudioError, SettingError
from speechduet.files.partial import _host
from speechduet.model.find import BUNDLED, load_any
from speechduet.model.folder import load

pytest.importorskip("lightning", reason="needs the extra train")
pytest.importorskip("pesq", reason="needs the extra evaluation")

RATE = 16_000


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
    assert "\n\nThe adapted model was kept: " in result.stdout
    assert result.stdout.endswith(f".\n\n{output}\n")
    assert f"enhance NOISY -o ENHANCED --model {output}" in result.stderr
    said = iter(result.stderr.splitlines())
    for phase in (
        "note: scoring tiny on 2 held-out mixtures each: in your noise, in other noise, of speech",
        "Scoring: 1 of 6 mixtures, about",
        "Scoring: 6 of 6 mixtures",
        "note: training tiny: 2 steps",
        "step 1/2",
        "step 2/2",
        "note: scoring tiny_adapted on 2",
        "Scoring: 6 of 6 mixtures",
    ):
        assert any(line.startswith(phase) for line in said), phase  # in this order
    adapted = load(output)
    assert adapted.name == "tiny_adapted"
    record = adapted.metadata["adaptation"]
    assert (record["base"], record["noise_seconds"]) == ("tiny", 12)
    pesq = record["changes_on_held_out_mixtures"]["own"]["pesq"]
    assert pesq["n"] == 2 and round(pesq["mean"], 4) == pesq["mean"]
    before = load(tiny_model).system.state_dict()
    after = adapted.system.state_dict()
    assert any(not before[name].allclose(after[name], atol=1e-4) for name in before)
    assert all(before[name].allclose(after[name], atol=1e-2) for name in before)
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
    assert (
        "the adapted model was not kept: no score in your noise certainly and noticeably rose"
        in result.stderr
    )
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
    with pytest.raises(SettingError, match="with another number of steps or seed"):
        adapt(noise, speech, output, tiny_model, Adaptation(steps=3), said.append)
    adapt(noise, speech, output, tiny_model, settings, said.append)
    assert any("is trained already: what is left is the scoring" in text for text in said)
    assert not (tmp_path / "adapted.adapting").exists()


def test_what_is_interrupted_says_so(
    monkeypatch: pytest.MonkeyPatch, noise: Path, speech: Path, tiny_model: Path, tmp_path: Path
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("speechduet.adaptation.run.judge", interrupt)
    result = command(noise, speech, tmp_path / "adapted", tiny_model)
    assert result.exit_code != 0 and "interrupted: the same command" in result.stderr
    # Nothing was trained, so there is nothing to keep.
    assert not list(tmp_path.glob("adapted*"))


def test_speech_has_to_be_given(noise: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["adapt", str(noise), "-o", str(tmp_path / "adapted")])
    assert result.exit_code == 2
    assert "--speech" in result.output


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


@pytest.mark.parametrize("link", [False, True])
def test_what_is_in_the_way_is_said_before_any_work(
    noise: Path, speech: Path, tiny_model: Path, tmp_path: Path, link: bool
) -> None:
    output, run = tmp_path / "new", tmp_path / "new.adapting"
    if link:
        output.symlink_to(tmp_path / "nowhere")
    else:
        run.touch()
    result = command(noise, speech, output, tiny_model)
    assert result.exit_code == 2
    assert ("is there" if link else "new.adapting is not a folder") in result.stderr
    assert output.is_symlink() == link and run.exists() != link


def test_a_model_and_the_recordings_stay_as_they_are(
    noise: Path, speech: Path, tiny_model: Path, tmp_path: Path
) -> None:
    for place in (tiny_model / "new", BUNDLED / "new"):
        result = command(noise, speech, place, tiny_model)
        assert result.exit_code == 2 and "is within the folder of a model" in result.stderr
        assert not list(place.parent.glob("new*"))
    result = command(noise, noise.parent, tmp_path.parent / "new", tiny_model)
    assert result.exit_code == 2
    with pytest.raises(SettingError, match="overlap; expected a folder of noise and one of spee"):
        adapt(noise, noise, tmp_path / "out", tiny_model, notify=lambda _: None)


def test_links_do_not_make_speech_noise(
    noise: Path, speech: Path, tiny_model: Path, tmp_path: Path
) -> None:
    talk, first = tmp_path / "talk", sorted(speech.iterdir())[0]
    shutil.copytree(speech, talk)
    for folder, place, count in (
        (noise, tmp_path, 4),  # a parent of both
        (noise, talk, 4),
        (noise, talk / first.name, 1),
        (talk, noise, 1),
        (talk, noise / "hum.wav", 1),
    ):
        link = folder / f"link{place.suffix}"
        link.symlink_to(place)
        with pytest.raises(SettingError, match=f"overlap: {count} recordings are in both, such"):
            adapt(noise, talk, tmp_path / "out", tiny_model, notify=lambda _: None)
        link.unlink()


def test_recordings_that_were_refused_may_be_mended(
    noise: Path, speech: Path, tiny_model: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    short = noise / "short"
    short.mkdir()
    (short / "gone.wav").symlink_to(tmp_path / "nowhere")
    soundfile.write(short / "a.wav", np.random.default_rng(0).normal(0, 0.1, 3 * RATE), RATE)
    with pytest.raises(AudioError, match="3.0 s of noise"):
        adapt(short, speech, output, tiny_model, notify=lambda _: None)
    assert not list(tmp_path.glob("out*"))


def test_before_training_an_adaptation_may_become_another(tmp_path: Path) -> None:
    place = tmp_path / "adapted.adapting"
    place.mkdir()
    left = f".speechduet-{_host()}-{2**22 + 1}-1-0123abcd"
    (place / f"{left}.partial").touch()
    (tmp_path / f"{left}.folder").mkdir()
    (place / "adaptation.json").write_text('{"steps": 1}')  # as of one that was killed
    with claimed(place, {"steps": 2}):
        assert (place / "adaptation.json").read_text() == '{"steps": 2}'
        assert [path.name for path in tmp_path.iterdir()] == ["adapted.adapting"]
    assert not place.exists()


def test_two_adaptations_do_not_share_a_folder(tmp_path: Path) -> None:
    place = tmp_path / "adapted.adapting"
    with claimed(place, {"steps": 2}):
        again = claimed(place, {"steps": 2})
        with pytest.raises(SettingError, match="another adaptation is at work"):
            again.__enter__()
        assert (place / "adaptation.json").is_file()


def test_a_folder_of_somebody_elses_is_refused(tmp_path: Path) -> None:
    place = tmp_path / "adapted.adapting"
    place.mkdir()
    (place / "diary.txt").touch()
    with pytest.raises(SettingError, match="delete it to start again"), claimed(place, {}):
        pass
    assert (place / "diary.txt").exists()


def test_what_is_gone_on_from_is_known_until_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "adapted.adapting"
    with claimed(place, {"steps": 2}):
        for name in ("last.ckpt", "best/config.json", "model/config.json"):
            (place / name).parent.mkdir(exist_ok=True)
            (place / name).touch()
    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        # As if it were killed before the model is removed, which then is no whole one ...
        context.setattr("speechduet.adaptation.folder.shutil.rmtree", interrupted_at(place / MODEL))
        discard(place)
    assert not (place / "model/config.json").exists()
    with monkeypatch.context() as context, pytest.raises(KeyboardInterrupt):
        # ... and before the last of it is removed.
        context.setattr("speechduet.adaptation.folder.shutil.rmtree", interrupted_at(place))
        discard(place)
    assert sorted(path.name for path in place.iterdir()) == ["adaptation.json", "lock"]
    with claimed(place, {"steps": 2}):
        discard(place)
    assert not place.exists()


def interrupted_at(place: Path) -> Callable[[Path], None]:
    remove = shutil.rmtree

    def rmtree(path: Path) -> None:
        if path == place:
            raise KeyboardInterrupt
        remove(path)

    return rmtree
