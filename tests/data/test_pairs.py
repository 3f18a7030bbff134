import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.data import Mixing, PairExcerpts, find_pairs
from speechduet.data.clip import Clip
from speechduet.data.pairs import ClipPair, check
from speechduet.errors import AudioError, SettingError

RATE = 16_000
NAMES = ("a", "b", "sub/c")
PLAIN = Mixing(excerpt_s=0.1, level_db=(0.0, 0.0))


def samples_of(name: str, role: str) -> np.ndarray:
    random = np.random.default_rng([ord(name[-1]), role == "noisy"])
    return random.uniform(-0.5, 0.5, 1000 + 1000 * NAMES.index(name))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for role, suffix in (("clean", "wav"), ("noisy", "flac")):
        for name in NAMES:
            path = tmp_path / "set" / role / f"{name}.{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, samples_of(name, role), RATE)
    return tmp_path / "set"


def as_folders(folder: Path) -> Path:
    return folder


def as_csv(folder: Path) -> Path:
    lines = [f"clean/{name}.wav,7,noisy/{name}.flac\n" for name in NAMES]
    (folder / "list.csv").write_text("clean,snr_db,noisy\n" + "".join(lines))
    return folder / "list.csv"


def as_jsonl(folder: Path) -> Path:
    rows = [{"noisy": f"noisy/{n}.flac", "clean": str(folder / f"clean/{n}.wav")} for n in NAMES]
    (folder / "list.jsonl").write_text("\n".join(json.dumps(row) for row in rows) + "\n\n")
    return folder / "list.jsonl"


def as_kaldi(folder: Path) -> Path:
    kaldi = folder.parent / "kaldi"
    kaldi.mkdir()
    for role, suffix in (("clean", "wav"), ("noisy", "flac")):
        lines = [f"{name} {folder / role / name}.{suffix}\n" for name in NAMES]
        (kaldi / f"{role}.scp").write_text("".join(lines))
    return kaldi


def as_shards(folder: Path) -> Path:
    shards = folder.parent / "shards"
    shards.mkdir()
    for number, names in enumerate((NAMES[:2], NAMES[2:])):
        with tarfile.open(shards / f"set-{number:06d}.tar", "w") as shard:
            for name in names:
                for role, suffix in (("clean", "wav"), ("noisy", "flac")):
                    shard.add(folder / role / f"{name}.{suffix}", f"{name}.{role}.{suffix}")
                shard.addfile(tarfile.TarInfo(f"{name}.json"), io.BytesIO())
    return shards


FORMS = (as_folders, as_csv, as_jsonl, as_kaldi, as_shards)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_pairs(folder: Path, form: Callable[[Path], Path]) -> None:
    pairs = find_pairs(form(folder))
    assert len(pairs) == len(NAMES)
    for name, pair in zip(NAMES, pairs, strict=True):
        assert check(pair, RATE) == 1000 + 1000 * NAMES.index(name)
        for role, clip in (("clean", pair.clean), ("noisy", pair.noisy)):
            expected = np.append(samples_of(name, role)[500:], np.zeros(100))[:2600]
            held = clip.read(500, 2600)
            assert held.dtype == np.float32 and not held[len(expected) :].any()
            np.testing.assert_allclose(held[: len(expected)], expected, atol=1e-4)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_excerpts(folder: Path, form: Callable[[Path], Path]) -> None:
    one = PairExcerpts(find_pairs(folder), PLAIN, RATE, seed=1)
    same = PairExcerpts(find_pairs(form(folder)), PLAIN, RATE, seed=1)
    for index in (5, 0, 3):
        for left, right in zip(one.example(index), same.example(index), strict=True):
            assert np.array_equal(left, right)


def test_an_epoch_holds_every_pair_once(folder: Path) -> None:
    pairs = find_pairs(folder)
    whole = PairExcerpts(pairs, Mixing(excerpt_s=3000 / RATE, level_db=(0.0, 0.0)), RATE, seed=0)
    orders = []
    for epoch in range(8):
        lengths = [
            int(np.flatnonzero(whole.example(index)[1])[-1]) // 1000
            for index in range(3 * epoch, 3 * epoch + 3)
        ]
        assert sorted(lengths) == [0, 1, 2]
        orders.append(tuple(lengths))
    assert len(set(orders)) > 1


def test_excerpts_are_aligned_levelled_and_degraded_as_declared(folder: Path) -> None:
    for path in (folder / "clean").rglob("*.wav"):
        noisy = folder / "noisy" / path.relative_to(folder / "clean").with_suffix(".flac")
        soundfile.write(noisy, soundfile.read(path)[0], RATE)
    pairs = find_pairs(folder)
    for index in range(5):
        clean, noisy = PairExcerpts(pairs, PLAIN, RATE, 0).example(index)
        assert clean.dtype == noisy.dtype == np.float32
        np.testing.assert_allclose(clean, noisy, atol=1e-4)
        assert np.abs(noisy).max() == pytest.approx(1, abs=1e-4)
        harsh = Mixing(excerpt_s=0.1, clipping=1.0, clipping_db=(-6.0, -6.0))
        clean, noisy = PairExcerpts(pairs, harsh, RATE, 0).example(index)
        assert np.abs(clean).max() > 1.5 * np.abs(noisy).max()


