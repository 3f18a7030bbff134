"""Word errors: what a speech recogniser hears in enhanced speech against the clean speech."""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from speechduet.metrics.signals import MetricError, Samples, Signal, not_silent, same_length

Recogniser: TypeAlias = Callable[[Samples, int], str]
"""The words, in lower case and without punctuation, in ``[samples]`` at a sample rate in Hz."""


def word_error_rate(
    estimate: Signal, reference: Signal, sample_rate: int, recogniser: Recogniser
) -> float:
    """Word error rate between what a recogniser hears in the estimate and in the reference.

    0 is best; words that were added can lift it above 1. A recogniser that returns phonemes with
    spaces between them makes it a phoneme error rate, whose complement is known as phoneme
    similarity. Raises MetricError if nothing is heard in the reference.

    >>> heard = {1.0: "the cat sat", 0.5: "the bat sat"}
    >>> word_error_rate([0.5], [1.0], 16_000, lambda samples, rate: heard[samples[0]])
    0.3333333333333333
    """
    s_hat, s = same_length(estimate=estimate, reference=reference)
    not_silent(s, "reference")
    spoken = recogniser(s, sample_rate).split()
    if not spoken:
        raise MetricError("the recogniser hears no words in the reference", "at least one")
    return edits(spoken, recogniser(s_hat, sample_rate).split()) / len(spoken)


def edits(spoken: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest words to substitute, insert and delete from one sequence to the other (Levenshtein).

    >>> edits("how to recognise speech".split(), "how to wreck a nice speech".split())
    3
    """
    row = list(range(len(heard) + 1))
    for count, word in enumerate(spoken, 1):
        diagonal, row[0] = row[0], count
        for place, other in enumerate(heard, 1):
            substituted = diagonal + (word != other)
            diagonal = row[place]
            row[place] = min(substituted, row[place] + 1, row[place - 1] + 1)
    return row[-1]
