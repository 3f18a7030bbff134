"""Excerpts of pairs to train on, and whole pairs to validate on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from speechduet.attempt import Attempt
from speechduet.audio.notices import Notify, warn
from speechduet.data import findings as found
from speechduet.data.findings import Findings
from speechduet.data.mixing import Mixing, degradation_generator, distorted, levelled
from speechduet.data.mono import Samples
from speechduet.data.pairs import ClipPair, check_shapes
from speechduet.errors import AudioError


@dataclass(frozen=True)
class FittingPair:
    """A pair of one length and rate, to be read at the rate that is trained at."""

    pair: ClipPair
    sample_rate: int
    samples: int
    """Length, at that rate."""
    channels: tuple[int, int]
    """Which one is read of the clean and of the noisy recording."""

    @property
    def name(self) -> str:
        """Of the pair."""
        return self.pair.name

    def read(self, start: int, length: int) -> tuple[Samples, Samples]:
        """A stretch of both, clean and noisy, ``[samples]`` each; silence after their end."""
        clean, noisy = (
            clip.read(start, length, self.sample_rate, channel)
            for clip, channel in zip(self.pair[1:], self.channels, strict=True)
        )
        return clean, noisy


def fit(pair: ClipPair, sample_rate: int, findings: Findings) -> FittingPair:
    """How a pair is read; of several channels the first with clean sound, if it is noisy too.

    What is odd about it is noted. AudioError unless both have one length and rate and are finite.
    """
    clean_shape, sounds = pair.clean.survey(0)
    channel = sounds.index(True) if any(sounds) else 0
    noisy_shape, noisy_sounds = pair.noisy.survey(channel)
    samples, rate = check_shapes(pair, clean_shape, noisy_shape), clean_shape.sample_rate
    noisy_channel = min(channel, len(noisy_sounds) - 1)
    if not noisy_sounds[noisy_channel] and any(noisy_sounds):
        noisy_channel = noisy_sounds.index(True)
        pair.noisy.survey(noisy_channel)
        findings.add(found.OTHER_CHANNEL, f"{pair.name}: channel {noisy_channel + 1} of noisy")
    if channel:
        pair.clean.survey(channel)  # which refuses what is not finite in that one too
        findings.add(found.OTHER_CHANNEL, f"{pair.name}: channel {channel + 1}")
    if not any(sounds):
        findings.add(f"{found.SILENT} in clean", pair.name)
    if not noisy_sounds[noisy_channel]:
        findings.add(f"{found.SILENT} in noisy", pair.name)
    if rate != sample_rate:
        kind = found.RESAMPLED if rate > sample_rate else found.NARROW
        findings.add(kind.format(f"{sample_rate} Hz"), f"{pair.name}: {rate} Hz")
        samples = max(1, samples * sample_rate // rate)
    return FittingPair(pair, sample_rate, samples, (channel, noisy_channel))


class PairExcerpts:
    """Excerpts of pairs, in a new order in every epoch, without end: `Examples`.

    Of the settings of mixing those apply that come after it: excerpt, clipping, band limit,
    level. What is shorter than an excerpt is followed by silence. Pairs that do not fit or cannot
    be read are left out; ``notify`` learns of these and of whatever else is odd, in a line per
    kind. Raises AudioError at once if there is no pair that can be used, or if all clean or all
    noisy recordings are silent.
    """

    def __init__(
        self,
        pairs: Sequence[ClipPair],
        settings: Mixing,
        sample_rate: int,
        seed: int,
        notify: Notify = warn,
    ) -> None:
        if not pairs:
            raise AudioError("there are no pairs to train on", "at least one")
        self.pairs = _fitting(pairs, sample_rate, notify)
        self.settings = settings
        self.sample_rate = sample_rate
        self.seed = seed
        self._epoch = -1
        self._order = np.arange(0)

    def example(self, index: int) -> tuple[Samples, Samples]:
        """Excerpt number ``index``; every ``len(pairs)`` of them hold each pair once."""
        epoch, place = divmod(index, len(self.pairs))
        if epoch != self._epoch:
            self._order = np.random.default_rng([self.seed, epoch, 2]).permutation(len(self.pairs))
            self._epoch = epoch
        pair = self.pairs[int(self._order[place])]
        random = np.random.default_rng([self.seed, index])
        length = round(self.settings.excerpt_s * self.sample_rate)
        clean, noisy = pair.read(int(random.integers(0, max(1, pair.samples - length + 1))), length)
        degrading = degradation_generator(self.seed, index)
        clean, noisy = distorted(degrading, clean, noisy, self.settings, self.sample_rate)
        return levelled(clean, noisy, random.uniform(*self.settings.level_db))


def _fitting(pairs: Sequence[ClipPair], sample_rate: int, notify: Notify) -> list[FittingPair]:
    findings, fitting = Findings("training pairs", len(pairs)), []
    for pair in pairs:
        with Attempt(pair.name) as attempt:
            fitting.append(fit(pair, sample_rate, findings))
        if attempt.failure:
            findings.add(found.LEFT_OUT, attempt.failure)
    if not fitting:
        raise AudioError(
            f"none of {len(pairs)} pairs can be used", remedy=findings.first(found.LEFT_OUT)
        )
    for role in ("clean", "noisy"):
        if findings.count(f"{found.SILENT} in {role}") == len(fitting):
            raise AudioError(f"all {len(fitting)} {role} recordings are silent", "sound")
    findings.report(notify)
    return fitting
