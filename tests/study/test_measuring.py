from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import ModelError, SettingError
from speechduet.evaluation import ScoredPair
from speechduet.model.folder import Pretrained, save
from speechduet.network.compact import Compact
from speechduet.network.cost import calls
from speechduet.network.layout import Layout
from speechduet.network.system import System
from speechduet.process import OrnsteinUhlenbeck
from speechduet.sampler import Sampling
from speechduet.spectrogram import Spectrogram
from speechduet.study.cache import METHOD, Cache, TimedScores
from speechduet.study.measuring import Measured, Runner, models, pairs_of
from speechduet.study.settings import NOISY, Ablation, Folders, Setting
from speechduet.study.trajectory import Trajectory, enhance_and_score

BASE = Sampling(steps=2, corrector_steps=0, alpha=0.2)
PLAIN, FUSED = Setting("tiny", BASE), Setting("tiny", replace(BASE, beta=0.5))
"""They share a trajectory."""
SETTINGS = [Setting(NOISY, None), PLAIN, FUSED]


def measured(
    ablation: Ablation, folder: Path, chosen: list[Setting] = SETTINGS, jobs: int = 1
) -> tuple[dict[Setting, Measured], list[tuple[int, int]]]:
    calls: list[tuple[int, int]] = []
    cache = Cache(folder / "results.jsonl")
    runner = Runner(models(ablation.systems, chosen), ablation.seeds, cache, jobs)
    pairs, _ = pairs_of(ablation.valid)
    found = runner.measure(pairs, chosen, lambda done, whole: calls.append((done, whole)))
    cache.close()
    return found, calls


def test_every_setting_has_means_over_files_and_seeds(ablation: Ablation, tmp_path: Path) -> None:
    found, progress = measured(ablation, tmp_path)
    assert list(found) == SETTINGS
    plain = found[PLAIN]
    runs = [{s.file: s.si_sdr for s in run.files} for run in plain.seeds]
    assert [set(run) for run in runs] == [{"a", "b"}] * 2 and runs[0] != runs[1]
    expected = np.mean([list(run.values()) for run in runs])
    assert plain.mean("si_sdr") == pytest.approx(expected)
    assert plain.summary["si_sdr"] is not None and plain.summary["si_sdr"].n == 2
    means = [np.mean(list(run.values())) for run in runs]
    assert plain.seed_spread("si_sdr") == pytest.approx(np.std(means, ddof=1))
    # One trajectory for two files and two seeds, and the noisy files once.
    assert progress[-1] == (4 + 2, 4 + 2)


def test_scores_are_those_of_the_enhancer(ablation: Ablation, tmp_path: Path) -> None:
    found, _ = measured(ablation, tmp_path, [FUSED])
    pair = pairs_of(ablation.valid)[0][0]
    trajectory = Trajectory(ablation.systems["tiny"], FUSED.sampling, (0.5,), 1, pair)
    (alone,) = enhance_and_score(trajectory)
    assert isinstance(alone, TimedScores)
    assert found[FUSED].seeds[1].files[0] == alone.scores


