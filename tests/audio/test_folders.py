"""Which files of a folder are recordings: names of every kind, links, folders that are shut."""

import os
from pathlib import Path

import pytest

from speechduet.audio import folders
from speechduet.audio.folders import find_recordings, match_recordings, split_pattern
from speechduet.errors import AudioError

ODD_NAMES = (
    b"not_utf8_\xff.wav",
    b"latin_\xe9t\xe9.flac",
    "録音".encode() * 26 + b".ogg",
    b"x" * 240 + b".wav",
    b"x" * 251 + b".wav",
    b"two\nlines.wav",
    b"-leading dash.wav",
    b"--output.wav",
    b"a:b.wav",
    b"100%.wav",
    b"%s%d{0}.wav",
    b"[red]x[bold].wav",
    b"[].wav",
    b"take [1].wav",
    b'it\'s "quoted" $HOME `id`.wav',
    b" spaces .wav",
    b"star*and?.wav",
    b":smile:.wav",
    b"\x1b[31mescape.wav",
    b"UPPER.WAV",
    b"Mixed.Flac",
    b"dots.in.name.MP3",
)


@pytest.mark.parametrize("name", ODD_NAMES, ids=ascii)
def test_names_of_every_kind_are_found_as_they_are(tmp_path: Path, name: bytes) -> None:
    folder = tmp_path / os.fsdecode(b"deep" + name[:9])
    folder.mkdir()
    (folder / os.fsdecode(name)).touch()
    (found,) = find_recordings(tmp_path)
    assert os.fsencode(found) == os.fsencode(folder) + b"/" + name
    root, pattern = split_pattern(tmp_path / "*" / "*")
    assert match_recordings(root, pattern) == [found]


@pytest.mark.parametrize(
    "name",
    [
        *("._x.wav", ".x.wav", ".wav", "notes.txt", "wav", "x.wav.partial", "x.wav~", "x"),
        *(".hidden/x.wav", ".AppleDouble/x.wav", "__MACOSX/._x.wav", "deep/.git/a/x.wav"),
    ],
)
def test_what_is_hidden_or_of_another_kind_is_not_found(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).touch()
    assert find_recordings(tmp_path) == []
    for pattern in ("*", "**/*", "**", "*/*"):
        assert match_recordings(*split_pattern(tmp_path / pattern)) == []


def test_folders_sockets_and_pipes_are_no_recordings(tmp_path: Path) -> None:
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav/a.wav").touch()
    assert find_recordings(tmp_path) == [tmp_path / "folder.wav/a.wav"]


def test_a_hidden_folder_named_outright_is_searched(tmp_path: Path) -> None:
    (tmp_path / ".own").mkdir()
    (tmp_path / ".own/x.wav").touch()
    assert find_recordings(tmp_path / ".own") == [tmp_path / ".own/x.wav"]
    assert match_recordings(*split_pattern(tmp_path / ".own/*")) == [tmp_path / ".own/x.wav"]


def test_links_are_followed_but_not_in_circles(tmp_path: Path) -> None:
    (tmp_path / "in/deep").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    for name in ("in/a.wav", "in/deep/b.wav", "elsewhere/c.wav"):
        (tmp_path / name).touch()
    (tmp_path / "in/deep/back").symlink_to(tmp_path / "in")
    (tmp_path / "in/self").symlink_to("self")
    (tmp_path / "in/link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/around").symlink_to(tmp_path / "in/link")
    (tmp_path / "in/gone.wav").symlink_to("nowhere.wav")
    expected = ["a.wav", "deep/b.wav", "gone.wav", "link/c.wav"]
    found = find_recordings(tmp_path / "in")
    assert [str(path.relative_to(tmp_path / "in")) for path in found] == expected
    assert match_recordings(*split_pattern(tmp_path / "in/**/*")) == found
    assert match_recordings(*split_pattern(tmp_path / "in/**")) == found


def test_a_folder_that_is_shut_is_told_and_the_rest_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a", "shut", "z"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "x.wav").touch()
    listed = Path.iterdir

    def guarded(path: Path):
        if path.name == "shut":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(folders.Path, "iterdir", guarded)
    failures: list[AudioError] = []
    expected = [tmp_path / "a/x.wav", tmp_path / "z/x.wav"]
    assert find_recordings(tmp_path, unreadable=failures.append) == expected
    root, pattern = split_pattern(tmp_path / "*" / "*.wav")
    assert match_recordings(root, pattern, unreadable=failures.append) == expected
    assert [str(error) for error in failures] == [
        f"cannot read folder {tmp_path / 'shut'}: Permission denied"
    ] * 2
    with pytest.raises(AudioError, match="cannot read folder"):
        find_recordings(tmp_path)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("dir [x]/*.wav", ["dir [x]/a.wav", "dir [x]/take [1] b.wav"]),
        ("dir [x]/take [1]*", ["dir [x]/take [1] b.wav"]),
        ("dir [x]/[ab].wav", ["dir [x]/a.wav"]),
        ("*/take [1]*.wav", ["dir [x]/take [1] b.wav", "other/take 1 c.wav"]),
        ("dir [wxy]/a.wav", ["dir x/a.wav"]),
        ("dir ?x?/a.wav", ["dir [x]/a.wav"]),
        ("**/a.wav", ["dir [x]/a.wav", "dir x/a.wav"]),
        ("other/../dir */a.wav", ["other/../dir [x]/a.wav", "other/../dir x/a.wav"]),
        ("*/nowhere/*.wav", []),
        ("nowhere*/a.wav", []),
        ("**/**/a.wav", ["dir [x]/a.wav", "dir x/a.wav"]),
    ],
)
def test_brackets_are_patterns_or_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pattern: str, expected: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("dir [x]/a.wav", "dir [x]/take [1] b.wav", "dir x/a.wav", "other/take 1 c.wav"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    found = match_recordings(*split_pattern(Path(pattern)))
    assert [str(path) for path in found] == expected


def test_results_are_left_out(tmp_path: Path) -> None:
    for name in ("a.wav", "out/a.wav", "out/deep/b.wav", "output/c.wav"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to(tmp_path / "out")
    found = find_recordings(tmp_path, apart_from=tmp_path / "link")
    assert found == [tmp_path / "a.wav", tmp_path / "output/c.wav"]
    assert len(find_recordings(tmp_path, apart_from=tmp_path)) == 6, "all there is"
