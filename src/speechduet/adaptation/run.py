"""Fine-tune a model to a user's own noise, and keep the result only if it is better."""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch

from speechduet.adaptation.checking import check_noise, check_speech
from speechduet.adaptation.mixtures import Sets, sets
from speechduet.adaptation.verdict import Verdict, judge, verdict
from speechduet.audio.folders import find_recordings
from speechduet.audio.notices import Notify
from speechduet.backend.fast_convolutions import fast_convolutions
from speechduet.data import Mixing, Recordings
from speechduet.errors import ModelError, SettingError
from speechduet.files.atomic import write_text
from speechduet.files.partial import remove_leftovers, unfinished_folder
from speechduet.model.find import load_any
from speechduet.model.folder import Pretrained, describe, load, save
from speechduet.settings import Count, Positive, Seed, Settings
from speechduet.training.draws import TrainingTime
from speechduet.training.errors import TrainingError, is_full
from speechduet.training.losses import LossSettings
from speechduet.training.optimisation import Optimisation
from speechduet.training.progress import print_note
from speechduet.training.recipe_file import TrainingRecipe
from speechduet.training.run import train
from speechduet.training.settings import DataSettings, RunSettings

_EXCERPT_S = 2.0
_NOTE = "adaptation.json"


@dataclass(frozen=True)
class Adaptation(Settings):
    """How long and how fast a model is fine-tuned."""

    steps: Count = 300
    """Of eight excerpts of two seconds."""
    learning_rate: Positive = 2e-4
    """It falls to 0 over the second half."""
    seed: Seed = 0


def adapt(
    noise: Path,
    speech: Path,
    output: Path,
    model: str | Path | None = None,
    settings: Adaptation | None = None,
    notify: Notify = print_note,
) -> Verdict:
    """Fine-tune a model to the recordings of noise in a folder.

    ``speech`` is a folder of clean speech to mix it with. The adapted model is written to
    ``output`` only if the verdict accepts it. Until then all is in ``output`` with the suffix
    ``.adapting``; the same call goes on there after an interruption. Raises AudioError or
    SettingError for recordings that one cannot adapt to, SettingError for a model without a
    predictive decoder.
    """
    settings = settings or Adaptation()
    check_new(output)
    before = load_any(model)
    _check_model(before)
    run = output.with_name(f"{output.name}.adapting")
    _claim(run, _identity(before, noise, speech, settings))
    rate = before.spectrogram.sample_rate
    recordings = Recordings(noise, rate, notify=notify)
    check_noise(recordings, rate, before)
    talk = Recordings(speech, rate, notify=notify)
    check_speech(talk, rate)
    excerpt_s = _excerpt_s(before)
    made = sets(talk, recordings, rate, excerpt_s, settings.seed)
    held_out = {name: getattr(made, name) for name in Sets._fields if name != "training"}
    mode = "balanced" if "balanced" in before.modes else next(iter(before.modes))
    scores = judge(_fast(before), held_out, mode, notify)
    recipe = _recipe(before, noise, speech, model, excerpt_s, settings)
    after = load(train(recipe, run, notify, made.training))
    found = verdict(scores, judge(_fast(after), held_out, mode, notify))
    if not found.accepted:
        _discard(run)
        return found
    metadata = _metadata(before, recordings, rate, found)
    with unfinished_folder(output.parent) as unnamed:
        try:
            save(replace(after, metadata=metadata), unnamed, torch.float16)
        except ModelError as error:
            # Nothing is wrong with what was asked for.
            raise TrainingError(str(error), remedy="the same call goes on from here") from error
        # Whenever it is killed, the same call can go on: what it goes on from disappears first.
        _discard(run)
        unnamed.rename(output)
    return found


def check_new(output: Path) -> None:
    """Raise SettingError if there is anything of this name already."""
    if output.exists():
        raise SettingError(f"{output} is there", "a new folder for the adapted model")


