"""Text that users give is read in one way everywhere, whatever program has written it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from speechduet.data import find_pairs
from speechduet.errors import SettingError
from speechduet.evaluation import Manifest
from speechduet.files.text import read_text
from speechduet.training.recipe_file import change, load


def csv_pairs(folder: Path, write: Callable[[Path, str], None]) -> object:
    write(folder / "set.csv", "clean,noisy\na.wav,b.wav\n")
    return [str(pair.clean.path.name) for pair in find_pairs(folder / "set.csv")]


def jsonl_pairs(folder: Path, write: Callable[[Path, str], None]) -> object:
    write(folder / "set.jsonl", '{"clean": "a.wav", "noisy": "b.wav"}\n\n')
    return [str(pair.clean.path.name) for pair in find_pairs(folder / "set.jsonl")]


def kaldi_pairs(folder: Path, write: Callable[[Path, str], None]) -> object:
    for role in ("clean", "noisy"):
        write(folder / f"{role}.scp", "one a.wav\n")
    return [(pair.name, pair.clean.path.name) for pair in find_pairs(folder)]


def conditions(folder: Path, write: Callable[[Path, str], None]) -> object:
    write(folder / "conditions.csv", "file,snr_db,noise\na,5,rain\n")
    return Manifest(folder / "conditions.csv")["a"]


def recipe(folder: Path, write: Callable[[Path, str], None]) -> object:
    write(folder / "recipe.yaml", "name: x\nrun: {max_steps: 3}\n")
    return load(folder / "recipe.yaml")


@pytest.mark.parametrize("read", [csv_pairs, jsonl_pairs, kaldi_pairs, conditions, recipe])
def test_marks_and_line_ends_change_nothing(
    tmp_path: Path, read: Callable[[Path, Callable[[Path, str], None]], object]
) -> None:
    def plain(path: Path, text: str) -> None:
        path.write_bytes(text.encode())

    def of_windows(path: Path, text: str) -> None:
        path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())

    def of_old_macs(path: Path, text: str) -> None:
        path.write_bytes(text.replace("\n", "\r").encode())

    expected = read(tmp_path, plain)
    assert read(tmp_path, of_windows) == expected == read(tmp_path, of_old_macs)


def test_names_that_are_not_utf8_keep_their_bytes(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff.wav")
    assert read_text(tmp_path / "x", "a list") == "\udcff.wav"
    (tmp_path / "recipe.yaml").write_bytes(b'data: {pairs: caf\xe9/set, x: "\xe9"}')
    sections = load(tmp_path / "recipe.yaml")
    change(sections, [f"data.rooms={chr(0xDCE9)}/r"])
    assert sections["data"] == {"pairs": "caf\udce9/set", "x": "\udce9", "rooms": "\udce9/r"}


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("a,b\n".encode("utf-16"))
    with pytest.raises(SettingError, match=r"cannot read .*x \(it is not UTF-8 text\); expected a"):
        read_text(tmp_path / "x", "a CSV file")
    with pytest.raises(SettingError, match=r"cannot read .*gone \(No such file.*; expected a list"):
        read_text(tmp_path / "gone", "a list")
