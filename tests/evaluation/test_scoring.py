import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from speechduet import metrics
from speechduet.evaluation import (
    FURTHER,
    Dnsmos,
    Evaluation,
    ScoredPair,
    Scores,
    UnscoredFile,
    evaluate_pairs,
    pair_up,
    score,
)

RATE = 16_000


def paired(folder: Path, *roles: str) -> tuple[list[ScoredPair], list[UnscoredFile]]:
    return pair_up(*(folder / role for role in roles))


def test_scores_of_a_pair(folders: Path) -> None:
    pairs, _ = paired(folders, "clean", "enhanced", "noisy")
    scores = score(pairs[0])
    without_noise = score(pairs[0]._replace(noisy=None))
    assert without_noise == scores._replace(si_sir=None, si_sar=None)
    assert scores.si_sdr == pytest.approx(scores.si_sir, abs=0.5)
    assert scores.si_sar > 40  # nothing but speech and noise was left, up to 16 bits
    noisy = score(pairs[0]._replace(enhanced=pairs[0].noisy))
    assert scores.si_sdr == pytest.approx(noisy.si_sdr + 20 * math.log10(0.9 / 0.3), abs=0.2)
    assert scores.pesq > noisy.pesq


def test_a_recording_at_another_rate_has_its_wideband_pesq(
    folders: Path, speech: np.ndarray
) -> None:
    import soxr

    pair = paired(folders, "clean", "enhanced")[0][0]
    expected = score(pair)
    for path in (pair.clean, pair.enhanced):
        waveform, _ = soundfile.read(path)
        soundfile.write(path, soxr.resample(waveform, RATE, 48_000), 48_000)
    scores = score(pair)
    assert scores.pesq == pytest.approx(expected.pesq, abs=0.05)
    assert scores.si_sdr == pytest.approx(expected.si_sdr, abs=0.3)


@pytest.mark.parametrize(
    ("waveform", "rate", "message"),
    [
        (np.ones(100), RATE, "lengths differ (estimate 100, reference 32000 samples)"),
        (np.ones(32_000), 8_000, "sample rates differ (clean 16000 Hz, enhanced 8000 Hz)"),
        (np.ones((32_000, 2)), RATE, "a.wav has 2 channels"),
        (np.zeros(32_000), RATE, "estimate is silent"),
    ],
)
def test_a_file_without_scores_is_a_failure(
    folders: Path, waveform: np.ndarray, rate: int, message: str
) -> None:
    soundfile.write(folders / "enhanced/a.wav", waveform, rate)
    outcomes = list(evaluate_pairs(paired(folders, "clean", "enhanced")[0]))
    assert isinstance(outcomes[0], UnscoredFile)
    assert outcomes[0].file == "a"
    assert message in outcomes[0].error
    assert isinstance(outcomes[1], Scores)


def test_what_is_not_audio_is_a_failure(folders: Path) -> None:
    (folders / "enhanced/a.wav").write_text("not audio")
    evaluation = Evaluation.of(evaluate_pairs(paired(folders, "clean", "enhanced")[0]))
    assert [failure.file for failure in evaluation.failed] == ["a"]
    assert evaluation.to_json()["summary"]["pesq"]["n"] == 1


def test_processes_change_nothing(folders: Path) -> None:
    pairs, _ = paired(folders, "clean", "enhanced", "noisy")
    assert list(evaluate_pairs(pairs, jobs=2)) == list(evaluate_pairs(pairs, jobs=1))


def test_scores_of_the_corpus_noisy_recordings(corpus: Path) -> None:
    """A few of the 55 files whose means are 1.344, 0.665 and 8.33."""
    names = ("ls_1355-39947-0000_0", "ls_201-122255-0000_0")
    folder = corpus / "test"
    pairs = [pair for pair in paired(folder, "clean", "noisy")[0] if pair.name in names]
    first, second = evaluate_pairs(pairs)
    assert first[1:4] == pytest.approx((1.388, 0.801, 15.797), abs=2e-3)
    assert second[1:4] == pytest.approx((2.436, 0.922, 15.880), abs=2e-3)


def loudness(samples: np.ndarray, sample_rate: int) -> str:
    """A recogniser that hears a word per level."""
    return "loud" if np.abs(samples).max() > 0.2 else "soft"


def both(s_hat: np.ndarray, s: np.ndarray, rate: int) -> dict[str, float | str]:
    return {"one": 1, "two": "texts too"}


