"""Metrics by a speech recogniser: PocketSphinx, or one's own function in a Python file."""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Literal

import soxr

from speechduet.errors import SettingError
from speechduet.evaluation.sphinx import english_words
from speechduet.extras import need
from speechduet.metrics.signals import Samples
from speechduet.metrics.word_error import Recognised, Recogniser, recognised

SAMPLE_RATE = 16_000
"""In Hz, of what a recogniser is given, whatever the recordings have."""
POCKETSPHINX = "pocketsphinx"
"""The name of the recogniser that comes with the extra ``words``."""


def word_scores(
    estimate: Samples, reference: Samples, sample_rate: int, recogniser: str
) -> dict[str, float | str]:
    """Word error rate, the number of words that it is of, and both texts.

    ``recogniser`` is ``pocketsphinx`` or ``FILE.py:FUNCTION``; see `load`.
    """
    words = _recognised(estimate, reference, sample_rate, recogniser, "words")
    return {
        "wer": words.error_rate,
        "wer_words": len(words.reference),
        "words_clean": " ".join(words.reference),
        "words_enhanced": " ".join(words.estimate),
    }


def phoneme_scores(
    estimate: Samples, reference: Samples, sample_rate: int, recogniser: str
) -> dict[str, float | str]:
    """Phoneme similarity and both sequences of phonemes; ``recogniser`` is ``FILE.py:FUNCTION``."""
    phonemes = _recognised(estimate, reference, sample_rate, recogniser, "phonemes")
    return {
        "phoneme_similarity": phonemes.similarity,
        "phonemes_clean": " ".join(phonemes.reference),
        "phonemes_enhanced": " ".join(phonemes.estimate),
    }


@cache
def load(recogniser: str) -> Recogniser:
    """The function that ``FILE.py:FUNCTION`` names, its file run once in each process.

    Or `english_words` for ``pocketsphinx``. Raises SettingError if there is no such file or
    function, or if what it imports is missing; and, when called, the function does if it returns
    anything but text.
    """
    if recogniser == POCKETSPHINX:
        need("pocketsphinx")
        return english_words
    place, _, name = recogniser.rpartition(":")
    path = Path(place)
    if not path.is_file() or path.suffix != ".py":
        raise SettingError(
            f"{recogniser} names no Python file", f"FILE.py:FUNCTION or {POCKETSPHINX}"
        )
    # Not the file's own name, for whisper.py may well import whisper.
    spec = importlib.util.spec_from_file_location(f"recogniser_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except (ImportError, SyntaxError) as error:
        raise SettingError(f"cannot load {path} ({error})", "a Python file that runs") from error
    function = getattr(module, name, None)
    if not callable(function):
        raise SettingError(f"{path} has no function {name!r}", "one of samples and sample rate")

    def recognise(samples: Samples, sample_rate: int) -> str:
        text = function(samples, sample_rate)
        if not isinstance(text, str):
            raise SettingError(f"{recogniser} returns {type(text).__name__}", "text (str)")
        return text

    return recognise


def _recognised(
    estimate: Samples,
    reference: Samples,
    sample_rate: int,
    recogniser: str,
    unit: Literal["words", "phonemes"],
) -> Recognised:
    s_hat, s = (soxr.resample(signal, sample_rate, SAMPLE_RATE) for signal in (estimate, reference))
    return recognised(s_hat, s, SAMPLE_RATE, load(recogniser), unit)
