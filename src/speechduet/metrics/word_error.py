"""What a speech recogniser hears in enhanced speech against what it hears in the clean speech.

Generative systems can say something else than the speaker did, in a voice that sounds good.
"""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias
from unicodedata import category

from speechduet.metrics.signals import MetricError, Samples, Signal, not_silent, same_length

Recogniser: TypeAlias = Callable[[Samples, int], str]
"""What is said in ``[samples]`` at a sample rate in Hz: words, or phonemes with spaces between."""


class Recognised(NamedTuple):
    """Words, or phonemes, that a recogniser hears; the reference has at least one."""

    reference: list[str]
    estimate: list[str]

    @property
    def error_rate(self) -> float:
        """Edits from one to the other, per word of the reference; may be above 1."""
        return edits(self.reference, self.estimate) / len(self.reference)

    @property
    def similarity(self) -> float:
        """1 less the edits from one to the other, per word of the longer: from 0 to 1."""
        return 1 - edits(self.reference, self.estimate) / max(map(len, self))


def word_error_rate(
    estimate: Signal, reference: Signal, sample_rate: int, recogniser: Recogniser
) -> float:
    """Word error rate of what a recogniser hears in the estimate, against the reference.

    0 is best; words that were added can lift it above 1. Case and punctuation do not count.
    Raises MetricError if no word is heard in the reference.

    Examples:
        >>> texts = {1.0: "The cat sat.", 0.5: "the bat sat"}
        >>> word_error_rate([0.5], [1.0], 16_000, lambda samples, rate: texts[samples[0]])
        0.3333333333333333
    """
    return recognised(estimate, reference, sample_rate, recogniser, "words").error_rate


def phoneme_similarity(
    estimate: Signal, reference: Signal, sample_rate: int, recogniser: Recogniser
) -> float:
    """Phoneme similarity (Pirklbauer et al. 2023): 1 less the normalised edit distance.

    1 is best, 0 is nothing in common: the distance is divided by the length of the longer. Raises
    MetricError if no phoneme is heard in the reference.

    Examples:
        >>> texts = {1.0: "k æ t", 0.5: "k æ t s"}
        >>> phoneme_similarity([0.5], [1.0], 16_000, lambda samples, rate: texts[samples[0]])
        0.75
    """
    return recognised(estimate, reference, sample_rate, recogniser, "phonemes").similarity


def recognised(
    estimate: Signal,
    reference: Signal,
    sample_rate: int,
    recogniser: Recogniser,
    unit: Literal["words", "phonemes"],
) -> Recognised:
    """The words or phonemes in both; MetricError if the reference has none."""
    s_hat, s = same_length(estimate=estimate, reference=reference)
    not_silent(s, "reference")
    split = words_in if unit == "words" else str.split
    spoken = split(recogniser(s, sample_rate))
    if not spoken:
        raise MetricError(f"the recogniser hears no {unit} in the reference", "at least one")
    return Recognised(spoken, split(recogniser(s_hat, sample_rate)))


def words_in(text: str) -> list[str]:
    """The words of a text, without case and punctuation.

    >>> words_in("“Don’t re-use it”, he said.")
    ["don't", 're', 'use', 'it', 'he', 'said']
    """
    plain = text.casefold().replace("’", "'")
    # Categories P and S are punctuation and symbols.
    kept = (" " if category(sign)[0] in "PS" and sign != "'" else sign for sign in plain)
    words = (word.strip("'") for word in "".join(kept).split())
    return [word for word in words if word]


def edits(spoken: Sequence[str], recognised: Sequence[str]) -> int:
    """Fewest words to substitute, insert and delete from one sequence to the other (Levenshtein).

    >>> edits("how to recognise speech".split(), "how to wreck a nice speech".split())
    3
    """
    row = list(range(len(recognised) + 1))
    for count, word in enumerate(spoken, 1):
        diagonal, row[0] = row[0], count
        for place, other in enumerate(recognised, 1):
            substituted = diagonal + (word != other)
            diagonal = row[place]
            row[place] = min(substituted, row[place] + 1, row[place - 1] + 1)
    return row[-1]