def test_further_metrics_join_the_scores(folders: Path) -> None:
    pair = paired(folders, "clean", "enhanced")[0][0]
    wer = partial(metrics.word_error_rate, recogniser=loudness)
    ours = {name: metric for name, metric in FURTHER.items() if name != "dnsmos"}
    scores = score(pair, {**ours, "wer": wer, "both": both})
    clean, enhanced = (soundfile.read(path)[0] for path in (pair.clean, pair.enhanced))
    narrow = [soxr.resample(samples, RATE, 8_000) for samples in (enhanced, clean)]
    assert scores.further == {
        "stoi": pytest.approx(metrics.stoi(enhanced, clean, RATE)),
        "lsd": pytest.approx(metrics.log_spectral_distance(enhanced, clean, RATE)),
        "pesq_nb": metrics.pesq(*narrow, 8_000),
        # They need the noisy recording, which this pair has not.
        "confidence_rank": None,
        "confidence_auc": None,
        "wer": 0,
        "one": 1,
        "two": "texts too",
    }
    first = ["pesq", "estoi", "si_sdr", "si_sir", "si_sar", "stoi"]
    assert list(scores.by_metric())[:6] == list(scores.row())[:6] == first
    assert list(scores.by_metric())[-1] == "one"
    assert list(scores.row())[-1] == "two"


def test_further_metrics_run_in_processes(folders: Path) -> None:
    pairs = paired(folders, "clean", "enhanced")[0]
    for outcome in evaluate_pairs(pairs, jobs=2, further={"lsd": FURTHER["lsd"]}):
        assert isinstance(outcome, Scores)
        assert outcome.further["lsd"] > 0


def test_a_further_metric_without_a_value_fails_the_file(folders: Path) -> None:
    pairs = paired(folders, "clean", "enhanced")[0]
    speechless = partial(metrics.word_error_rate, recogniser=lambda samples, rate: "")
    failure = next(evaluate_pairs(pairs, further={"wer": speechless}))
    assert failure == UnscoredFile(
        "a", "the recogniser hears no words in the reference; expected at least one"
    )


def test_dnsmos_is_of_the_estimate_at_16_khz(
    speech: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = {}

    def dnsmos(estimate: np.ndarray, rate: int, model: Path) -> metrics.DnsmosScores:
        heard.update(samples=estimate.size, rate=rate, model=model)
        return metrics.DnsmosScores(1, 2, 3)

    monkeypatch.setattr(metrics, "dnsmos", dnsmos)
    scores = Dnsmos(Path("net.onnx"))(np.tile(speech, 3), np.zeros(1), 48_000)
    assert scores == {"dnsmos_signal": 1, "dnsmos_background": 2, "dnsmos_overall": 3}
    assert heard == {"samples": speech.size, "rate": RATE, "model": Path("net.onnx")}


@pytest.mark.parametrize(
    ("role", "waveform", "message"),
    [
        ("clean", np.zeros(32_000), "reference is silent"),
        ("enhanced", np.full(32_000, np.nan), "estimate with NaN or infinite samples"),
        ("noisy", np.zeros(32_000), "noisy is silent"),
        ("noisy", np.zeros(31_000), "lengths differ (noisy 31000, clean 32000 samples)"),
        ("noisy", np.zeros((32_000, 2)), "a.wav has 2 channels"),
    ],
)
def test_bad_signals_on_any_side_are_failures(
    folders: Path, role: str, waveform: np.ndarray, message: str
) -> None:
    path = next((folders / role).glob("a.*"))
    path.unlink()
    soundfile.write(folders / role / "a.wav", waveform, RATE, "FLOAT")
    outcomes = list(evaluate_pairs(paired(folders, "clean", "enhanced", "noisy")[0]))
    assert isinstance(outcomes[0], UnscoredFile)
    assert message in outcomes[0].error
    assert isinstance(outcomes[1], Scores)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (3_000, "0.188 s; expected over 0.25 s for PESQ"),
        (5_000, "too little speech in 0.312 s; expected 0.41 s of it for STOI and ESTOI"),
    ],
)
def test_a_clip_too_short_is_a_failure(
    folders: Path, speech: np.ndarray, samples: int, message: str
) -> None:
    (folders / "clean/a.flac").unlink()
    for role in ("clean", "enhanced"):
        soundfile.write(folders / role / "a.wav", speech[8_000 : 8_000 + samples], RATE)
    failure = next(evaluate_pairs(paired(folders, "clean", "enhanced")[0]))
    assert failure == UnscoredFile("a", message)
