"""Tags, chunks of broadcast WAV and channel masks: from each container into each."""

import os
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from speechduet.audio import AudioFormat, Samples, read_blocks, target_format, write_blocks
from speechduet.audio.tags import NO_TAGS, Tags, read_tags

TEXTS = {
    "title": "Gespräch über 日本語 😀",
    "artist": "Ærøskøbing",
    "album": "Ämter",
    "date": "2024",
    "comment": "zweite Zeile\nfolgt",
    "genre": "Speech",
    "copyright": "© nobody",
    "track": "7",
}


def noise(samples: int = 9000, channels: int = 1) -> Samples:
    """``[samples, channels]``."""
    rng = np.random.default_rng(0)
    return rng.uniform(-0.3, 0.3, (samples, channels)).astype(np.float32)


Encode = Callable[..., None]
Copied = Callable[..., list[str]]


def heard_by_ffmpeg(path: Path) -> dict[str, str]:
    with av.open(str(path)) as container:
        found = {**container.streams.audio[0].metadata, **container.metadata}
    names = {"author": "artist", "tracknumber": "track", "description": "comment"}
    return {names.get(name.lower(), name.lower()): text for name, text in found.items()}


SOURCES = {
    "in.mp3": "libmp3lame",
    "in.flac": "flac",
    "in.ogg": "libopus",
    "in.opus": "libopus",
    "in.m4a": "aac",
    "in.wav": "pcm_s16le",
    "in.mka": "libopus",
}
TARGETS = [".wav", ".rf64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aiff", ".caf"]


@pytest.mark.parametrize("suffix", TARGETS)
@pytest.mark.parametrize("name", SOURCES)
def test_texts_survive_from_each_container_to_each(
    tmp_path: Path, name: str, suffix: str, copied: Copied, encode_tagged: Encode
) -> None:
    encode_tagged(tmp_path / name, SOURCES[name], TEXTS)
    target = tmp_path / f"out{suffix}"
    copied(tmp_path / name, target)
    found = heard_by_ffmpeg(target)
    assert {text: found.get(text) for text in TEXTS} == TEXTS
    assert {pair for pair in read_tags(target).common if pair[0] in TEXTS} == set(TEXTS.items())
    assert "Lavf" not in str(found) or suffix in (".wav", ".rf64"), "no encoder that it was not"


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".ogg", ".opus", ".mp3", ".aiff", ".caf"])
@pytest.mark.parametrize("name", ["in.flac", "in.ogg", "in.mp3"])
def test_texts_that_have_no_common_name(
    tmp_path: Path, name: str, suffix: str, copied: Copied, encode_tagged: Encode
) -> None:
    own = {"REPLAYGAIN_TRACK_GAIN": "-3.21 dB", "composer": "Wer", "Speaker ID": "p226"}
    encode_tagged(tmp_path / name, SOURCES[name], own)
    target = tmp_path / f"out{suffix}"
    copied(tmp_path / name, target)
    found = heard_by_ffmpeg(target)
    assert {text: found.get(text.lower()) for text in own} == own


