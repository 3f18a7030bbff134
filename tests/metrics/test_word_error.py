import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechduet.metrics import MetricError, phoneme_similarity, word_error_rate
from speechduet.metrics.word_error import Recognised, edits, words_in

WORDS = st.lists(st.sampled_from("abc"), max_size=6)


def by_recursion(spoken: tuple[str, ...], heard: tuple[str, ...]) -> int:
    """Levenshtein distance as it is defined."""
    if not spoken or not heard:
        return len(spoken) + len(heard)
    return min(
        by_recursion(spoken[1:], heard[1:]) + (spoken[0] != heard[0]),
        by_recursion(spoken[1:], heard) + 1,
        by_recursion(spoken, heard[1:]) + 1,
    )


def recogniser(samples: np.ndarray, sample_rate: int) -> str:
    """Hears a word for each number."""
    assert sample_rate == 16_000
    return " ".join(["silence", "one", "two", "three"][int(sample)] for sample in samples if sample)


@given(WORDS, WORDS)
def test_edits_are_those_of_the_definition(spoken: list[str], heard: list[str]) -> None:
    assert edits(spoken, heard) == by_recursion(tuple(spoken), tuple(heard))


@given(WORDS.filter(bool), WORDS)
def test_similarity_is_1_for_the_same_alone_and_never_below_0(
    spoken: list[str], heard: list[str]
) -> None:
    words = Recognised(spoken, heard)
    assert 0 <= words.similarity <= 1
    assert (words.similarity == 1) == (words.error_rate == 0) == (spoken == heard)


@pytest.mark.parametrize(
    ("heard", "rate", "similarity"),
    [
        ([1, 2, 3], 0, 1),
        ([1, 3, 3], 1 / 3, 2 / 3),
        ([0, 2, 0], 2 / 3, 1 / 3),
        ([0, 0, 0], 1, 0),
    ],
)
def test_words_and_phonemes_of_the_reference_are_counted(
    heard: list[int], rate: float, similarity: float
) -> None:
    arguments = heard, [1, 2, 3], 16_000, recogniser
    assert word_error_rate(*arguments) == pytest.approx(rate)
    assert phoneme_similarity(*arguments) == pytest.approx(similarity)


def test_added_words_lift_the_rate_above_1_and_the_similarity_stays_above_0() -> None:
    arguments = [1, 2, 3], [0, 3, 0], 16_000, recogniser
    assert word_error_rate(*arguments) == 2
    assert phoneme_similarity(*arguments) == pytest.approx(1 / 3)


def test_case_and_punctuation_count_in_phonemes_alone() -> None:
    heard = {1.0: "Tea, a cup!", 0.5: "tea a cup"}
    arguments = [0.5], [1.0], 16_000, lambda samples, rate: heard[samples[0]]
    assert word_error_rate(*arguments) == 0
    assert phoneme_similarity(*arguments) == pytest.approx(1 / 3)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("It’s 5 o'clock.", ["it's", "5", "o'clock"]),
        ("'quoted' — and: so", ["quoted", "and", "so"]),
        ("नमस्ते दुनिया", ["नमस्ते", "दुनिया"]),  # vowel signs are no punctuation
        (" … ' ", []),
    ],
)
def test_words_of_a_text(text: str, words: list[str]) -> None:
    assert words_in(text) == words


def test_a_reference_without_words_has_no_rate() -> None:
    with pytest.raises(MetricError, match="hears no words in the reference"):
        word_error_rate([1.0], [1.0], 16_000, lambda samples, rate: " . ")
    with pytest.raises(MetricError, match="hears no phonemes in the reference"):
        phoneme_similarity([1.0], [1.0], 16_000, lambda samples, rate: " ")


@pytest.mark.parametrize("metric", [word_error_rate, phoneme_similarity])
def test_silence_is_no_reference_and_an_estimate_without_words(metric) -> None:
    with pytest.raises(MetricError, match="^reference is silent"):
        metric([1.0], [0.0], 16_000, recogniser)
    assert metric([0.0], [1.0], 16_000, recogniser) == (metric is word_error_rate)
