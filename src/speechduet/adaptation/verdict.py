"""Is an adapted model better in the user's noise, and no worse elsewhere?"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

import numpy as np

from speechduet.audio.notices import Notify
from speechduet.data import Examples
from speechduet.enhancement.piece import enhance_whole
from speechduet.errors import AudioError, SpeechduetError
from speechduet.evaluation import Evaluation, PairedDifference, UnscoredFile, compare
from speechduet.evaluation.scoring import Scores, score_samples
from speechduet.evaluation.tables import Table, comparison_table, systems_table, title
from speechduet.model.folder import Pretrained

PAIRS = 40
"""Held-out mixtures of each judgement."""
NEGLIGIBLE: Mapping[str, float] = {"pesq": 0.02, "estoi": 0.003, "si_sdr": 0.1}
"""A gain must be larger than this, and a loss that may be smaller is none; but in the user's own
noise any certain loss is one."""
PLACES: Mapping[str, str] = {
    "own": "in your noise",
    "other": "in other noise",
    "quiet": "of speech at 40 dB",
}

_DB = " (dB)"

Judgement = Mapping[str, Evaluation]
"""Scores by what was enhanced: ``own``, ``other`` and ``quiet`` of `Sets`."""


Outcome = Scores | UnscoredFile
Track = Callable[[Iterable[Outcome], str, str, int], Iterable[Outcome]]
"""Passes items on and shows how far they are: a label, what is counted, and how many there are."""


def untracked(items: Iterable[Outcome], *_: object) -> Iterable[Outcome]:
    """The items, without a word."""
    return items


class Verdict(NamedTuple):
    """What an adaptation has changed in each judgement, paired by mixtures."""

    compared: Mapping[str, list[PairedDifference]]
    unscored: Mapping[str, list[UnscoredFile]] = {}
    """Mixtures that only the old model has scores for: what the new one makes is silent, say."""
    scores: Mapping[str, Mapping[str, Evaluation]] = {}
    """Of both models, *before* and *adapted*, in each judgement."""

    @property
    def gained(self) -> bool:
        """Whether PESQ, ESTOI or SI-SDR in the user's own noise certainly rose, and noticeably."""
        return any(_is_gain(pair) for pair in self.compared["own"])

    @property
    def losses(self) -> list[str]:
        """What certainly became worse, in words."""
        worse = [
            _change(pair, name)
            for name, pairs in self.compared.items()
            for pair in pairs
            if pair.metric in NEGLIGIBLE
            and pair.difference.high < (0 if name == "own" else -NEGLIGIBLE[pair.metric])
        ]
        unscored = [
            f"{len(failed)} mixtures {PLACES[name]} can no longer be scored ({failed[0].error})"
            for name, failed in self.unscored.items()
            if failed
        ]
        return worse + unscored

    @property
    def accepted(self) -> bool:
        """Whether the adapted model is to be had."""
        return self.gained and not self.losses

    @property
    def reason(self) -> str:
        """What decided, in words: what was lost, that nothing was gained, or what was."""
        if self.losses:
            return "; ".join(self.losses)
        own = [pair for pair in self.compared["own"] if pair.metric in NEGLIGIBLE]
        rose = [_change(pair, "own") for pair in own if _is_gain(pair)]
        if not rose:
            return "no score in your noise certainly and noticeably rose"
        same = [title(pair.metric).removesuffix(_DB) for pair in own if not _is_gain(pair)]
        unchanged = [f"{' and '.join(same)} did not change noticeably"] if same else []
        return "; ".join([*rose, *unchanged, "nothing was noticeably lost elsewhere"])

    def means(self) -> dict[str, Table]:
        """The scores of both models in each judgement, with intervals."""
        return {name: systems_table(models) for name, models in self.scores.items()}

    def tables(self) -> dict[str, Table]:
        """The differences of each judgement with their intervals."""
        return {name: comparison_table(pairs) for name, pairs in self.compared.items()}


def _is_gain(pair: PairedDifference) -> bool:
    least = NEGLIGIBLE.get(pair.metric)
    return least is not None and pair.difference.low > 0 and pair.difference.mean > least


def _change(pair: PairedDifference, place: str) -> str:
    """How much a score rose or fell, in words, with the interval."""
    mean, low, high = pair.difference[:3]
    verb, (least, most) = ("rose", (low, high)) if mean > 0 else ("fell", (-high, -low))
    name = title(pair.metric)
    unit = " dB" if name.endswith(_DB) else ""
    by = f"{abs(mean):.3f}{unit} ({least:.3f} to {most:.3f})"
    return f"{name.removesuffix(_DB)} {PLACES[place]} {verb} by {by}"


def judge(
    pretrained: Pretrained,
    held_out: Mapping[str, Examples],
    mode: str,
    notify: Notify,
    track: Track = untracked,
) -> Judgement:
    """Scores of a model in one mode on the first `PAIRS` of each of these sets."""
    places = ", ".join(PLACES[name] for name in held_out)
    notify(f"scoring {pretrained.name} on {PAIRS} held-out mixtures each: {places}")
    scored = (
        _scored(pretrained, examples, mode, index)
        for examples in held_out.values()
        for index in range(PAIRS)
    )
    outcomes = list(track(scored, "Scoring", "mixtures", PAIRS * len(held_out)))
    return {
        name: Evaluation.of(outcomes[number * PAIRS : (number + 1) * PAIRS])
        for number, name in enumerate(held_out)
    }


def check_scored(before: Judgement) -> None:
    """AudioError if the model that is there has scores for less than half of some mixtures."""
    for name, evaluation in before.items():
        count, failed = len(evaluation.files), evaluation.failed
        if count < len(failed):
            raise AudioError(
                f"only {count} of {count + len(failed)} held-out mixtures {PLACES[name]} can be "
                f"scored ({failed[0].error})",
                "sound in the last 30 % of most recordings, of noise and of speech",
                "cut silence off their ends",
            )


def verdict(before: Judgement, after: Judgement) -> Verdict:
    """How the scores have changed."""
    scores = {
        name: {"before": evaluation, "adapted": after[name]} for name, evaluation in before.items()
    }
    compared = {
        name: compare({"adapted": models["adapted"], "before": models["before"]})
        for name, models in scores.items()
    }
    had = {name: {one.file for one in evaluation.files} for name, evaluation in before.items()}
    unscored = {
        name: [failure for failure in evaluation.failed if failure.file in had[name]]
        for name, evaluation in after.items()
    }
    return Verdict(compared, unscored, scores)


def _scored(pretrained: Pretrained, examples: Examples, mode: str, index: int) -> Outcome:
    waveforms = examples.example(index)
    made = enhance_whole(
        pretrained.system,
        pretrained.spectrogram,
        waveforms[1],
        pretrained.modes[mode],
        seed=index,
    )
    clean, noisy, enhanced = (one.astype(np.float64) for one in (*waveforms, made[0]))
    rate = pretrained.spectrogram.sample_rate
    try:
        return score_samples(str(index), clean, enhanced, noisy, sample_rate=rate)
    except SpeechduetError as error:
        return UnscoredFile(str(index), str(error))
