"""One of many ends no more than itself, whatever it raises."""

import gc
import subprocess
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from speechduet.attempt import Attempt
from speechduet.errors import AudioError, ModelError, SettingError, SpeechduetError

ERRORS = (
    *(SpeechduetError("x"), AudioError("x"), ModelError("x"), SettingError("x")),
    *(OSError(28, "No space left on device"), PermissionError(13, "Permission denied"), EOFError()),
    *(RuntimeError("size mismatch"), MemoryError(), torch.cuda.OutOfMemoryError("no memory")),
    *(UnicodeEncodeError("utf-8", "\udcff", 0, 1, "surrogates"), UnicodeError("x")),
    *(ValueError("a bug"), TypeError("a bug"), IndexError(), KeyError("k"), AssertionError()),
    *(ZeroDivisionError(), FloatingPointError("nan"), RecursionError("too deep"), StopIteration()),
    *(subprocess.CalledProcessError(1, "x"), TimeoutError(), NotImplementedError(), Warning("w")),
    type("FromAbove", (Exception,), {})("of a library's own"),
)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_becomes_one_line_with_the_name(error: Exception) -> None:
    with Attempt("in/a.wav") as attempt:
        raise error
    assert attempt.failure.startswith("in/a.wav: ") and "\n" not in attempt.failure
    foreseen = isinstance(error, SpeechduetError)
    assert foreseen or type(error).__name__ in attempt.failure
    assert bool(attempt.trace) != foreseen
    if not foreseen:
        assert "test_attempt.py" in attempt.trace


def test_a_name_is_told_once() -> None:
    with Attempt("a.wav") as attempt:
        raise AudioError("a.wav is empty")
    assert attempt.failure == "a.wav is empty"
    with Attempt() as attempt:
        raise AudioError("lengths differ")
    assert attempt.failure == "lengths differ"
    with Attempt("a.wav") as attempt:
        pass
    assert not attempt.failure and not attempt.trace


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), GeneratorExit()])
def test_what_ends_a_program_goes_on_up(error: BaseException) -> None:
    with pytest.raises(type(error)), Attempt("a.wav"):
        raise error


def test_what_concerns_all_goes_on_up() -> None:
    with pytest.raises(SettingError), Attempt("a.wav", ends=(SettingError,)):
        raise SettingError("no recogniser")
    with Attempt("a.wav", ends=(SettingError,)):
        raise ValueError


def test_threads_have_attempts_of_their_own() -> None:
    def work(number: int) -> str:
        with Attempt(str(number)) as attempt:
            raise ValueError("odd")
        return attempt.failure

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(9))) == [f"{n}: ValueError: odd" for n in range(9)]


def test_the_memory_of_a_failed_one_is_given_back() -> None:
    class Large:
        pass

    def work() -> weakref.ref[Large]:
        large = Large()
        seen.append(weakref.ref(large))
        raise MemoryError

    seen: list[weakref.ref[Large]] = []
    gc.disable()
    try:
        with Attempt("a.wav") as attempt:
            work()
        assert attempt.failure == "a.wav: MemoryError" and seen[0]() is None
    finally:
        gc.enable()
