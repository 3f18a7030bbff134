"""Fine-tune a model to a user's own noise, and keep the result only if it is better."""

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from speechduet.adaptation.checking import check_noise, check_speech
from speechduet.adaptation.folder import MODEL, claimed, discard, identity
from speechduet.adaptation.mixtures import Sets, sets
from speechduet.adaptation.recipe import Adaptation, recipe_of, training_excerpt_s
from speechduet.adaptation.verdict import Track, Verdict, check_scored, judge, untracked, verdict
from speechduet.audio.folders import find_recordings, resolved
from speechduet.audio.notices import Notify
from speechduet.backend.fast_convolutions import fast_convolutions
from speechduet.data import Examples, Recordings
from speechduet.errors import ModelError, SettingError
from speechduet.evaluation.summary import Interval
from speechduet.files.partial import unfinished_folder
from speechduet.model.find import BUNDLED, load_any
from speechduet.model.folder import CONFIG, Pretrained, load, save
from speechduet.training.checkpoints import has_checkpoint
from speechduet.training.errors import TrainingError
from speechduet.training.progress import print_note
from speechduet.training.recipe_file import TrainingRecipe
from speechduet.training.run import train


def adapt(
    noise: Path,
    speech: Path,
    output: Path,
    model: str | Path | None = None,
    settings: Adaptation | None = None,
    notify: Notify = print_note,
    track: Track = untracked,
) -> Verdict:
    """Fine-tune a model to the recordings of noise in a folder.

    ``speech`` is a folder of clean speech to mix it with. The adapted model is written to
    ``output`` only if the verdict accepts it. Until then all is in ``output`` with the suffix
    ``.adapting``; the same call goes on there after an interruption. ``notify`` learns what is odd
    and when scoring and training begin, ``track`` shows how far the scoring is. Raises AudioError
    or SettingError for recordings that one cannot adapt to, SettingError for a model without a
    predictive decoder.
    """
    settings = settings or Adaptation()
    check_new(output)
    _check_outside(output, model)
    _check_apart(noise, speech)
    before = load_any(model)
    _check_model(before)
    rate = before.spectrogram.sample_rate
    recordings = Recordings(noise, rate, notify=notify)
    talk = Recordings(speech, rate, notify=notify)
    check_speech(talk, rate, notify)
    # The last of the checks, for it listens to the noise through the model.
    check_noise(recordings, rate, before)
    excerpt_s = training_excerpt_s(before)
    made = sets(talk, recordings, rate, excerpt_s, settings.seed)
    held_out = {name: getattr(made, name) for name in Sets._fields if name != "training"}
    mode = "balanced" if "balanced" in before.modes else next(iter(before.modes))
    run = output.with_name(f"{output.name}.adapting")
    with claimed(run, identity(before, noise, speech, asdict(settings))):
        scores = judge(_fast(before), held_out, mode, notify, track)
        check_scored(scores)
        recipe = recipe_of(before, noise, speech, excerpt_s, settings)
        after = _trained(recipe, before, run, notify, made.training)
        found = verdict(scores, judge(_fast(after), held_out, mode, notify, track))
        if found.accepted:
            metadata = _metadata(before, recordings, rate, found)
            _hand_over(replace(after, metadata=metadata), run, output)
        else:
            discard(run)
    return found


def check_new(output: Path) -> None:
    """Raise SettingError if there is anything of this name already, be it a link to nothing."""
    if os.path.lexists(output):
        raise SettingError(f"{output} is there", "a new folder for the adapted model")


def _check_outside(output: Path, model: str | Path | None) -> None:
    """The folder of a model stays as it is, and so does the list of those that are bundled."""
    homes = (BUNDLED, *([Path(model)] if model else []))
    if any(home.is_dir() and home.resolve() in output.resolve().parents for home in homes):
        raise SettingError(f"{output} is within the folder of a model", "a place outside it")


def _check_apart(noise: Path, speech: Path) -> None:
    """Noise that is trained on as speech would be kept, and judged to be right."""
    expected = "a folder of noise and one of speech apart from it"
    first, second = noise.resolve(), speech.resolve()
    if first == second or first in second.parents or second in first.parents:
        raise SettingError(f"{noise} and {speech} overlap", expected)
    # Links may lead from one folder into the other.
    talk = {resolved(path) for path in find_recordings(speech)}
    shared = [path for path in find_recordings(noise) if resolved(path) in talk]
    if shared:
        raise SettingError(
            f"{noise} and {speech} overlap: {len(shared)} recordings are in both, such as "
            f"{shared[0]}",
            expected,
            "remove the links that lead from one to the other",
        )


def _check_model(pretrained: Pretrained) -> None:
    if pretrained.system.layout.predictive != "shared":
        raise SettingError(
            f"{pretrained.name} has no decoders that share an encoder",
            "such a model, as the bundled one is",
            "train others with speechduet train and run.start_from",
        )


def _trained(
    recipe: TrainingRecipe, before: Pretrained, run: Path, notify: Notify, examples: Examples
) -> Pretrained:
    model = run / MODEL
    if (model / CONFIG).is_file():  # It is written when all else of the model is.
        notify(f"{model} is trained already: what is left is the scoring")
        return load(model)
    again = "going on with " if has_checkpoint(run) else ""
    notify(f"{again}training {before.name}: {recipe.run.max_steps} steps")
    return load(train(recipe, run, notify, examples, before.system))


def _hand_over(adapted: Pretrained, run: Path, output: Path) -> None:
    """The model under its name, and the run folder away."""
    with unfinished_folder(output.parent) as unnamed:
        try:
            save(adapted, unnamed, torch.float16)
        except ModelError as error:
            # Nothing is wrong with what was asked for.
            raise TrainingError(str(error), remedy="the same call goes on from here") from error
        check_new(output)  # It takes minutes to get here.
        # Whenever it is killed, the same call can go on: what it goes on from disappears first.
        discard(run)
        unnamed.rename(output)


def _fast(pretrained: Pretrained) -> Pretrained:
    system = pretrained.system
    return replace(pretrained, system=system.evaluated_by(fast_convolutions(system)))


def _metadata(
    before: Pretrained, noise: Recordings, sample_rate: int, found: Verdict
) -> dict[str, Any]:
    """The base model's, less its scores, which are not those of the adapted one."""
    kept = {name: value for name, value in before.metadata.items() if name != "scores"}
    changes = {
        name: {pair.metric: _rounded(pair.difference).to_json() for pair in pairs}
        for name, pairs in found.compared.items()
    }
    return {
        **kept,
        "adaptation": {
            "base": before.name,
            "noise_seconds": round(noise.samples / sample_rate, 1),
            "changes_on_held_out_mixtures": changes,
        },
    }


def _rounded(interval: Interval) -> Interval:
    """To what a reader of the model's card can take in."""
    mean, low, high = (round(number, 4) for number in interval[:3])
    return Interval(mean, low, high, interval.n)
