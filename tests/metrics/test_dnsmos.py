"""DNSMOS with networks of one operation, whose scores can be computed by hand."""

import sys
from pathlib import Path

import numpy as np
import pytest

from speechduet.errors import ModelError, SettingError
from speechduet.metrics import MetricError, dnsmos
from speechduet.metrics.dnsmos import WINDOW

RATE = 16_000
POLYNOMIALS = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)


def network(path: Path, emitted: int = 3, window: int | str = WINDOW) -> Path:
    """Emits the window's maximum, ``emitted`` times."""
    onnx = pytest.importorskip("onnx", reason="needs onnx to make a network")
    pytest.importorskip("onnxruntime", reason="needs onnxruntime to run it")
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("ReduceMax", ["x"], ["max"], axes=[1], keepdims=1),
        helper.make_node("Concat", ["max"] * emitted, ["y"], axis=1),
    ]
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", window])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", emitted])
    graph = helper.make_graph(nodes, "maximum", [given], [out])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def network_of_the_first_sample(path: Path) -> Path:
    """Emits the window's first sample, three times."""
    onnx = pytest.importorskip("onnx", reason="needs onnx to make a network")
    pytest.importorskip("onnxruntime", reason="needs onnxruntime to run it")
    from onnx import TensorProto, helper

    first = helper.make_tensor("first", TensorProto.INT64, [3], [0, 0, 0])
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", WINDOW])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])
    node = helper.make_node("Gather", ["x", "first"], ["y"], axis=1)
    graph = helper.make_graph([node], "first", [given], [out], [first])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, path)
    return path


def expected(*maxima: float) -> list[float]:
    return [
        float(np.mean([np.polyval(polynomial, value) for value in maxima]))
        for polynomial in POLYNOMIALS
    ]


def test_the_mean_over_windows_a_second_apart(tmp_path: Path) -> None:
    model = network(tmp_path / "net.onnx")
    samples = np.full(12 * RATE, 0.1)
    samples[2 * RATE - 1] = 2  # in the first two of three windows
    assert dnsmos(samples, RATE, model) == pytest.approx(expected(2, 2, 0.1), rel=1e-6)
    assert dnsmos(samples[: 10 * RATE], RATE, model) == pytest.approx(expected(2), rel=1e-6)


def test_a_short_recording_is_repeated(tmp_path: Path) -> None:
    # 3 s, repeated to 12 s: three windows, and each has the peak.
    samples = np.full(3 * RATE, 0.1)
    samples[-1] = 3
    scores = dnsmos(samples, RATE, network(tmp_path / "net.onnx", window="samples"))
    assert scores == pytest.approx(expected(3), rel=1e-6)
    assert scores.overall == scores[2]


def test_a_short_recording_is_doubled_until_it_fills_a_window(tmp_path: Path) -> None:
    """As by the published script: another number of repetitions has other windows."""
    model = network_of_the_first_sample(tmp_path / "net.onnx")
    seconds = np.array([1.0, 2.0, 3.0, 4.0])
    scores = dnsmos(np.repeat(seconds, RATE), RATE, model)  # 16 s have seven windows
    assert scores == pytest.approx(expected(1, 2, 3, 4, 1, 2, 3), rel=1e-6)
    just_one = np.linspace(1, 4, WINDOW)
    assert dnsmos(just_one, RATE, model) == pytest.approx(expected(1), rel=1e-6)


@pytest.mark.parametrize(
    ("emitted", "window", "message"),
    [(1, WINDOW, "emits 1 values"), (3, 100, r"takes \[\['batch', 100\]\]")],
)
def test_another_network_is_refused(
    tmp_path: Path, emitted: int, window: int, message: str
) -> None:
    with pytest.raises(ModelError, match=message):
        dnsmos(np.ones(WINDOW), RATE, network(tmp_path / "net.onnx", emitted, window))


def test_what_is_not_a_network_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    (tmp_path / "net.onnx").write_text("not a network")
    for name in ("net.onnx", "absent.onnx"):
        with pytest.raises(ModelError, match="is not an ONNX network; expected sig_bak_ovr.onnx"):
            dnsmos(np.ones(WINDOW), RATE, tmp_path / name)
    assert capfd.readouterr() == ("", "")


def test_without_onnxruntime_it_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SettingError, match="onnxruntime is not installed; pip install"):
        dnsmos(np.ones(WINDOW), RATE, tmp_path / "net.onnx")


@pytest.mark.parametrize(
    ("estimate", "rate", "message"),
    [
        (np.ones(WINDOW), 8_000, "sample rate 8000"),
        (np.zeros(WINDOW), RATE, "^estimate is silent"),
        (np.full(WINDOW, np.nan), RATE, "^estimate with NaN"),
    ],
)
def test_signals_without_a_score_are_refused(estimate, rate: int, message: str) -> None:
    with pytest.raises(MetricError, match=message):
        dnsmos(estimate, rate, Path("net.onnx"))