def test_what_is_known_costs_nothing(
    ablation: Ablation, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = measured(ablation, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(Enhancer, "stream", lambda *_: pytest.fail("was measured again"))
        again, progress = measured(ablation, tmp_path)
    assert progress == [(0, 0)]
    assert {s: t.seeds for s, t in again.items()} == {s: t.seeds for s, t in first.items()}
    _, progress = measured(ablation, tmp_path, [*SETTINGS, Setting("tiny", Sampling(steps=1))])
    assert progress[-1] == (4, 4)


def test_costs_are_counted(ablation: Ablation, tmp_path: Path) -> None:
    found, _ = measured(ablation, tmp_path)
    model = models(ablation.systems, [])["tiny"]
    for setting in (PLAIN, FUSED):
        cost = found[setting].cost
        assert setting.sampling is not None
        assert cost.calls == calls(model.layout, setting.sampling)
        assert cost.gmac_per_s == pytest.approx(model.rate(setting.sampling) / 1e9)
    # They share a trajectory, whose time is divided by what each would take alone.
    seconds = found[PLAIN].cost.seconds_per_s / found[FUSED].cost.seconds_per_s
    assert seconds == pytest.approx(found[PLAIN].cost.gmac_per_s / found[FUSED].cost.gmac_per_s)
    assert found[Setting(NOISY, None)].cost.evaluations == 0


def test_a_file_that_fails_is_a_failure_and_tried_again(ablation: Ablation, tmp_path: Path) -> None:
    path = Path(ablation.valid.noisy) / "a.wav"
    good = path.read_bytes()
    soundfile.write(path, np.zeros(24_000), 16_000)
    found, _ = measured(ablation, tmp_path)
    for one in found.values():
        assert [failure.file for failure in one.evaluation.failed] == ["a"]
        assert [scores.file for scores in one.evaluation.files] == ["b"]
    path.write_bytes(good)
    again, progress = measured(ablation, tmp_path)
    assert progress[-1] == (2 + 1, 2 + 1)
    assert not any(one.evaluation.failed for one in again.values())


@pytest.mark.slow
def test_processes_find_the_same(ablation: Ablation, tmp_path: Path) -> None:
    alone, _ = measured(ablation, tmp_path / "one", [PLAIN])
    several, _ = measured(ablation, tmp_path / "two", [PLAIN], jobs=2)
    for one, two in zip(alone[PLAIN].seeds, several[PLAIN].seeds, strict=True):
        for scores, others in zip(one.files, two.files, strict=True):
            assert scores.by_metric() == pytest.approx(others.by_metric(), rel=1e-4)


def test_pairs_are_evenly_picked(pairs: Path) -> None:
    clean, noisy = pairs / "valid/clean", pairs / "valid/noisy"
    some, unpaired = pairs_of(Folders(str(clean), str(noisy), limit=1))
    assert [pair.name for pair in some] == ["a"] and not unpaired
    (noisy / "b.wav").unlink()
    some, unpaired = pairs_of(Folders(str(clean), str(noisy)))
    assert [pair.name for pair in some] == ["a"] and [lost.file for lost in unpaired] == ["b"]


def test_errors_before_anything_is_measured(ablation: Ablation, tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="is no folder"):
        pairs_of(Folders("absent", str(tmp_path)))
    (tmp_path / "empty").mkdir()
    with pytest.raises(SettingError, match="no pairs in"):
        pairs_of(Folders(str(tmp_path / "empty"), str(tmp_path / "empty")))
    with pytest.raises(ModelError, match="no model"):
        models({"x": "absent/of/all"}, [])
    size = Compact(bins=64, channels=(4, 4), width=8, encoder_blocks=1, decoder_blocks=1)
    generative = System(Layout(True, "none", "clean"), OrnsteinUhlenbeck(), size)
    modes = {"best": Sampling(steps=2)}
    save(Pretrained("new", generative, Spectrogram(n_fft=126, hop=64), modes), tmp_path / "new")
    assert models({"new": str(tmp_path / "new")}, [Setting("new", Sampling(steps=2))])
    with pytest.raises(SettingError, match="no predictive decoder"):
        models({"new": str(tmp_path / "new")}, [Setting("new", Sampling(steps=2, beta=0.5))])


def test_the_method_gives_the_scores_that_it_gave(tiny_model: Path, root: Path) -> None:
    """If this fails with good reason, raise `cache.METHOD`, for kept scores are no longer right."""
    clean, noisy = (root / f"samples/{role}/rain.flac" for role in ("clean", "noisy"))
    sampling = Sampling(steps=2, alpha=0.2)
    pair = ScoredPair("rain", clean, noisy, noisy)
    (timed,) = enhance_and_score(Trajectory(str(tiny_model), sampling, (0.5,), 0, pair))
    assert isinstance(timed, TimedScores)
    found = timed.scores[1:4]
    assert (METHOD, *found) == pytest.approx((1, 1.023, 0.214, -15.19), abs=0.02)
