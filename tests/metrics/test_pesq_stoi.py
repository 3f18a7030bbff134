import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from speechduet.errors import SettingError
from speechduet.metrics import MetricError, estoi, pesq, stoi

RATE = 16_000


@pytest.fixture
def noisy(speech: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return speech + 0.01 * rng.standard_normal(speech.size)


def test_a_perfect_estimate_has_the_top_score(speech: np.ndarray) -> None:
    assert pesq(speech, speech, RATE) == pytest.approx(4.644, abs=1e-3)
    assert stoi(speech, speech, RATE) == pytest.approx(1, abs=1e-6)
    # ESTOI adds noise, so 1 is only approached.
    assert estoi(speech, speech, RATE) == pytest.approx(1, abs=1e-3)


def test_narrowband_at_8_khz(speech: np.ndarray) -> None:
    assert pesq(speech[::2], speech[::2], 8_000) == pytest.approx(4.549, abs=1e-3)


@pytest.mark.parametrize("metric", [pesq, stoi, estoi])
def test_more_noise_scores_lower(metric, speech: np.ndarray, rng: np.random.Generator) -> None:
    noise = rng.standard_normal(speech.size)
    scores = [metric(speech + level * noise, speech, RATE) for level in (0.001, 0.01, 0.1)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1] + 0.1


def test_the_estimate_comes_first(speech: np.ndarray, noisy: np.ndarray) -> None:
    package = pytest.importorskip("pesq")
    assert pesq(noisy, speech, RATE) == package.pesq(RATE, speech, noisy, "wb")
    assert pesq(noisy, speech, RATE) != pesq(speech, noisy, RATE)


def test_stoi_and_estoi_are_those_of_the_package(speech: np.ndarray, noisy: np.ndarray) -> None:
    package = pytest.importorskip("pystoi")
    # Where an estimate is silent, ESTOI is that of the trace of noise it adds.
    noisy[RATE // 2 :] = 0
    for rate in (RATE, 10_000):
        assert stoi(noisy, speech, rate) == package.stoi(speech, noisy, rate)
        np.random.seed(0)
        assert estoi(noisy, speech, rate) == package.stoi(speech, noisy, rate, extended=True)
        assert abs(stoi(noisy, speech, rate) - estoi(noisy, speech, rate)) > 0.01


def test_estoi_is_repeatable_and_leaves_numpy_alone(speech: np.ndarray, noisy: np.ndarray) -> None:
    np.random.seed(1)
    expected = np.random.random(3)
    np.random.seed(1)
    first = estoi(noisy, speech, RATE)
    assert np.random.random(3).tolist() == expected.tolist()
    assert estoi(noisy, speech, RATE) == first


def test_pesq_of_a_long_recording_is_the_mean_over_its_parts(
    speech: np.ndarray, noisy: np.ndarray
) -> None:
    # 24 s: two parts of 12 s, each of which is six repetitions.
    score = pesq(np.tile(noisy, 12), np.tile(speech, 12), RATE)
    assert score == pytest.approx(pesq(np.tile(noisy, 6), np.tile(speech, 6), RATE), abs=1e-6)


@pytest.mark.parametrize(
    ("seconds", "parts"), [(20, [20]), (20.5, [10.25, 10.25]), (42, [14, 14, 14])]
)
def test_pesq_hears_equal_parts_of_at_most_twenty_seconds(
    seconds: float, parts: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    package = pytest.importorskip("pesq")
    heard: list[float] = []

    def hearing(rate: int, reference: np.ndarray, estimate: np.ndarray, _: str) -> float:
        assert np.array_equal(estimate, 2 * reference)
        heard.append(len(reference) / rate)
        return 1.0

    monkeypatch.setattr(package, "pesq", hearing)
    reference = np.arange(1, seconds * RATE + 1)
    assert pesq(2 * reference, reference, RATE) == 1
    assert heard == parts


def test_parts_without_speech_do_not_count_for_pesq(monkeypatch: pytest.MonkeyPatch) -> None:
    package = pytest.importorskip("pesq")

    def hearing(_: int, reference: np.ndarray, *__: object) -> float:
        if not reference.any():
            raise package.NoUtterancesError(b"No utterances detected")
        return float(reference.max())

    monkeypatch.setattr(package, "pesq", hearing)
    speech = np.repeat([0.0, 2.0, 0.0, 3.0], 20 * RATE)
    assert pesq(np.ones_like(speech), speech, RATE) == 2.5


def test_a_silent_part_of_a_long_recording(speech: np.ndarray) -> None:
    pytest.importorskip("pesq")
    quiet = np.concatenate([speech, np.zeros(40 * RATE)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # of a division by the peak of silence
        assert pesq(quiet, quiet, RATE) > 4.5
        with pytest.raises(MetricError, match="PESQ finds no sound in the estimate"):
            pesq(quiet, np.concatenate([np.zeros(40 * RATE), speech]), RATE)


def test_pesq_survives_more_than_fifty_utterances(rng: np.random.Generator) -> None:
    # 31 s of bursts, 0.45 s apart: the reference code alone would end the process.
    times = np.arange(31 * RATE) / RATE
    bursts = 0.1 * rng.standard_normal(times.size) * (times % 0.45 < 0.225)
    assert 1 < pesq(bursts + 0.003 * rng.standard_normal(times.size), bursts, RATE) < 4.6


@pytest.mark.parametrize("metric", [pesq, stoi, estoi])
@pytest.mark.parametrize(
    ("estimate", "reference", "message"),
    [
        (np.ones(RATE), np.zeros(RATE), "reference is silent"),
        (np.zeros(RATE), np.ones(RATE), "estimate is silent"),
        (np.ones(RATE), np.ones(RATE + 1), "lengths differ"),
        (np.ones(10), np.ones(10), r"expected (over 0\.25|0\.41) s"),
        (np.full(RATE, np.nan), np.ones(RATE), "NaN"),
    ],
)
def test_signals_without_a_score_are_refused(metric, estimate, reference, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        metric(estimate, reference, RATE)


def test_mostly_silent_speech_is_too_short_for_estoi() -> None:
    click = np.zeros(RATE)
    click[100:300] = 1
    message = r"^too little speech in 1\.000 s; expected 0\.41 s of it for STOI and ESTOI"
    with pytest.raises(MetricError, match=message):
        estoi(click, click, RATE)


def test_stoi_has_a_score_from_where_the_package_has_one(rng: np.random.Generator) -> None:
    package = pytest.importorskip("pystoi")
    speech = rng.uniform(-1, 1, 4_097)  # just over 31 frames, of which 30 are compared
    assert stoi(speech, speech, 10_000) == pytest.approx(1)
    with pytest.warns(RuntimeWarning, match="Not enough STFT frames"):
        assert package.stoi(speech[:-1], speech[:-1], 10_000) == 1e-5
    with pytest.raises(MetricError, match="too little speech"):
        stoi(speech[:-1], speech[:-1], 10_000)


def test_what_is_forty_decibels_below_the_loudest_is_no_speech_for_stoi() -> None:
    speech = np.sin(np.arange(10_000))
    for level_db, enough in ((-39.6, True), (-40.4, False)):
        speech[3_000:] = 10 ** (level_db / 20) * np.sin(np.arange(7_000))
        if enough:
            assert 0.99 < stoi(speech, speech, 10_000) <= 1.001
        else:
            with pytest.raises(MetricError, match="too little speech"):
                stoi(speech, speech, 10_000)


@pytest.mark.parametrize(
    ("module", "metrics"), [("pesq", [pesq]), ("pystoi", [stoi, estoi]), ("scipy", [stoi, estoi])]
)
def test_the_package_that_is_missing_is_named(
    module: str, metrics, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in list(sys.modules):
        if name.partition(".")[0] in (module, "pystoi"):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)
    for metric in metrics:
        with pytest.raises(
            SettingError, match=rf"^{module} is not installed; pip install"
        ) as caught:
            metric(speech, speech, RATE)
        assert str(caught.value).count("installed") == 1


@pytest.mark.parametrize(("module", "metric"), [("pesq", pesq), ("pystoi", stoi)])
def test_a_package_that_is_broken_is_named(
    module: str, metric, speech: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / f"{module}.py").write_text("raise ImportError('no such library')")
    for name in list(sys.modules):
        if name.partition(".")[0] == module:
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.syspath_prepend(tmp_path)
    message = rf"^{module} is installed but cannot be imported \(no such library\)"
    with pytest.raises(SettingError, match=message):
        metric(speech, speech, RATE)


@pytest.mark.parametrize(
    ("reasons", "text"),
    [
        ([b"Unable to allocate memory"], "Unable to allocate memory"),
        (["no memory "], "no memory"),
        ([], "OutOfMemoryError"),
    ],
)
def test_other_failures_of_pesq_are_no_score(
    reasons: list[object], text: str, speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = pytest.importorskip("pesq")

    def failing(*_: object) -> float:
        raise package.OutOfMemoryError(*reasons)

    monkeypatch.setattr(package, "pesq", failing)
    with pytest.raises(MetricError, match=rf"PESQ fails \({text}\)"):
        pesq(speech, speech, RATE)


def test_pesq_has_two_rates(speech: np.ndarray) -> None:
    with pytest.raises(MetricError, match=r"sample rate 44100; expected 16000 .* resample"):
        pesq(speech, speech, 44_100)
