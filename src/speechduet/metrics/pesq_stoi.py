"""Models of what listeners hear: PESQ (quality), STOI and ESTOI (intelligibility)."""

import math

import numpy as np

from speechduet.extras import missing
from speechduet.metrics.signals import MetricError, Samples, Signal, not_silent, same_length

STOI_RATE, FRAME = 10_000, 256
"""Hz, and samples of a frame, with which STOI is defined."""


def pesq(estimate: Signal, reference: Signal, sample_rate: int) -> float:
    """PESQ as a mean opinion score (1 to about 4.64): wideband at 16 kHz, narrowband at 8 kHz.

    P.862 is meant for single sentences, and its reference code corrupts memory above 50
    utterances. So a recording of more than 20 s is cut into equal parts of at most 20 s, and
    the mean over the parts with speech is returned.
    """
    try:
        import pesq as reference_code
    except ImportError as error:
        raise missing(error, "pesq") from error
    if sample_rate not in (8_000, 16_000):
        raise MetricError(
            f"sample rate {sample_rate}", "16000 (wideband) or 8000 (narrowband)", "resample first"
        )
    s_hat, s = _audible(estimate, reference)
    band = "wb" if sample_rate == 16_000 else "nb"
    parts = math.ceil(s.size / (20 * sample_rate))
    scores = []
    for s_part, s_hat_part in zip(
        np.array_split(s, parts), np.array_split(s_hat, parts), strict=True
    ):
        # The reference code would divide by their peaks.
        if not s_part.any():
            continue
        if not s_hat_part.any():
            raise MetricError("PESQ finds no sound in the estimate", "some in every part of it")
        try:
            scores.append(reference_code.pesq(sample_rate, s_part, s_hat_part, band))
        except reference_code.BufferTooShortError as short:
            raise MetricError(f"{s.size / sample_rate:.3f} s", "over 0.25 s for PESQ") from short
        except reference_code.NoUtterancesError:
            continue
        except ValueError as nothing:
            # What it says when a part of the estimate is silent: "cannot convert float NaN".
            raise MetricError("PESQ finds no sound in the estimate", "a louder one") from nothing
        except reference_code.PesqError as error:
            reason = error.args[0] if error.args else type(error).__name__
            text = reason.decode() if isinstance(reason, bytes) else str(reason)
            raise MetricError(f"PESQ fails ({text.strip()})") from error
    if not scores:
        raise MetricError("PESQ finds no speech in the reference", "a louder or longer one")
    return float(np.mean(scores))


def stoi(estimate: Signal, reference: Signal, sample_rate: int) -> float:
    """Short-time objective intelligibility (Taal et al. 2011), about 0 to 1."""
    return _intelligibility(estimate, reference, sample_rate, extended=False)


def estoi(estimate: Signal, reference: Signal, sample_rate: int) -> float:
    """Extended STOI (Jensen and Taal 2016), about 0 to 1."""
    return _intelligibility(estimate, reference, sample_rate, extended=True)


def _intelligibility(
    estimate: Signal, reference: Signal, sample_rate: int, extended: bool
) -> float:
    try:
        from pystoi import stoi as reference_code
        from pystoi import utils
    except ImportError as error:
        raise missing(error, "pystoi") from error
    s_hat, s = _audible(estimate, reference)
    too_little = MetricError(
        f"too little speech in {s.size / sample_rate:.3f} s", "0.41 s of it for STOI and ESTOI"
    )
    if s.size < 0.4 * sample_rate:
        raise too_little
    if sample_rate != STOI_RATE:
        s, s_hat = (utils.resample_oct(signal, STOI_RATE, sample_rate) for signal in (s, s_hat))
    # With fewer than 30 frames that are not silent, pystoi warns and returns 1e-5. A filter that
    # turns this into an error would be one for all threads.
    spoken, _ = utils.remove_silent_frames(s, s_hat, 40, FRAME, FRAME // 2)
    if len(range(0, len(spoken) - FRAME, FRAME // 2)) < 30:
        raise too_little
    # ESTOI adds a trace of noise from NumPy's global generator: make it repeatable, and leave
    # the caller's numbers as they were.
    state = np.random.get_state()
    np.random.seed(0)
    try:
        return float(reference_code(s, s_hat, STOI_RATE, extended=extended))
    finally:
        np.random.set_state(state)


def _audible(estimate: Signal, reference: Signal) -> tuple[Samples, Samples]:
    s_hat, s = same_length(estimate=estimate, reference=reference)
    not_silent(s, "reference")
    not_silent(s_hat, "estimate")
    return s_hat, s
