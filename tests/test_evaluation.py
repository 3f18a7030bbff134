import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.evaluation import (
    Evaluation,
    Failure,
    Pair,
    Scores,
    bootstrap,
    evaluate_pairs,
    pair_up,
    score,
)

RATE = 16_000


@pytest.fixture
def folders(tmp_path: Path, speech: np.ndarray, rng: np.random.Generator) -> Path:
    """clean/, enhanced/ and noisy/ with the pairs a and deep/b, in different containers."""
    for name in ("a", "deep/b"):
        noise = 0.02 * rng.standard_normal(speech.size)
        for path, waveform in (
            (f"clean/{name}.flac", speech),
            (f"noisy/{name}.wav", speech + noise),
            (f"enhanced/{name}.wav", 0.9 * speech + 0.3 * noise),
        ):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(tmp_path / path, waveform, RATE)
    return tmp_path


def paired(folder: Path, *roles: str) -> tuple[list[Pair], list[Failure]]:
    return pair_up(*(folder / role for role in roles))


def test_pairs_are_matched_by_path_without_suffix(folders: Path) -> None:
    pairs, failed = paired(folders, "clean", "enhanced", "noisy")
    assert not failed
    assert [pair.name for pair in pairs] == ["a", "deep/b"]
    assert pairs[1].clean == folders / "clean/deep/b.flac"
    assert pairs[1].enhanced == folders / "enhanced/deep/b.wav"
    assert pairs[1].noisy == folders / "noisy/deep/b.wav"


def test_names_with_dots_stay_apart(folders: Path, speech: np.ndarray) -> None:
    for role in ("clean", "enhanced"):
        for name in ("x.1.wav", "x.2.wav"):
            soundfile.write(folders / role / name, speech, RATE)
    pairs, failed = paired(folders, "clean", "enhanced")
    assert not failed
    assert {"x.1", "x.2"} < {pair.name for pair in pairs}


def test_missing_partners_and_doubles_are_named(folders: Path, speech: np.ndarray) -> None:
    (folders / "enhanced/a.wav").unlink()
    soundfile.write(folders / "enhanced/deep/b.flac", speech, RATE)
    soundfile.write(folders / "enhanced/new.wav", speech, RATE)
    (folders / "enhanced/notes.txt").write_text("not audio")
    pairs, failed = paired(folders, "clean", "enhanced")
    assert pairs == []
    assert [failure.file for failure in failed] == ["a", "deep/b", "new"]
    assert failed[0].error == "no enhanced recording of this name"
    assert failed[1].error.endswith("b.wav share this name")
    assert failed[2].error == "no clean recording of this name"


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
    ("waveform", "rate", "told"),
    [
        (np.ones(100), RATE, "lengths differ (estimate 100, reference 32000 samples)"),
        (np.ones(32_000), 8_000, "sample rates differ (clean 16000 Hz, enhanced 8000 Hz)"),
        (np.ones((32_000, 2)), RATE, "a.wav has 2 channels"),
        (np.zeros(32_000), RATE, "estimate is silent"),
    ],
)
def test_a_file_without_scores_is_a_failure(
    folders: Path, waveform: np.ndarray, rate: int, told: str
) -> None:
    soundfile.write(folders / "enhanced/a.wav", waveform, rate)
    outcomes = list(evaluate_pairs(paired(folders, "clean", "enhanced")[0]))
    assert isinstance(outcomes[0], Failure)
    assert outcomes[0].file == "a"
    assert told in outcomes[0].error
    assert isinstance(outcomes[1], Scores)


def test_what_is_not_audio_is_a_failure(folders: Path) -> None:
    (folders / "enhanced/a.wav").write_text("not audio")
    evaluation = Evaluation.of(evaluate_pairs(paired(folders, "clean", "enhanced")[0]))
    assert [failure.file for failure in evaluation.failed] == ["a"]
    assert evaluation.to_json()["summary"]["pesq"]["n"] == 1


def test_processes_change_nothing(folders: Path) -> None:
    pairs, _ = paired(folders, "clean", "enhanced", "noisy")
    assert list(evaluate_pairs(pairs, jobs=2)) == list(evaluate_pairs(pairs, jobs=1))


def test_the_interval_is_that_of_the_normal_distribution_where_it_should_be(
    rng: np.random.Generator,
) -> None:
    values = rng.normal(3, 2, size=1000)
    interval = bootstrap(values)
    half_width = 1.96 * values.std() / math.sqrt(values.size)
    assert interval.n == 1000
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.2 * half_width)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.2 * half_width)
    assert bootstrap(values) == interval
    assert bootstrap(values, seed=1) != interval


def test_json_has_the_published_shape() -> None:
    evaluation = Evaluation(
        [Scores("a", 2.0, 0.5, math.inf), Scores("b", 3.0, 0.7, 10.0)], [Failure("c", "gone")]
    )
    told = json.loads(json.dumps(evaluation.to_json(), allow_nan=False))
    assert set(told) == {"summary", "files", "failed"}
    assert set(told["summary"]) == {"pesq", "estoi", "si_sdr", "si_sir", "si_sar"}
    assert told["summary"]["pesq"] == {"mean": 2.5, "ci95": [2.0, 3.0], "n": 2}
    assert told["summary"]["si_sdr"]["mean"] is None  # infinite
    assert told["summary"]["si_sir"] == {"mean": None, "ci95": None, "n": 0}
    assert told["files"][1]["si_sdr"] == 10.0
    assert told["failed"] == [{"file": "c", "error": "gone"}]


def test_scores_of_the_corpus_noisy_recordings(corpus: Path) -> None:
    """A few of the 55 files whose means are 1.344, 0.665 and 8.33."""
    names = ("ls_1355-39947-0000_0", "ls_201-122255-0000_0")
    folder = corpus / "test"
    pairs = [pair for pair in paired(folder, "clean", "noisy")[0] if pair.name in names]
    first, second = evaluate_pairs(pairs)
    assert first[1:4] == pytest.approx((1.388, 0.801, 15.797), abs=2e-3)
    assert second[1:4] == pytest.approx((2.436, 0.922, 15.880), abs=2e-3)
