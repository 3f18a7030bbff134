"""DNSMOS P.835 (Reddy, Gopal and Cutler 2022): listeners' ratings predicted without a reference.

The network is Microsoft's ``sig_bak_ovr.onnx`` of the DNS Challenge, which their package speechmos
carries. Window, spacing and the polynomials are those published with it; the package's own function
gives the same and takes longer.
"""

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from speechduet.errors import ModelError
from speechduet.extras import missing, need
from speechduet.metrics.signals import MetricError, Signal, as_samples, not_silent

SAMPLE_RATE = 16_000
WINDOW = 144_160
"""Samples that the network hears at once: 9.01 s."""

_POLYNOMIALS = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)
"""From what the network emits to the scale of opinion scores, highest power first."""


class DnsmosScores(NamedTuple):
    """Predicted mean opinion scores, 1 to 5; more is better."""

    signal: float
    """Of the speech (SIG)."""
    background: float
    """Of how little the background disturbs (BAK)."""
    overall: float
    """Of the whole (OVRL)."""


def dnsmos(estimate: Signal, sample_rate: int, model: Path) -> DnsmosScores:
    """DNSMOS P.835 of ``[samples]`` at 16 kHz, by the network in the ONNX file ``model``.

    The mean over windows of 9.01 s that start 1 s apart; a shorter recording is repeated until
    it fills one. Raises MetricError for another rate, for silence or for NaN; ModelError for a
    file that is not such a network; SettingError where onnxruntime is not installed.
    """
    if sample_rate != SAMPLE_RATE:
        raise MetricError(f"sample rate {sample_rate}", "16000", "resample first")
    s_hat = as_samples(estimate, "estimate")
    not_silent(s_hat, "estimate")
    while s_hat.size < WINDOW:
        s_hat = np.tile(s_hat, 2)
    # The published script counts whole seconds: this many windows, though one more may fit.
    count = max(1, s_hat.size // SAMPLE_RATE - 9)
    starts = [SAMPLE_RATE * index for index in range(count)]
    rated = [_rate(s_hat[start : start + WINDOW].astype(np.float32), model) for start in starts]
    return DnsmosScores(*(float(score) for score in np.mean(rated, axis=0)))


def published_network() -> Path:
    """The file in the package speechmos, of which nothing is run; SettingError without it."""
    need("speechmos")
    package = find_spec("speechmos")
    assert package is not None and package.origin is not None
    return Path(package.origin).parent / "dnsmos_models" / "sig_bak_ovr.onnx"


def _rate(window: Any, model: Path) -> list[float]:
    session = _session(model)
    emitted = np.ravel(session.run(None, {session.get_inputs()[0].name: window[None]})[0])
    if emitted.size != len(_POLYNOMIALS):
        raise ModelError(
            f"{model} emits {emitted.size} values for a window", "3: signal, background, overall"
        )
    return [
        float(np.polyval(polynomial, value))
        for polynomial, value in zip(_POLYNOMIALS, emitted, strict=True)
    ]


@cache
def _session(model: Path) -> Any:
    try:
        import onnxruntime
        from onnxruntime.capi import onnxruntime_pybind11_state as refusals
    except ImportError as error:
        raise missing(error, "onnxruntime", "dnsmos") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1  # Files run in parallel already.
    options.log_severity_level = 4  # What is wrong is in the error, which names the file.
    try:
        session = onnxruntime.InferenceSession(
            str(model), options, providers=["CPUExecutionProvider"]
        )
    except (
        refusals.NoSuchFile,
        refusals.InvalidProtobuf,
        refusals.InvalidGraph,
        refusals.Fail,
    ) as error:
        raise ModelError(
            f"{model} is not an ONNX network", "sig_bak_ovr.onnx of the DNS Challenge"
        ) from error
    shapes = [given.shape for given in session.get_inputs()]
    # A free dimension has a name, or None, for its size.
    if len(shapes) != 1 or len(shapes[0]) != 2 or not _takes(shapes[0][1]):
        raise ModelError(f"{model} takes {shapes}", f"[batch, {WINDOW}], as sig_bak_ovr.onnx does")
    return session


def _takes(size: int | str | None) -> bool:
    return size == WINDOW or not isinstance(size, int)
