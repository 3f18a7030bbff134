from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.errors import SettingError
from speechduet.evaluation import (
    ScoredPair,
    Scores,
    UnscoredFile,
    evaluate_pairs,
    pair_up,
    phoneme_scores,
    word_scores,
)
from speechduet.evaluation.recognition import load

LOUDNESS = '''
from __future__ import annotations
from dataclasses import dataclass

@dataclass
class Loudness:
    """Needs its module to be known."""
    limit: float

    def of(self, samples) -> str:
        return "A loud, loud one." if abs(samples).max() > self.limit else "a soft one"

def hear(samples, sample_rate):
    """Hears how loud it is, in words or phonemes."""
    assert sample_rate == 16_000
    return Loudness(0.4).of(samples)

def nothing(samples, sample_rate):
    return " "

def numbers(samples, sample_rate):
    return [1, 2]
'''


@pytest.fixture
def recogniser(tmp_path: Path) -> str:
    (tmp_path / "loudness.py").write_text(LOUDNESS)
    return f"{tmp_path / 'loudness.py'}:hear"


@pytest.fixture
def pairs(folders: Path) -> list[ScoredPair]:
    """The first is loud as it was, the second has become soft."""
    for role, a, b in (("clean", 0.5, 0.5), ("enhanced", 0.5, 0.2)):
        for name, level in (("a", a), ("deep/b", b)):
            (path,) = folders.glob(f"{role}/{name}.*")
            samples, rate = soundfile.read(path)
            soundfile.write(path, samples / np.abs(samples).max() * level, rate)
    return pair_up(folders / "clean", folders / "enhanced")[0]


def test_words_are_counted_and_kept(pairs: list[ScoredPair], recogniser: str) -> None:
    further = {"words": partial(word_scores, recogniser=recogniser)}
    first, second = evaluate_pairs(pairs, jobs=2, further=further)
    assert isinstance(first, Scores) and isinstance(second, Scores)
    same = "a loud loud one"
    assert first.further == {
        "wer": 0,
        "wer_words": 4,
        "words_clean": same,
        "words_enhanced": same,
    }
    assert second.further["wer"] == pytest.approx(2 / 4)
    assert second.further["words_enhanced"] == "a soft one"
    assert list(second.by_metric())[5:] == ["wer"]
    assert list(second.row())[5:] == ["wer", "wer_words", "words_clean", "words_enhanced"]


def test_phonemes_are_compared(pairs: list[ScoredPair], recogniser: str) -> None:
    further = {"phonemes": partial(phoneme_scores, recogniser=recogniser)}
    _, scores = evaluate_pairs(pairs, further=further)
    assert isinstance(scores, Scores)
    assert scores.further["phoneme_similarity"] == pytest.approx(1 - 4 / 4)
    assert scores.further["phonemes_clean"] == "A loud, loud one."
    assert list(scores.by_metric())[5:] == ["phoneme_similarity"]


def test_a_recogniser_is_given_16_khz(recogniser: str, speech: np.ndarray) -> None:
    scores = word_scores(speech, speech, 48_000, recogniser)
    assert scores["wer"] == 0


def test_a_reference_without_words_fails_its_file(pairs: list[ScoredPair], recogniser: str) -> None:
    silent = recogniser.replace(":hear", ":nothing")
    for score, kind in ((word_scores, "words"), (phoneme_scores, "phonemes")):
        outcomes = evaluate_pairs(pairs, further={kind: partial(score, recogniser=silent)})
        assert [outcome.file for outcome in outcomes if isinstance(outcome, UnscoredFile)] == [
            "a",
            "deep/b",
        ]
    failure = next(evaluate_pairs(pairs, further={"w": partial(word_scores, recogniser=silent)}))
    assert isinstance(failure, UnscoredFile)
    assert failure.error.startswith("the recogniser hears no words in the reference")


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("absent.py:hear", "absent.py:hear names no Python file and function; expected FILE.py"),
        ("hear", "hear names no Python file"),
        ("{folder}/wrong.py:hear", "cannot load .*wrong.py .ZeroDivisionError: division by zero"),
        ("{folder}/script.py:hear", r"script.py ends the program \(sys.exit\)"),
        ("{folder}:hear", "names no Python file"),
        ("{folder}/loudness.py:sing", "loudness.py has no function 'sing'"),
        ("{folder}/loudness.py:__doc__", "has no function '__doc__'"),
        ("{folder}/broken.py:hear", "cannot load .*broken.py .*line 1.*; expected a Python file"),
        ("{folder}/lacking.py:hear", "cannot load .*lacking.py .*No module named 'not_there'"),
    ],
)
def test_what_is_no_recogniser_is_refused(
    recogniser: str, tmp_path: Path, place: str, message: str
) -> None:
    (tmp_path / "broken.py").write_text("def hear(")
    (tmp_path / "lacking.py").write_text("import not_there")
    (tmp_path / "wrong.py").write_text("1 / 0")
    (tmp_path / "script.py").write_text("raise SystemExit(0)")
    with pytest.raises(SettingError, match=message):
        load(place.format(folder=tmp_path))


def test_a_recogniser_that_returns_no_text_is_a_mistake_and_no_failed_file(
    pairs: list[ScoredPair], recogniser: str
) -> None:
    numbers = recogniser.replace(":hear", ":numbers")
    with pytest.raises(SettingError, match="returns list; expected text"):
        list(evaluate_pairs(pairs, further={"w": partial(word_scores, recogniser=numbers)}))


def test_a_recogniser_that_ends_the_program_is_a_mistake(
    pairs: list[ScoredPair], tmp_path: Path
) -> None:
    (tmp_path / "ends.py").write_text("def hear(samples, rate):\n    raise SystemExit(0)")
    further = {"words": partial(word_scores, recogniser=f"{tmp_path / 'ends.py'}:hear")}
    with pytest.raises(SettingError, match="ends.py:hear ends the program"):
        list(evaluate_pairs(pairs, further=further))


def test_pocketsphinx_hears_no_phonemes(speech: np.ndarray) -> None:
    with pytest.raises(SettingError, match="pocketsphinx hears words, no phonemes"):
        phoneme_scores(speech, speech, 16_000, "pocketsphinx")


def test_each_sound_is_heard_once(tmp_path: Path, speech: np.ndarray) -> None:
    script = (
        "def hear(samples, rate, heard=[]):\n    heard.append(1)\n    return f'time {len(heard)}'"
    )
    (tmp_path / "counting.py").write_text(script)
    hear = load(f"{tmp_path / 'counting.py'}:hear")
    assert [hear(speech, 16_000), hear(speech / 2, 16_000), hear(speech.copy(), 16_000)] == [
        "time 1",
        "time 2",
        "time 1",
    ]
