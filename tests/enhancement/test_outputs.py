"""What comes out of a file: tags, levels and rates, with a confidence file or not at all."""

import os
import resource
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile

from speechduet.audio import write
from speechduet.audio.tags import read_tags
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.files import enhance_file
from speechduet.errors import AudioError, SpeechduetError


def tones(samples: int, sample_rate: int, channels: int = 1) -> np.ndarray[Any, Any]:
    times = np.arange(samples) / sample_rate
    return (0.4 * np.sin(600 * np.pi * np.arange(1, channels + 1)[:, None] * times)).astype("f")


def refused(
    tmp_path: Path, enhancer: Enhancer, target: str = "out.wav", **settings: Any
) -> SpeechduetError:
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SpeechduetError) as caught:
        enhance_file(tmp_path / "in.wav", tmp_path / target, enhancer, **settings)
    assert "\n" not in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before
    return caught.value


def test_tags_survive_and_what_does_not_is_said_on_request(
    tmp_path: Path, unchanging: Enhancer
) -> None:
    with soundfile.SoundFile(tmp_path / "in.flac", "w", 16_000, 1) as file:
        file.title = "Gespräch"
        file.write(tones(16_000, 16_000)[0])
    for name, expected in (("out.mp3", []), ("out.au", ["title"])):
        said: list[str] = []
        for verbose in (False, True):
            enhance_file(
                *(tmp_path / "in.flac", tmp_path / name, unchanging),
                notify=said.append,
                verbose=verbose,
            )
        assert [line.split()[-1] for line in said] == expected
    assert dict(read_tags(tmp_path / "out.mp3").texts)["title"] == "Gespräch"


def test_clipping_is_said_once(tmp_path: Path, unchanging: Enhancer) -> None:
    soundfile.write(tmp_path / "in.wav", 4 * tones(40_000, 16_000)[0], 16_000, "FLOAT")
    said: list[str] = []
    for name in ("out.flac", "out.wav", "out.mp3"):
        enhance_file(tmp_path / "in.wav", tmp_path / name, unchanging, notify=said.append)
    assert [Path(line.split(": ")[0]).name for line in said] == ["out.flac", "out.mp3"]
    assert "of 40,000 samples clipped (peak 1.6" in said[0]


@pytest.mark.parametrize("suffix", [".opus", ".mp3"])
def test_a_rate_that_the_target_has_not(tmp_path: Path, unchanging: Enhancer, suffix: str) -> None:
    write(tmp_path / "in.wav", tones(96_000, 96_000, 2), 96_000)
    said: list[str] = []
    target = tmp_path / f"out{suffix}"
    duration_s = enhance_file(tmp_path / "in.wav", target, unchanging, notify=said.append)
    info = soundfile.info(target)
    assert (duration_s, info.samplerate, info.frames) == (1.0, 48_000, 48_000)
    assert len(said) == 1 and "96000 Hz" in said[0] and "48000 Hz (48,000 samples)" in said[0]


def test_mp3_inside_wav_becomes_pcm(tmp_path: Path, unchanging: Enhancer) -> None:
    with av.open(str(tmp_path / "in.wav"), "w") as container:
        stream = container.add_stream("libmp3lame", rate=16_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tones(32_000, 16_000), "fltp", "mono")
        frame.sample_rate, frame.pts = 16_000, 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert soundfile.info(tmp_path / "in.wav").subtype == "MPEG_LAYER_III"
    for name in ("out.wav", "out.flac", "out.aiff"):
        enhance_file(tmp_path / "in.wav", tmp_path / name, unchanging)
        assert soundfile.info(tmp_path / name).subtype == "PCM_16"
        assert abs(soundfile.info(tmp_path / name).frames - 32_000) < 3000


# A recording and its confidence file


def test_both_files_of_a_recording_appear(tmp_path: Path, unchanging: Enhancer) -> None:
    write(tmp_path / "in.wav", tones(20_000, 16_000), 16_000)
    files = (tmp_path / "deep" / "out.wav", tmp_path / "maps" / "map.npz")
    enhance_file(tmp_path / "in.wav", files[0], unchanging, confidence=files[1])
    assert all(path.is_file() for path in files)
    assert len(list(tmp_path.rglob("*"))) == 5


@pytest.mark.parametrize("place", ["file/map.npz", "folder.npz"])
def test_no_audio_without_its_confidence_file(
    tmp_path: Path, unchanging: Enhancer, place: str
) -> None:
    write(tmp_path / "in.wav", tones(20_000, 16_000), 16_000)
    (tmp_path / "file").touch()
    (tmp_path / "folder.npz").mkdir()
    before = (tmp_path / "in.wav").stat()
    error = refused(tmp_path, unchanging, "deep/out.wav", confidence=tmp_path / place)
    assert Path(place).name in str(error)
    assert (tmp_path / "in.wav").stat().st_mtime == before.st_mtime


@pytest.mark.parametrize("failing", ["out.wav", "map.npz"])
def test_none_appears_if_one_cannot_take_its_name(
    tmp_path: Path, unchanging: Enhancer, failing: str
) -> None:
    write(tmp_path / "in.wav", tones(20_000, 16_000), 16_000)

    def block(done_s: float, whole_s: float) -> None:
        (tmp_path / failing).mkdir(exist_ok=True)

    with pytest.raises(AudioError, match=f"cannot write .*{failing}"):
        enhance_file(
            *(tmp_path / "in.wav", tmp_path / "out.wav", unchanging),
            confidence=tmp_path / "map.npz",
            progress=block,
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["in.wav", failing])


def test_no_audio_if_the_disk_is_full_of_its_map(tmp_path: Path, unchanging: Enhancer) -> None:
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, 4000)
    soundfile.write(tmp_path / "in.wav", noise, 16_000)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Enough for the audio, and too little for the picture.
    resource.setrlimit(resource.RLIMIT_FSIZE, (17_000, before[1]))
    try:
        error = refused(tmp_path, unchanging, confidence=tmp_path / "map.png")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert str(error).startswith("cannot write ") and "map.png" in str(error)


@pytest.mark.parametrize("kind", ["device", "pipe", "folder"])
def test_a_target_that_is_no_file(tmp_path: Path, unchanging: Enhancer, kind: str) -> None:
    write(tmp_path / "in.wav", tones(1000, 16_000), 16_000)
    target = tmp_path / "out.wav"
    if kind == "device":
        target.symlink_to("/dev/null")
    elif kind == "pipe":
        os.mkfifo(target)
    else:
        target.mkdir()
    assert "out.wav is not a file but a" in str(refused(tmp_path, unchanging))
    with pytest.raises(AudioError, match="/dev/null is not a file but a device"):
        enhance_file(tmp_path / "in.wav", "/dev/null", unchanging)


def test_no_folder_is_left_by_a_failure(tmp_path: Path, unchanging: Enhancer) -> None:
    (tmp_path / "in.wav").write_bytes(b"no sound at all")
    refused(tmp_path, unchanging, "a/b/out.wav")
    soundfile.write(tmp_path / "in.wav", np.full(9000, np.nan), 16_000, "FLOAT")
    refused(tmp_path, unchanging, "a/b/out.wav")
