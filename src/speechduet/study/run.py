"""A whole ablation: sweep on validation, pick there, report on test, write it all down."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from speechduet.evaluation import UnscoredFile
from speechduet.files.atomic import write_text
from speechduet.study.cache import Cache
from speechduet.study.figures import draw
from speechduet.study.measuring import Measured, Progress, Runner, models, pairs_of
from speechduet.study.selection import Picked, described, picked
from speechduet.study.settings import Ablation, Folders, Setting
from speechduet.study.tables import Sets, files_csv, report, settings_csv

Watch = Callable[[str], Progress]
"""Given the name of a set, what is called with its progress."""


class Outcome(NamedTuple):
    """What an ablation came to."""

    sets: Sets
    picks: list[Picked]
    failures: list[str]
    """Recordings that could not be measured with some setting, and why, a line each."""
    text: str
    """The report, Markdown."""


def run(ablation: Ablation, folder: Path, jobs: int, device: str, watch: Watch) -> Outcome:
    """Measure what the folder does not know yet, and write its report, CSV files and figures.

    ``folder/results.jsonl`` holds every result by its content: stopped and started again, or with
    a sweep added, only what is new is measured.
    """
    settings = ablation.settings()
    known_models = models(ablation.systems, settings)
    cache = Cache(folder / "results.jsonl")
    try:
        runner = Runner(known_models, ablation.seeds, cache, jobs, device)
        failures: list[str] = []

        def measure(name: str, folders: Folders, chosen: list[Setting]) -> dict[Setting, Measured]:
            pairs, unpaired = pairs_of(folders)
            measured = runner.measure(pairs, chosen, watch(name))
            failures.extend(f"{name}: {failure.file}: {failure.error}" for failure in unpaired)
            for one in measured.values():
                failures.extend(_line(name, one.setting, f) for f in one.evaluation.failed)
            return measured

        sets = {"valid": measure("valid", ablation.valid, settings)}
        picks: list[Picked] = []
        if ablation.test is not None:
            picks = picked(ablation, sets["valid"])
            reported = [*ablation.settings(tested=True), *(pick.setting for pick in picks)]
            sets["test"] = measure("test", ablation.test, list(dict.fromkeys(reported)))
    finally:
        cache.close()
    text = report(ablation, sets, picks)
    write_text(folder / "report.md", text)
    write_text(folder / "settings.csv", settings_csv(sets))
    write_text(folder / "files.csv", files_csv(sets, ablation.seeds))
    for name, measured in sets.items():
        draw(ablation, measured, folder, name)
    return Outcome(sets, picks, failures, text)


def _line(name: str, setting: Setting, failure: UnscoredFile) -> str:
    return (
        f"{name}: {setting.system} ({described(setting.sampling)}): {failure.file}: {failure.error}"
    )
