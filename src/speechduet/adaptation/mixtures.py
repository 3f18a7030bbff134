"""What an adaptation trains on and is judged by: mixtures of the user's noise, and of other noise.

The first part of every recording is for training, the rest for the judgement.
"""

from dataclasses import replace
from typing import NamedTuple

from speechduet.data import Examples, Mixing, Mixtures, Recordings

_SHARE = 0.7
"""Of each recording that training sees."""
_SEEN_DB = (-5.0, 30.0)
"""Signal-to-noise ratios of training: up to where hardly anything is to be removed."""
_HELD_OUT_S = 4.0
_SEED = 1
"""Of the held-out mixtures: the same whatever the seed of the training is."""


class Sets(NamedTuple):
    """Training mixtures, and mixtures of held-out parts for three judgements."""

    training: Examples
    own: Examples
    """Held-out speech in held-out stretches of the user's noise, at -5 to 15 dB."""
    other: Examples
    """The same speech in voices, murmur and coloured noise, at the same ratios."""
    quiet: Examples
    """The same speech at 40 dB: what needs no enhancement must come to no harm."""


def sets(
    speech: Recordings, noise: Recordings, sample_rate: int, excerpt_s: float, seed: int
) -> Sets:
    """The sets of mixtures of what is above and below `_SHARE` of each recording.

    In training a third of the mixtures have noise that is computed or made of the speech, as the
    model was trained on, so that it does not forget what the user's recordings lack.
    """
    (seen_speech, speech), (seen_noise, noise) = speech.split(_SHARE), noise.split(_SHARE)
    seen = Mixing(
        excerpt_s=excerpt_s,
        snr_db=_SEEN_DB,
        babble=0.15,
        murmur=0.1,
        coloured_noise=0.1,
        rumble=0.1,
    )
    held = Mixing(excerpt_s=_HELD_OUT_S, snr_db=(-5.0, 15.0), coloured_noise=0.0, babble=0.0)
    own = replace(held, colour_db=0.0, second_noise=0.0)
    other = replace(held, coloured_noise=0.4, babble=0.3, murmur=0.3)
    quiet = replace(held, snr_db=(40.0, 40.0), coloured_noise=1.0)
    return Sets(
        Mixtures(seen_speech, seen_noise, seen, sample_rate, seed),
        *(Mixtures(speech, noise, kind, sample_rate, _SEED) for kind in (own, other, quiet)),
    )
