"""Chunks of broadcast WAV and channel masks: kept as they are, or said where they cannot be."""

import struct
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from speechduet.audio import AudioFormat, Samples, target_format, write_blocks
from speechduet.audio.tags import Tags, read_tags

Copied = Callable[..., list[str]]
Encode = Callable[..., None]


def noise(samples: int = 9000, channels: int = 1) -> Samples:
    """``[samples, channels]``."""
    rng = np.random.default_rng(0)
    return rng.uniform(-0.3, 0.3, (samples, channels)).astype(np.float32)


# Broadcast WAV


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def bext(time_reference: int) -> bytes:
    body = b"a description".ljust(256, b"\0") + b"Recorder".ljust(32, b"\0") + b"REF1".ljust(32)
    body += b"2024-02-29" + b"12:34:56" + struct.pack("<QH", time_reference, 1)
    return body.ljust(602, b"\0") + b"A=PCM,F=48000,\r\n"


HEAD = [
    chunk(b"bext", bext(9_876_543_210)),
    chunk(b"iXML", b"<BWFXML></BWFXML> "),
    chunk(b"LIST", b"INFO" + chunk(b"INAM", b"caf\xe9 in code page 1252\0")),
]
TAIL = [
    chunk(b"cue ", struct.pack("<IIIIIII", 1, 1, 500, 0x61746164, 0, 0, 500)),
    chunk(b"LIST", b"adtl" + chunk(b"labl", struct.pack("<I", 1) + b"here\0")),
    chunk(b"xtra", b"odd"),
]


def broadcast(path: Path, channels: int = 1, subtype: str = "PCM_16", kind: str = "WAV") -> None:
    """A WAV file with all those chunks."""
    soundfile.write(path, noise(9001, channels), 48_000, subtype, format=kind)
    data = path.read_bytes()
    place = data.index(b"data")
    whole = bytearray(
        data[:place] + b"".join(HEAD) + chunk(b"JUNK", bytes(40)) + data[place:] + b"".join(TAIL)
    )
    size = len(whole) - 8
    if kind == "RF64":
        whole[20:28] = struct.pack("<Q", size)
    else:
        whole[4:8] = struct.pack("<I", size)
    path.write_bytes(whole)


