"""Whether recordings are what they are given as: noise without speech, and enough of both."""

import numpy as np

from speechduet.audio.notices import Notify
from speechduet.data import Recordings
from speechduet.enhancement.piece import enhance_whole
from speechduet.errors import AudioError
from speechduet.model.folder import Pretrained
from speechduet.sampling import Sampling

LEAST_NOISE_S = 10.0
LEAST_SPEECH_S = 10.0
_ENOUGH_SPEECH_S = 300.0
_SPEECH_LIKE = 0.5
"""Share of its energy that the model keeps of a stretch which it takes for speech."""
_STRETCHES, _STRETCH_S = 24, 4.0


def check_noise(noise: Recordings, sample_rate: int, pretrained: Pretrained) -> None:
    """AudioError for too little noise, or if most of it is speech to the model."""
    _check_length(noise, sample_rate, LEAST_NOISE_S, "noise")
    kept = kept_energy(noise, sample_rate, pretrained)
    if np.mean(kept > _SPEECH_LIKE) > 0.5:
        raise AudioError(
            f"most of the noise sounds like speech: the model keeps {np.median(kept):.0%} of its "
            "energy",
            "recordings of the noise alone",
            "leave out what has the wanted voices in it",
        )


def check_speech(speech: Recordings, sample_rate: int, notify: Notify) -> None:
    """AudioError for too little speech; a note for so little that other voices may lose."""
    _check_length(speech, sample_rate, LEAST_SPEECH_S, "speech")
    seconds = speech.samples / sample_rate
    if seconds < _ENOUGH_SPEECH_S:
        notify(
            f"{seconds:.0f} s of speech: adapted with so little, a model was worse for other "
            "voices, which the scores before and after do not show; ten minutes of many voices "
            "are better"
        )


def kept_energy(noise: Recordings, sample_rate: int, pretrained: Pretrained) -> np.ndarray:
    """Shares of its energy that the predictive decoder keeps of each of some random stretches."""
    random = np.random.default_rng(0)
    shares = []
    for _ in range(_STRETCHES):
        stretch = noise.excerpt(random, round(_STRETCH_S * sample_rate), 0)
        made = enhance_whole(pretrained.system, pretrained.spectrogram, stretch, Sampling(steps=0))
        shares.append(np.square(made).sum() / max(np.square(stretch).sum(), 1e-12))
    return np.array(shares)


def _check_length(recordings: Recordings, sample_rate: int, least_s: float, what: str) -> None:
    seconds = recordings.samples / sample_rate
    if seconds < least_s:
        raise AudioError(
            f"{seconds:.1f} s of {what}", f"{least_s:g} s at least, and better some minutes"
        )
