"""Packing a training set for a bare GPU machine, and unpacking it there."""

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gpu_scripts import GPU, script


def test_a_training_set_arrives_as_it_was(data: Path, source: Path) -> None:
    names = sorted(path.relative_to(data).as_posix() for path in data.rglob("*.wav"))
    assert names == [
        *(f"noise/{name}.wav" for name in ("rain", "street", "workshop")),
        "rir/room.wav",
        *(f"speech/some/{name}.wav" for name in ("rain", "street", "workshop")),
    ]
    before, _ = soundfile.read(source / "speech/some/rain.flac", dtype="float32")
    after, rate = soundfile.read(data / "speech/some/rain.wav", dtype="float32")
    assert rate == 16_000
    np.testing.assert_array_equal(after, before)


def test_what_cannot_be_packed_is_named(source: Path, tmp_path: Path) -> None:
    def message(*options: str) -> str:
        with pytest.raises(SystemExit) as stop:
            script("pack").main([str(source), "--output", str(tmp_path / "packed"), *options])
        return str(stop.value)

    assert "rain.flac does not fit into a part" in message("--part-mb", "0.05", "--skip", "cafe")
    (source / "noise/rain.wav").symlink_to(source / "noise/rain.flac")
    assert "noise/rain is there with several suffixes" in message()
    assert "no recordings but those that are skipped in" in message("--skip", "*")
    shutil.rmtree(source / "speech")
    assert message().startswith(f"pack: no folder {source / 'speech'}; expected recordings")


def test_the_size_of_a_part_is_a_number_above_0(
    source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = f"--output={tmp_path / 'packed'}"
    for size in ("nan", "inf", "0", "-1", "much"):
        with pytest.raises(SystemExit) as stop:
            script("pack").main([str(source), output, f"--part-mb={size}"])
        assert stop.value.code == 2 and "argument --part-mb" in capsys.readouterr().err


def test_packing_deletes_only_what_it_wrote(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(source)
    (tmp_path / "link").symlink_to(source)
    (tmp_path / "mine/wheels").mkdir(parents=True)
    (tmp_path / "mine/wheels/mine.txt").touch()
    (tmp_path / "linked").mkdir()
    (tmp_path / "linked/part0.tar").symlink_to(source / "rir/room.flac")
    (tmp_path / "file").touch()
    before = {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")}
    for output, said in (
        (".", "overlap"),
        (str(source), "overlap"),
        (str(tmp_path), "overlap"),
        (str(source / "speech"), "overlap"),
        ("packed", "overlap"),
        ("../link", "overlap"),
        ("../link/new", "overlap"),
        ("../mine", "holds wheels/mine.txt, which is not of an earlier call"),
        ("../linked", "holds part0.tar, which is not"),
        ("../file", "is no folder"),
    ):
        with pytest.raises(SystemExit, match=f"^pack: .*{said}"):
            script("pack").main([".", "--output", output])
        assert {path: path.lstat().st_mtime_ns for path in tmp_path.rglob("*")} == before

    packed = tmp_path / "packed"
    (packed / "wheels").mkdir(parents=True)
    for name in ("part0.tar", "part17.tar", "wheels/a.whl"):
        (packed / name).touch()
    with pytest.raises(SystemExit, match="does not fit"):
        script("pack").main([".", "--output", str(packed), "--part-mb", "0.05"])
    assert (packed / "part17.tar").exists()
    script("pack").main([".", "--output", str(packed)])
    assert [path.name for path in packed.rglob("*") if path.is_file()] == ["part0.tar"]


def test_wheels_that_pip_cannot_bring_end_in_a_line(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess[bytes]([], 1)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(SystemExit, match="^pack: pip brought no wheels for Python 9.9"):
        script("pack").main([str(source), "--output", str(tmp_path / "packed"), "--wheels=9.9"])


def test_a_folder_that_the_source_has_a_link_to_is_the_source_too(
    source: Path, tmp_path: Path
) -> None:
    (source / "noise").rename(tmp_path / "elsewhere")
    (source / "noise").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SystemExit, match="noise overlap"):
        script("pack").main([str(source), "--output", str(tmp_path / "elsewhere/new")])
    assert not (tmp_path / "elsewhere/new").exists()


def test_recordings_that_could_not_be_decoded_there_are_named_here(
    source: Path, tmp_path: Path
) -> None:
    cut = source / "speech/some/rain.flac"
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    (source / "noise/text.wav").write_text("no recording")
    (source / "noise/gone.wav").symlink_to(tmp_path / "nowhere")
    with pytest.raises(SystemExit) as stop:
        script("pack").main([str(source), "--output", str(tmp_path / "packed")])
    said = str(stop.value)
    assert said.startswith("pack: 3 of 11 recordings cannot be decoded: ")
    assert all(name in said for name in ("some/rain.flac (", "noise/text.wav (", "gone.wav ("))
    assert not (tmp_path / "packed").exists()
    skipping = ["--skip", "rain", "text", "gone"]
    script("pack").main([str(source), "--output", str(tmp_path / "packed"), *skipping])
    assert (tmp_path / "packed/part0.tar").exists()


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ("missing", "part0.tar: No such file or directory"),
        ("empty", "part0.tar is cut short or damaged (empty file)"),
        ("within a recording", "part0.tar is cut short"),
        ("between recordings", "part0.tar is cut short; expected a part that pack.py wrote"),
        ("no recording", "part0.tar: noise/text.wav cannot be decoded ("),
        ("target", "data: File exists"),
    ],
)
def test_parts_that_cannot_be_unpacked_are_named_in_a_line(
    source: Path, tmp_path: Path, damage: str, said: str
) -> None:
    part = tmp_path / "part0.tar"
    with tarfile.open(part, "w") as archive:
        archive.add(source / "noise/rain.flac", "noise/rain.flac")
        end = archive.offset
        archive.add(source / "noise/street.flac", "noise/street.flac")
        if damage == "no recording":
            (tmp_path / "text.wav").write_text("no recording")
            archive.add(tmp_path / "text.wav", "noise/text.wav")
    lengths = {"empty": 0, "within a recording": end + 3000, "between recordings": end}
    if damage in lengths:
        part.write_bytes(part.read_bytes()[: lengths[damage]])
    elif damage == "missing":
        part.unlink()
    elif damage == "target":
        (tmp_path / "data").touch()
    command = [sys.executable, str(GPU / "unpack.py"), str(part), str(tmp_path / "data")]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1), result.stderr
    assert result.stderr.startswith("unpack: ") and said in result.stderr
