"""Metrics by a speech recogniser of one's own, a function in a Python file."""

import importlib.util
import sys
from functools import cache
from pathlib import Path

import soxr

from speechduet.errors import SettingError
from speechduet.metrics.signals import Samples
from speechduet.metrics.word_error import Recogniser, phonemes_heard, words_heard

SAMPLE_RATE = 16_000
"""In Hz, of what a recogniser is given, whatever the recordings have."""


def word_scores(
    estimate: Samples, reference: Samples, sample_rate: int, recogniser: str
) -> dict[str, float | str]:
    """Word error rate, the number of words that it is of, and both texts.

    ``recogniser`` is ``FILE.py:FUNCTION``; see `load`.
    """
    s_hat, s = _resampled(estimate, sample_rate), _resampled(reference, sample_rate)
    heard = words_heard(s_hat, s, SAMPLE_RATE, load(recogniser))
    return {
        "wer": heard.error_rate,
        "wer_words": len(heard.reference),
        "words_clean": " ".join(heard.reference),
        "words_enhanced": " ".join(heard.estimate),
    }


def phoneme_scores(
    estimate: Samples, reference: Samples, sample_rate: int, recogniser: str
) -> dict[str, float | str]:
    """Phoneme similarity and both sequences of phonemes; ``recogniser`` as for words."""
    s_hat, s = _resampled(estimate, sample_rate), _resampled(reference, sample_rate)
    heard = phonemes_heard(s_hat, s, SAMPLE_RATE, load(recogniser))
    return {
        "phoneme_similarity": heard.similarity,
        "phonemes_clean": " ".join(heard.reference),
        "phonemes_enhanced": " ".join(heard.estimate),
    }


@cache
def load(recogniser: str) -> Recogniser:
    """The function that ``FILE.py:FUNCTION`` names, its file run once in each process.

    Raises SettingError if there is no such file or function, or if what the file imports is
    missing; and, when called, the function does if it returns anything but text.
    """
    place, _, name = recogniser.rpartition(":")
    path = Path(place)
    if not path.is_file() or path.suffix != ".py":
        raise SettingError(f"{recogniser} names no Python file", "FILE.py:FUNCTION")
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


def _resampled(samples: Samples, sample_rate: int) -> Samples:
    resampled: Samples = soxr.resample(samples, sample_rate, SAMPLE_RATE)
    return resampled