def _check_model(pretrained: Pretrained) -> None:
    if pretrained.system.layout.predictive != "shared":
        raise SettingError(
            f"{pretrained.name} has no decoders that share an encoder",
            "such a model, as the bundled one is",
            "train others with speechduet train and run.start_from",
        )


def _identity(
    pretrained: Pretrained, noise: Path, speech: Path, settings: Adaptation
) -> dict[str, Any]:
    """What must be the same for an interrupted adaptation to go on."""
    weights = sha256()
    for tensor in pretrained.system.state_dict().values():
        weights.update(tensor.cpu().contiguous().numpy().tobytes())
    listing = [
        (str(path), path.stat().st_size, path.stat().st_mtime_ns)
        for folder in (noise, speech)
        for path in find_recordings(folder)
    ]
    recordings = sha256(json.dumps(listing).encode()).hexdigest()
    return {"model": weights.hexdigest(), "recordings": recordings, **asdict(settings)}


def _claim(run: Path, identity: Mapping[str, Any]) -> None:
    """A run folder for this adaptation, new or with what is left of an interrupted one."""
    note, text = run / _NOTE, json.dumps(identity)
    for folder in (run.parent, run):
        remove_leftovers(folder)
    # One that was killed before its note was there has left nothing.
    begun = run.exists() and any(run.iterdir())
    if begun and (not note.is_file() or note.read_text() != text):
        raise SettingError(
            f"{run} holds an adaptation to other recordings, of another model or with other steps",
            remedy="delete it to start again, or give the same as before to go on",
        )
    try:
        run.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise is_full(error, run) or SettingError(
            f"cannot create {run} ({error.strerror})", "a writable folder"
        ) from None
    write_text(note, text, TrainingError)


def _discard(run: Path) -> None:
    """Remove a run folder, the note last, without which nobody could go on from the rest."""
    for path in run.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != _NOTE:
            path.unlink()
    shutil.rmtree(run)


def _excerpt_s(pretrained: Pretrained) -> float:
    """The least length from `_EXCERPT_S` on whose frames the network takes."""
    transform, multiple = pretrained.spectrogram, pretrained.system.frame_multiple
    frames = transform.frames(round(_EXCERPT_S * transform.sample_rate))
    return (frames + -frames % multiple - 1) * transform.hop / transform.sample_rate


def _recipe(
    pretrained: Pretrained,
    noise: Path,
    speech: Path,
    model: str | Path | None,
    excerpt_s: float,
    settings: Adaptation,
) -> TrainingRecipe:
    """Losses and times of the bundled model's own training, from its weights on."""
    return TrainingRecipe(
        replace(describe(pretrained), name=f"{pretrained.name}_adapted"),
        DataSettings(speech=str(speech), noise=str(noise)),
        Mixing(excerpt_s=excerpt_s),
        LossSettings("clean", generative=1.0, magnitude=1.0, si_sdr=2.0, terms_for="both"),
        TrainingTime(at_start=0.5, own_states=0.9),
        Optimisation(
            settings.learning_rate,
            weight_decay=0.01,
            warmup_steps=20,
            decay_steps=settings.steps // 2,
        ),
        RunSettings(
            max_steps=settings.steps,
            ema_decay=0.98,
            gradient_clip=20.0,
            seed=settings.seed,
            checkpoint_every_steps=50,
            log_every_steps=25,
            start_from=str(model or pretrained.name),
        ),
    )


def _fast(pretrained: Pretrained) -> Pretrained:
    system = pretrained.system
    return replace(pretrained, system=system.evaluated_by(fast_convolutions(system)))


def _metadata(
    before: Pretrained, noise: Recordings, sample_rate: int, found: Verdict
) -> dict[str, Any]:
    """The base model's, less its scores, which are not those of the adapted one."""
    kept = {name: value for name, value in before.metadata.items() if name != "scores"}
    changes = {
        name: {pair.metric: pair.difference.to_json() for pair in pairs}
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
