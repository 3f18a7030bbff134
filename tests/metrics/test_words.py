import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from speechduet.metrics import MetricError, word_error_rate
from speechduet.metrics.words import edits

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


@pytest.mark.parametrize(
    ("heard", "rate"), [([1, 2, 3], 0), ([1, 3, 3], 1 / 3), ([0, 2, 0], 2 / 3), ([0, 0, 0], 1)]
)
def test_the_rate_counts_words_of_the_reference(heard: list[int], rate: float) -> None:
    assert word_error_rate(heard, [1, 2, 3], 16_000, recogniser) == pytest.approx(rate)


def test_a_reference_without_words_has_no_rate() -> None:
    with pytest.raises(MetricError, match="hears no words in the reference"):
        word_error_rate([1.0], [1.0], 16_000, lambda samples, rate: " ")
