"""English words as PocketSphinx hears them, with the acoustic and language model of its package.

It is no match for today's recognisers, but runs anywhere and always hears the same.
"""

from functools import cache
from typing import Any

import numpy as np

from speechduet.extras import missing
from speechduet.metrics.signals import Samples


def english_words(samples: Samples, sample_rate: int) -> str:
    """What is said in ``[samples]`` at 16 kHz; SettingError if pocketsphinx is not installed."""
    decoder = _decoder(sample_rate)
    # Or what was heard before would have a say in how the spectrum is normalised.
    decoder.reinit_feat()
    decoder.start_utt()
    steps = np.rint(np.clip(samples, -1, 1) * 32_767).astype(np.int16)
    decoder.process_raw(steps.tobytes(), full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp()
    return heard.hypstr if heard else ""


@cache
def _decoder(sample_rate: int) -> Any:
    try:
        from pocketsphinx import Decoder
    except ImportError as error:
        raise missing(error, "pocketsphinx") from error
    return Decoder(samprate=sample_rate, loglevel="FATAL")
