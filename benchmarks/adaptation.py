"""What ``speechduet adapt`` gains on noises that are split in time.

    python benchmarks/adaptation.py ../shared/corpus/test --noise gui_leaves --noise blanket_storm \
        --speech my_speech --check ../shared/corpus/valid

For each noise: the difference of noisy and clean of its pairs, in the order of their place in the
recording of the noise (``offset`` in the manifest's note), is the noise. Its first half is adapted
to. Its second half is mixed with the clean speech of all pairs, at -5 to 15 dB, and the model
before and after enhances the same mixtures. ``--check`` names a folder of other pairs on which
nothing should be lost.
"""

import argparse
import csv
import re
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from speechduet import audio
from speechduet.adaptation import Adaptation, adapt
from speechduet.adaptation.verdict import judge
from speechduet.data import Mixing, Mixtures, Recordings
from speechduet.enhancement.piece import enhance_whole
from speechduet.evaluation import Evaluation, compare
from speechduet.evaluation.scoring import score_samples
from speechduet.evaluation.tables import comparison_table
from speechduet.model.find import load_any
from speechduet.model.folder import Pretrained
from speechduet.training.progress import print_note

RATE = 16_000


def main() -> None:
    """Adapt to each noise and print what changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=Path, help="folder with clean, noisy and manifest.csv")
    parser.add_argument("--noise", action="append", required=True, help="in the manifest")
    parser.add_argument("--speech", type=Path, required=True, help="to adapt with")
    parser.add_argument("--check", type=Path, help="folder with clean and noisy")
    parser.add_argument("--steps", type=int, default=Adaptation.steps)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mode", default="balanced")
    given = parser.parse_args()
    before = load_any(None)
    for noise in given.noise:
        with tempfile.TemporaryDirectory() as name:
            place = Path(name)
            seconds = split_noise(given.pairs, noise, place)
            begun = time.monotonic()
            settings = Adaptation(steps=given.steps, seed=given.seed)
            verdict = adapt(place / "first", given.speech, place / "adapted", settings=settings)
            minutes = (time.monotonic() - begun) / 60
            print(f"\n## {noise}: {seconds[0]:.0f} s to adapt to, {seconds[1]:.0f} s held out")
            print(f"\n{minutes:.1f} minutes. Kept: {verdict.accepted}. {'; '.join(verdict.losses)}")
            for name, found in verdict.tables().items():
                print(f"\nverdict, {name}:\n\n{found.to_markdown()}", flush=True)
            if not verdict.accepted:
                continue
            after = load_any(place / "adapted")
            held = Mixing(
                excerpt_s=4.0,
                snr_db=(-5.0, 15.0),
                colour_db=0.0,
                coloured_noise=0.0,
                babble=0.0,
                second_noise=0.0,
            )
            talk = Recordings(given.pairs / "clean", RATE)
            mixtures = Mixtures(talk, Recordings(place / "second", RATE), held, RATE, 7)
            old, new = (
                judge(model, {"own": mixtures}, given.mode, print_note)["own"]
                for model in (before, after)
            )
            print(f"\nsecond half, {given.mode}:\n\n{table(old, new)}")
            if given.check:
                old, new = (on_pairs(model, given.check, given.mode) for model in (before, after))
                print(f"\n{given.check.name}, {given.mode}:\n\n{table(old, new)}", flush=True)


def split_noise(pairs: Path, noise: str, place: Path) -> tuple[float, float]:
    """Write the two halves of a noise to ``first`` and ``second``; their seconds."""
    with (pairs / "manifest.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["noise"] == noise]
    found = {}
    for row in rows:
        place_of = re.search(r"offset (\d+)", row["note"])
        if row["kind"] == "noisy" and place_of:
            found[int(place_of[1])] = Path(row["path"]).name
    parts = []
    for offset in sorted(found):
        noisy, clean = (
            audio.read(pairs / kind / found[offset])[0][0] for kind in ("noisy", "clean")
        )
        parts.append((offset, noisy - clean))
    half, heard, seconds = sum(len(part) for _, part in parts) / 2, 0, [0.0, 0.0]
    seen = 0
    for offset, part in parts:
        index = int(heard >= half)
        if index and offset < seen:
            continue  # A stretch of the noise that the first half has too.
        seen = seen if index else offset + len(part)
        folder = place / ("first", "second")[index]
        folder.mkdir(exist_ok=True)
        soundfile.write(folder / f"{offset}.wav", part, RATE, subtype="FLOAT")
        seconds[index] += len(part) / RATE
        heard += len(part)
    return seconds[0], seconds[1]


def on_pairs(model: Pretrained, folder: Path, mode: str) -> Evaluation:
    """Scores of a model on the pairs of a folder."""
    scores = []
    for path in sorted((folder / "noisy").iterdir()):
        noisy, clean = (
            audio.read(folder / kind / path.name)[0][0].astype(np.float64)
            for kind in ("noisy", "clean")
        )
        made = enhance_whole(
            model.system, model.spectrogram, noisy.astype(np.float32), model.modes[mode]
        )
        enhanced = made[0].astype(np.float64)
        scores.append(score_samples(path.stem, clean, enhanced, noisy, sample_rate=RATE))
    return Evaluation.of(scores)


def table(before: Evaluation, after: Evaluation) -> str:
    """How the scores changed, with intervals."""
    return comparison_table(compare({"adapted": after, "before": before})).to_markdown()


if __name__ == "__main__":
    main()
