from pathlib import Path

import pytest
import torch

from speechduet.bench.request import Candidate, Request
from speechduet.bench.workloads import published, whole_frames, workload
from speechduet.errors import ModelError, SettingError
from speechduet.network.cost import counted
from speechduet.spectrogram import Spectrogram


def test_enhancement_returns_the_waveform(tiny_model: Path) -> None:
    request = Request(model=str(tiny_model), seconds=0.5, mode="fast")
    work = workload(request, request.candidates[0])
    assert work.audio_s == 0.5 and work.examples == 1
    assert work.run().shape == (8_000,)


def test_an_evaluation_takes_whole_frames(sgmse_model: str, clone: Path) -> None:
    request = Request(model=sgmse_model, sgmse=clone, seconds=0.1, batch_size=3)
    work = workload(request, request.candidates[0])
    assert work.run().shape == (3, 1, 32, 102)
    assert work.audio_s == pytest.approx(3 * 101 * 16 / 16_000)


def test_all_candidates_compute_the_same(sgmse_model: str, clone: Path) -> None:
    request = Request(model=sgmse_model, sgmse=clone, seconds=0.1, precision="bfloat16")
    half, ours, theirs = (workload(request, one).run() for one in request.candidates)
    torch.testing.assert_close(ours, theirs)
    assert 0 < (half - ours).abs().max() < 0.1 * ours.abs().max()


def test_an_evaluation_is_on_the_backend_of_its_candidate(sgmse_model: str, clone: Path) -> None:
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    request = Request(model=sgmse_model, sgmse=clone, seconds=0.1, backend="onnxruntime")
    other, ours, _ = (workload(request, one).run() for one in request.candidates)
    assert not torch.equal(other, ours)
    torch.testing.assert_close(other, ours, rtol=0, atol=1e-4 * float(ours.abs().max()))


def test_an_enhancement_is_on_the_backend_of_its_candidate(tiny_model: Path) -> None:
    request = Request(model=str(tiny_model), seconds=0.3, precision="bfloat16")
    half, ours = (workload(request, one).run() for one in request.candidates)
    assert 0 < (half - ours).abs().max() < 0.2 * ours.abs().max()


@pytest.mark.parametrize("name", ["sgmse_plus", "predictive", "gp_unified"])
def test_published_networks_have_their_size_and_no_silent_layer(name: str) -> None:
    with torch.device("meta"):
        system = published(name).system
    parameters = sum(p.numel() for p in system.parameters()) / 1e6
    known = {"sgmse_plus": 65.59, "predictive": 27.34, "gp_unified": 106.78}
    assert parameters == pytest.approx(known[name], abs=0.005)


@pytest.mark.parametrize("seconds", [0.01, 1.0, 2.04])
def test_frames_are_a_multiple_of_what_the_network_takes(seconds: float) -> None:
    transform = Spectrogram()
    samples = whole_frames(transform, 64, seconds)
    assert transform.frames(samples) % 64 == 0
    assert 0 <= transform.frames(samples) - transform.frames(round(16_000 * seconds)) < 64


def test_what_is_not_there() -> None:
    candidate = Candidate("speechduet", "float32")
    with pytest.raises(SettingError, match="no network 'sgmse'; expected one of predictive"):
        workload(Request(network="sgmse"), candidate)
    with pytest.raises(ModelError, match="no model 'nowhere'"):
        workload(Request(model="nowhere"), candidate)
    with pytest.raises(SettingError, match="device 'cuda:9' is not there"):
        workload(Request(device="cuda:9"), candidate)
    with pytest.raises(SettingError, match="has no mode 'slow'"):
        workload(Request(mode="slow"), candidate)


def test_operations_grow_with_the_batch(sgmse_model: str, clone: Path) -> None:
    one, three = (
        counted(workload(request, request.candidates[0]).run)[1]
        for request in (
            Request(model=sgmse_model, sgmse=clone, seconds=0.1, batch_size=size) for size in (1, 3)
        )
    )
    assert one > 0
    assert three == pytest.approx(3 * one, rel=1e-3)  # the time's embedding is per example too
