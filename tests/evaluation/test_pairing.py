from pathlib import Path

import numpy as np
import soundfile

from speechduet.evaluation import ScoredPair, UnscoredFile, pair_up

RATE = 16_000


def paired(folder: Path, *roles: str) -> tuple[list[ScoredPair], list[UnscoredFile]]:
    return pair_up(*(folder / role for role in roles))


def test_pairs_are_matched_by_path_without_suffix(folders: Path) -> None:
    pairs, failed = paired(folders, "clean", "enhanced", "noisy")
    assert not failed
    assert [pair.name for pair in pairs] == ["a", "deep/b"]
    assert pairs[1].clean == folders / "clean/deep/b.flac"
    assert pairs[1].enhanced == folders / "enhanced/deep/b.wav"
    assert pairs[1].noisy == folders / "noisy/deep/b.wav"


def test_names_with_dots_stay_apart(folders: Path, speech: np.ndarray) -> None:
    for role in ("clean", "enhanced"):
        for name in ("x.1.wav", "x.2.wav"):
            soundfile.write(folders / role / name, speech, RATE)
    pairs, failed = paired(folders, "clean", "enhanced")
    assert not failed
    assert {"x.1", "x.2"} < {pair.name for pair in pairs}


def test_missing_partners_and_doubles_are_named(folders: Path, speech: np.ndarray) -> None:
    (folders / "enhanced/a.wav").unlink()
    soundfile.write(folders / "enhanced/deep/b.flac", speech, RATE)
    soundfile.write(folders / "enhanced/new.wav", speech, RATE)
    soundfile.write(folders / "noisy/more.wav", speech, RATE)
    (folders / "enhanced/notes.txt").write_text("not audio")
    pairs, failed = paired(folders, "clean", "enhanced")
    assert pairs == []
    assert [failure.file for failure in failed] == ["a", "deep/b", "new"]
    assert failed[0].error == "no enhanced recording of this name"
    assert failed[1].error.endswith("b.wav share this name")
    assert failed[2].error == "no clean recording of this name"
    failed = paired(folders, "clean", "enhanced", "noisy")[1]
    assert [failure.file for failure in failed] == ["a", "deep/b", "more", "new"]
    assert failed[2].error == "no clean and no enhanced recording of this name"
    assert failed[3].error == "no clean and no noisy recording of this name"