@pytest.mark.parametrize("kind", ["WAV", "WAVEX", "RF64"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT"])
@pytest.mark.parametrize("suffix", [".wav", ".rf64"])
def test_chunks_of_wav_survive_as_they_are(
    tmp_path: Path, kind: str, subtype: str, suffix: str, copied: Copied
) -> None:
    broadcast(tmp_path / "in.wav", 1, subtype, kind)
    target = tmp_path / f"out{suffix}"
    assert copied(tmp_path / "in.wav", target, verbose=True) == []
    data = target.read_bytes()
    begin = data.index(b"data")
    for part in HEAD:
        assert 0 < data.find(part) < begin, "bext belongs before the samples"
    for part in TAIL:
        assert data.find(part) > begin
    assert b"JUNK" not in data
    size = (
        struct.unpack_from("<Q", data, 20)
        if suffix == ".rf64"
        else struct.unpack_from("<I", data, 4)
    )
    assert size == (len(data) - 8,)
    assert read_tags(target).texts == read_tags(tmp_path / "in.wav").texts
    assert heard_by_ffmpeg_bytes(target)["time_reference"] == "9876543210"
    assert soundfile.info(target).frames == 9001


@pytest.mark.parametrize("name", [b"bext", b"iXML", b"xtra", b"cart", b"axml"])
@pytest.mark.parametrize("suffix", [".wav", ".rf64"])
def test_chunks_of_an_odd_length(tmp_path: Path, name: bytes, suffix: str, copied: Copied) -> None:
    body = bext(5) + b"1" if name == b"bext" else b"<odd length/>"
    soundfile.write(tmp_path / "in.wav", noise(101), 48_000, "PCM_U8")
    data = (tmp_path / "in.wav").read_bytes()
    place = data.index(b"data")
    (tmp_path / "in.wav").write_bytes(data[:place] + chunk(name, body) + data[place:])
    target = tmp_path / f"out{suffix}"
    copied(tmp_path / "in.wav", target)
    ((found, stored),) = [(each.name, each.body) for each in read_tags(target).chunks]
    assert found == name and stored.rstrip(b"\0") == body.rstrip(b"\0")
    np.testing.assert_array_equal(soundfile.read(tmp_path / "in.wav")[0], soundfile.read(target)[0])


def heard_by_ffmpeg_bytes(path: Path) -> dict[str, str]:
    with av.open(str(path), metadata_errors="replace") as container:
        return dict(container.metadata)


@pytest.mark.parametrize("suffix", [".flac", ".ogg", ".mp3", ".aiff", ".caf"])
def test_elsewhere_its_texts_survive_and_the_rest_is_said_on_request(
    tmp_path: Path, suffix: str, copied: Copied
) -> None:
    broadcast(tmp_path / "in.wav")
    target = tmp_path / f"out{suffix}"
    (line,) = copied(tmp_path / "in.wav", target, verbose=True)
    assert line.endswith("does not keep bext, iXML, cue, LIST adtl, xtra")
    assert copied(tmp_path / "in.wav", target) == []
    texts = dict(read_tags(target).texts)
    assert texts["title"] == "café in code page 1252"
    assert texts["time_reference"] == "9876543210"
    assert texts["date"] == "2024-02-29"


def test_a_time_reference_in_samples_follows_the_rate(tmp_path: Path, copied: Copied) -> None:
    soundfile.write(tmp_path / "x.wav", noise(), 96_000)
    data = (tmp_path / "x.wav").read_bytes()
    (tmp_path / "x.wav").write_bytes(data + chunk(b"bext", bext(960_000)))
    copied(tmp_path / "x.wav", tmp_path / "x.mp3")
    assert dict(read_tags(tmp_path / "x.mp3").texts)["time_reference"] == "480000"


@pytest.mark.parametrize("suffix", [".au", ".w64"])
def test_containers_without_tags_say_so_on_request(
    tmp_path: Path, suffix: str, copied: Copied, encode_tagged: Encode
) -> None:
    encode_tagged(tmp_path / "in.mp3", "libmp3lame", {"title": "T", "artist": "A"})
    (line,) = (
        line
        for line in copied(tmp_path / "in.mp3", tmp_path / f"x{suffix}", verbose=True)
        if "keep" in line
    )
    assert "title" in line and "artist" in line


# Channel masks


@pytest.mark.parametrize("mask", [0x3F, 0x60F, 0x3, 0x4, 0x33, 0x107, 0x2D, 0x63F])
@pytest.mark.parametrize("kind", ["WAVEX", "RF64"])
@pytest.mark.parametrize("suffix", [".wav", ".rf64", ".flac", ".caf", ".aiff"])
def test_a_channel_mask_survives(
    tmp_path: Path, mask: int, kind: str, suffix: str, copied: Copied
) -> None:
    channels = mask.bit_count()
    soundfile.write(tmp_path / "in.wav", noise(500, channels), 48_000, format=kind)
    data = bytearray((tmp_path / "in.wav").read_bytes())
    place = data.index(b"fmt ") + 8 + 20
    data[place : place + 4] = struct.pack("<I", mask)
    (tmp_path / "in.wav").write_bytes(data)
    target = tmp_path / f"out{suffix}"
    assert copied(tmp_path / "in.wav", target, verbose=True) == []
    with av.open(str(tmp_path / "in.wav")) as a, av.open(str(target)) as b:
        layouts = [file.streams.audio[0].layout.name for file in (a, b)]
    assert layouts[0] == layouts[1]
    if channels > 2 or suffix in (".wav", ".rf64"):
        assert read_tags(target).mask == mask
    np.testing.assert_array_equal(*(soundfile.read(p)[0] for p in (tmp_path / "in.wav", target)))


@pytest.mark.parametrize(
    ("name", "codec"), [("in.m4a", "aac"), ("in.flac", "flac"), ("in.ac3", "ac3")]
)
@pytest.mark.parametrize("layout", ["5.1", "5.1(side)", "quad"])
def test_the_layout_of_other_containers_becomes_a_mask(
    tmp_path: Path, name: str, codec: str, layout: str, copied: Copied, encode_tagged: Encode
) -> None:
    try:
        encode_tagged(tmp_path / name, codec, {}, layout)
    except (ValueError, av.error.FFmpegError):
        pytest.skip("this encoder has no such layout")
    copied(tmp_path / name, tmp_path / "out.wav")
    with av.open(str(tmp_path / name)) as a, av.open(str(tmp_path / "out.wav")) as b:
        assert a.streams.audio[0].layout.name == b.streams.audio[0].layout.name


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_a_file_that_names_no_loudspeakers_stays_so(
    tmp_path: Path, channels: int, copied: Copied
) -> None:
    soundfile.write(tmp_path / "in.wav", noise(500, channels), 48_000)
    copied(tmp_path / "in.wav", tmp_path / "out.wav")
    assert (tmp_path / "in.wav").read_bytes() == (tmp_path / "out.wav").read_bytes()


@pytest.mark.parametrize("suffix", [".ogg", ".au", ".w64"])
def test_a_mask_that_cannot_be_kept_is_said_on_request(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    said: list[str] = []
    tags = Tags(mask=0x107)
    audio_format = target_format(AudioFormat(48_000, 4), path)
    blocks = [noise(500, 4)]
    write_blocks(path, audio_format, blocks, tags=tags, notify=said.append, verbose=True)
    assert said == [f"{path}: {audio_format.container} does not keep the channel mask"]


@pytest.mark.parametrize("size", [0xFFFFFFFF, 1 << 20, 3, 0])
def test_a_chunk_whose_size_is_wrong(tmp_path: Path, size: int) -> None:
    broadcast(tmp_path / "in.wav")
    data = bytearray((tmp_path / "in.wav").read_bytes())
    place = data.index(b"iXML") + 4
    data[place : place + 4] = struct.pack("<I", size)
    (tmp_path / "in.wav").write_bytes(data)
    tags = read_tags(tmp_path / "in.wav")
    assert tags.chunks[0].title == "bext"


def test_a_chunk_that_is_too_large_to_be_worth_it(tmp_path: Path, copied: Copied) -> None:
    soundfile.write(tmp_path / "in.wav", noise(), 48_000)
    with (tmp_path / "in.wav").open("ab") as file:
        file.write(chunk(b"huge", bytes(9 << 20)) + chunk(b"tiny", b"kept"))
    (line,) = copied(tmp_path / "in.wav", tmp_path / "out.wav", verbose=True)
    assert line.endswith("does not keep huge")
    assert (tmp_path / "out.wav").read_bytes().endswith(chunk(b"tiny", b"kept"))
