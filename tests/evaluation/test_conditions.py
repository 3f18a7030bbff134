from pathlib import Path

import pytest

from speechduet.errors import SettingError
from speechduet.evaluation import Condition, Manifest, by_noise, by_snr


def manifest(tmp_path: Path, text: str) -> Manifest:
    (tmp_path / "manifest.csv").write_text(text, encoding="utf-8")
    return Manifest(tmp_path / "manifest.csv")


@pytest.mark.parametrize("column", ["file", "name", "path", "noisy", "id"])
def test_a_row_is_found_by_name(tmp_path: Path, column: str) -> None:
    stated = manifest(tmp_path, f"{column},snr_db,noise,more\nx.1,2.5,rain,?\n")
    assert stated["x.1"] == Condition(2.5, "rain")
    assert stated["x"] == Condition()


def test_suffix_and_leading_folders_do_not_matter(tmp_path: Path) -> None:
    stated = manifest(tmp_path, "path,snr_db\ntest/noisy/deep/a.flac,-5\n")
    assert stated["a"] == stated["deep/a"] == stated["test/noisy/deep/a"] == Condition(-5.0)
    assert stated["eep/a"] == Condition()


def test_a_whole_name_wins_over_the_end_of_another(tmp_path: Path) -> None:
    stated = manifest(tmp_path, "file,snr_db\nother/a,0\na,10\n")
    assert stated["a"].snr_db == 10


def test_rows_that_agree_are_one_and_others_an_error(tmp_path: Path) -> None:
    stated = manifest(tmp_path, "file,snr_db\nclean/a,0\nnoisy/a,0\nclean/b,0\nnoisy/b,5\n")
    assert stated["a"].snr_db == 0
    with pytest.raises(SettingError, match="states 2 conditions for b; expected one"):
        stated["b"]


def test_few_values_of_snr_are_groups_and_many_go_into_bins(tmp_path: Path) -> None:
    rows = "".join(
        f"{name},{snr_db}\n" for name, snr_db in zip("abcd", (10, 2.5, -1, 2.5), strict=True)
    )
    few = manifest(tmp_path, "file,snr_db\n" + rows)
    assert by_snr("abcde", few) == {
        "-1 dB": ["c"],
        "2.5 dB": ["b", "d"],
        "10 dB": ["a"],
        "not stated": ["e"],
    }
    many = manifest(tmp_path, "file,snr_db\n" + "".join(f"{n},{n - 2}\n" for n in range(10)))
    names = [str(n) for n in range(10)]
    assert by_snr(names, many) == {
        "-5 to 0 dB": ["0", "1"],
        "0 to 5 dB": names[2:7],
        "5 to 10 dB": names[7:],
    }


def test_kinds_of_noise_are_groups(tmp_path: Path) -> None:
    stated = manifest(tmp_path, "file,noise\na,rain\nb,\nc,fan\n")
    assert by_noise("abc", stated) == {"fan": ["c"], "rain": ["a"], "not stated": ["b"]}
    assert by_snr("abc", stated) == {}
    assert by_noise("xyz", stated) == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has the columns none; expected file"),
        ("clean,snr_db\n", "has the columns clean, snr_db"),
        ("file,level\n", "has the columns file, level"),
        *(
            (f"file,snr_db\na,{found}\n", f"line 2 of .* snr_db is '{found}'; expected a finite")
            for found in ("loud", "inf", "-inf", "nan", "1e999")
        ),
        ("file,snr_db\n,1\n", "line 2 of .* has an empty file"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        manifest(tmp_path, text)


def test_the_corpus_manifest_tells_about_every_pair(corpus: Path) -> None:
    stated = Manifest(corpus / "test" / "manifest.csv")
    names = [path.stem for path in (corpus / "test" / "clean").iterdir()]
    assert list(by_snr(names, stated)) == ["2.5 dB", "7.5 dB", "12.5 dB", "17.5 dB"]
    assert "not stated" not in by_noise(names, stated)


def test_names_that_are_not_utf8_are_found(tmp_path: Path) -> None:
    path = tmp_path / "manifest.csv"
    path.write_bytes(b"file,snr_db\nx\xff.wav,5\n")
    assert Manifest(path)["x\udcff"].snr_db == 5