def test_partners_must_exist(folder: Path) -> None:
    (folder / "noisy/b.flac").unlink()
    with pytest.raises(AudioError, match=r"1 recordings have no partner in .*noisy \(first: b\)"):
        find_pairs(folder)
    (folder / "clean/b.wav").unlink()
    (folder / "clean/a.wav").unlink()
    with pytest.raises(AudioError, match=r"no partner in .*clean \(first: a\)"):
        find_pairs(folder)


def test_names_must_be_one_recording_each(folder: Path) -> None:
    shutil.copy(folder / "clean/a.wav", folder / "clean/a.flac")
    with pytest.raises(AudioError, match="2 recordings in .*clean are named a"):
        find_pairs(folder)


def test_empty_folders_and_other_places_are_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"no pairs in .*; expected a \.csv or"):
        find_pairs(tmp_path)
    with pytest.raises(SettingError, match=f"absent \\(looked for in {Path.cwd()}\\) is not there"):
        find_pairs(Path("absent"))
    (tmp_path / "clean").mkdir()
    (tmp_path / "noisy").mkdir()
    with pytest.raises(AudioError, match="no recordings in"):
        find_pairs(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.csv", "source,target\na.wav,b.wav\n", "line 2 of .* has source, target; expected col"),
        ("l.csv", "clean,noisy\na.wav\n", "line 2 of .* has clean; expected columns"),
        ("l.csv", "clean,noisy\n", "lists no pairs"),
        ("l.csv", "", "lists no pairs"),
        ("l.jsonl", '{"clean": "a.wav"}\n', "line 1 of .* has clean; expected columns"),
        ("l.jsonl", "[1]\n", "line 1 of .* has nothing; expected columns"),
        ("l.jsonl", "clean\n", "line 1 of .* is not JSON"),
    ],
)
def test_manifests_are_checked(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises((SettingError, AudioError), match=message):
        find_pairs(tmp_path / name)


def test_a_manifest_that_is_missing_or_binary_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match=r"cannot read .*none\.csv"):
        find_pairs(tmp_path / "none.csv")
    (tmp_path / "odd.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SettingError, match=r"cannot read .*odd\.csv"):
        find_pairs(tmp_path / "odd.csv")


@pytest.mark.parametrize("line", ["a", "a sox a.wav -t wav - |", "a wav.ark:17"])
def test_kaldi_lists_are_of_files(tmp_path: Path, line: str) -> None:
    for role in ("clean", "noisy"):
        (tmp_path / f"{role}.scp").write_text(line + "\n")
    with pytest.raises(SettingError, match=r"line 1 of .*clean\.scp"):
        find_pairs(tmp_path)


def test_shards_must_be_plain_tar_files(tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(b"nothing of the kind" * 100)
    with pytest.raises(AudioError, match=r"cannot read .*a\.tar"):
        find_pairs(tmp_path)


def test_shards_of_webdataset_itself_are_read(folder: Path, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    with webdataset.TarWriter(str(tmp_path / "own.tar")) as shard:
        for name in NAMES:
            parts = {
                f"{role}.{suffix}": (folder / role / f"{name}.{suffix}").read_bytes()
                for role, suffix in (("clean", "wav"), ("noisy", "flac"))
            }
            shard.write({"__key__": name, **parts})
    assert [check(pair) for pair in find_pairs(tmp_path / "own.tar")] == [1000, 2000, 3000]


def test_pairs_that_do_not_fit_are_named_at_once(tmp_path: Path) -> None:
    clean, noisy = tmp_path / "clean.wav", tmp_path / "noisy.wav"
    soundfile.write(clean, np.zeros(100), RATE)

    def refused(message: str) -> None:
        with pytest.raises(AudioError, match=message):
            PairExcerpts([ClipPair("x", Clip(clean), Clip(noisy))], PLAIN, RATE, 0)

    refused(r"cannot read .*noisy\.wav")
    noisy.write_bytes(b"not audio at all")
    refused(r"none of 1 pairs .*noisy\.wav is not audio")
    soundfile.write(noisy, np.zeros(99), RATE)
    refused("100 samples and .* 99; expected one length")
    soundfile.write(noisy, np.zeros(100), 8000)
    refused("16000 Hz and .* 8000 Hz; expected one sample rate")
    with pytest.raises(AudioError, match="no pairs"):
        PairExcerpts([], PLAIN, RATE, 0)
