"""Metrics by a speech recogniser: PocketSphinx, or one's own function in a Python file."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Literal

import soxr

from speechduet.attempt import Attempt
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
    if recogniser == POCKETSPHINX:
        raise SettingError(f"{POCKETSPHINX} hears words, no phonemes", "FILE.py:FUNCTION")
    phonemes = _recognised(estimate, reference, sample_rate, recogniser, "phonemes")
    return {
        "phoneme_similarity": phonemes.similarity,
        "phonemes_clean": " ".join(phonemes.reference),
        "phonemes_enhanced": " ".join(phonemes.estimate),
    }


@cache
def load(recogniser: str) -> Recogniser:
    """The function that ``FILE.py:FUNCTION`` names, its file run once in each process.

    Or `english_words` for ``pocketsphinx``. It hears each sound once in a process: several systems
    are compared with the same clean recordings. Raises SettingError if there is no such file or
    function, or if the file does not run to its end; and, when called, the function does if it
    returns anything but text, or ends the program.
    """
    if recogniser == POCKETSPHINX:
        need("pocketsphinx")
        return _hearing_once(english_words)
    place, _, name = recogniser.rpartition(":")
    path = Path(place)
    if not path.is_file() or path.suffix != ".py":
        raise SettingError(
            f"{recogniser} names no Python file and function",
            f"FILE.py:FUNCTION or {POCKETSPHINX}",
        )
    # Not the file's own name, for whisper.py may well import whisper.
    spec = importlib.util.spec_from_file_location(f"recogniser_{path.stem}", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with _not_ending(str(path)), Attempt() as attempt:
        spec.loader.exec_module(module)
    if attempt.failure:
        # Once and for all: every recording would fail of it.
        raise SettingError(f"cannot load {path} ({attempt.failure})", "a Python file that runs")
    function = getattr(module, name, None)
    if not callable(function):
        raise SettingError(f"{path} has no function {name!r}", "one of samples and sample rate")

    def recognise(samples: Samples, sample_rate: int) -> str:
        with _not_ending(recogniser):
            text = function(samples, sample_rate)
        if not isinstance(text, str):
            raise SettingError(f"{recogniser} returns {type(text).__name__}", "text (str)")
        return text

    return _hearing_once(recognise)


def _hearing_once(recogniser: Recogniser) -> Recogniser:
    heard: dict[tuple[bytes, int], str] = {}

    def recognise(samples: Samples, sample_rate: int) -> str:
        sound = (sha256(samples.tobytes()).digest(), sample_rate)
        if sound not in heard:
            heard[sound] = recogniser(samples, sample_rate)
        return heard[sound]

    return recognise


@contextmanager
def _not_ending(name: str) -> Iterator[None]:
    """SettingError for a script that ends the program, perhaps as if all had been done."""
    try:
        yield
    except SystemExit as error:
        raise SettingError(
            f"{name} ends the program (sys.exit)",
            "a function that returns text",
            'put what a script does under if __name__ == "__main__"',
        ) from error


def _recognised(
    estimate: Samples,
    reference: Samples,
    sample_rate: int,
    recogniser: str,
    unit: Literal["words", "phonemes"],
) -> Recognised:
    s_hat, s = (soxr.resample(signal, sample_rate, SAMPLE_RATE) for signal in (estimate, reference))
    return recognised(s_hat, s, SAMPLE_RATE, load(recogniser), unit)