@pytest.mark.parametrize("suffix", [".flac", ".ogg"])
def test_several_texts_of_one_name(tmp_path: Path, suffix: str) -> None:
    tags = Tags((("artist", "A"), ("artist", "B")))
    for path in (tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"):
        audio_format = target_format(AudioFormat(16_000, 1), path)
        write_blocks(path, audio_format, [noise()], tags=tags)
        tags = read_tags(path)
        assert tags.texts == (("artist", "A"), ("artist", "B"))


@pytest.mark.parametrize("suffix", [*TARGETS, ".w64", ".au"])
@pytest.mark.parametrize("samples", [1, 9001, 200_000])
def test_samples_and_length_do_not_care_for_tags(tmp_path: Path, suffix: str, samples: int) -> None:
    read = []
    long = ("comment", "x" * 30_000)
    chunk = Tags((long, *TEXTS.items()), mask=4)
    for name, tags in (("without", NO_TAGS), ("with", chunk)):
        path = tmp_path / f"{name}{suffix}"
        write_blocks(path, target_format(AudioFormat(48_000, 1), path), [noise(samples)], tags=tags)
        read.append(soundfile.read(path)[0])
        decoded = sum(len(block) for block in read_blocks(path))
        with av.open(str(path)) as container:
            by_ffmpeg = sum(frame.samples for frame in container.decode(audio=0))
        read.append(np.array([decoded, by_ffmpeg]))
    assert len(read[0]) == samples
    np.testing.assert_array_equal(read[0], read[2])
    np.testing.assert_array_equal(read[1], read[3])


def test_texts_larger_than_the_headers_of_ogg(tmp_path: Path) -> None:
    tags = Tags((("title", "kept"), ("lyrics", "la " * 30_000)))
    said: list[str] = []
    for suffix in (".ogg", ".opus"):
        path = tmp_path / f"x{suffix}"
        audio_format = target_format(AudioFormat(48_000, 1), path)
        write_blocks(path, audio_format, [noise()], tags=tags, notify=said.append, verbose=True)
        assert read_tags(path).texts == (("title", "kept"),)
        assert said.pop() == f"{path}: OGG does not keep lyrics"


def test_the_name_of_a_tag_is_shown_in_one_line(tmp_path: Path) -> None:
    path, said = tmp_path / "x.au", list[str]()
    tags = Tags((("one\ntwo\x1b[2J", "text"),))
    audio_format = target_format(AudioFormat(48_000, 1), path)
    write_blocks(path, audio_format, [noise()], tags=tags, notify=said.append, verbose=True)
    assert said == [f"{path}: AU does not keep one\\ntwo\\x1b[2J"]


# Damage


@pytest.mark.parametrize("name", ["in.wav", "in.flac", "in.ogg", "in.opus", "in.mp3", "in.m4a"])
def test_damaged_tags_never_fail(
    tmp_path: Path, name: str, rng: np.random.Generator, encode_tagged: Encode
) -> None:
    encode_tagged(tmp_path / name, SOURCES[name], TEXTS)
    data = (tmp_path / name).read_bytes()
    for _ in range(60):
        broken = bytearray(data[: rng.integers(len(data) // 2, len(data) + 1)])
        for place in rng.integers(0, min(600, len(broken)), 6):
            broken[place] = rng.integers(256)
        (tmp_path / name).write_bytes(broken)
        tags = read_tags(tmp_path / name)
        for suffix in TARGETS:
            target = tmp_path / f"out{suffix}"
            audio_format = target_format(AudioFormat(48_000, 1), target)
            write_blocks(target, audio_format, [noise(100)], tags=tags, notify=lambda _: None)
            assert soundfile.info(target).frames == 100


def test_a_missing_file_has_no_tags(tmp_path: Path) -> None:
    assert read_tags(tmp_path / "none.wav") == NO_TAGS


def test_cover_pictures_are_not_kept(tmp_path: Path, copied: Copied) -> None:
    soundfile.write(tmp_path / "in.mp3", noise(48_000), 48_000)
    picture = b"\0image/png\0\x03\0" + bytes.fromhex("89504e470d0a1a0a0000000d49484452") + bytes(20)
    frame = b"APIC" + bytes([0, 0, 0, len(picture)]) + b"\0\0" + picture
    tag = b"ID3\x04\0\0" + bytes([0, 0, 0, len(frame)]) + frame
    (tmp_path / "in.mp3").write_bytes(tag + (tmp_path / "in.mp3").read_bytes())
    (line,) = copied(tmp_path / "in.mp3", tmp_path / "out.mp3", verbose=True)
    assert line.endswith("does not keep the cover picture")


@pytest.mark.parametrize("name", [b"not utf8 \xff.m4a", b"pipe:1.m4a", b"http:x.m4a"], ids=ascii)
def test_a_file_of_any_name_has_its_tags(
    tmp_path: Path, name: bytes, encode_tagged: Encode
) -> None:
    encode_tagged(tmp_path / "in.m4a", "aac", {"title": "T"})
    path = (tmp_path / "in.m4a").rename(tmp_path / os.fsdecode(name))
    assert ("title", "T") in read_tags(path).texts
