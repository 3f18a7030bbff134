"""Put a trained model in the bundled one's place, or the scores of a table onto its card.

    python recipes/corpus/bundle.py --model runs/continued/model
    python recipes/corpus/bundle.py --scores benchmarks/results/corpus_table.json

The first keeps name, modes and description of the bundled model and replaces its weights, as
16-bit numbers; ``level.py``, ``calibrate.py`` and ``tests/reference/make_bundled.py`` come next.
The second writes what ``benchmarks/corpus_table.py --json`` measured. What else the card says
(training, data, limits) is under ``metadata`` in the folder's config.json.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from speechduet.model.find import BUNDLED
from speechduet.model.folder import load, save

FOLDER = BUNDLED / "gp_unified_compact"
DIGITS = {"pesq": 2, "estoi": 3, "si_sdr": 2}


def main(
    model: Annotated[Path | None, typer.Option(help="Model folder of a run.")] = None,
    scores: Annotated[Path | None, typer.Option(help="Table, as JSON.")] = None,
) -> None:
    """Replace weights, scores or both."""
    bundled = load(FOLDER)
    if model is not None:
        bundled = replace(bundled, system=load(model).system)
    if scores is not None:
        rows = [shown(row) for row in json.loads(scores.read_text())["rows"]]
        bundled = replace(bundled, metadata={**bundled.metadata, "scores": rows})
    save(bundled, FOLDER, torch.float16, FOLDER.name)


def shown(row: dict[str, Any]) -> dict[str, Any]:
    """A row of the table as the card has it: mean and interval, rounded."""
    values = {
        name: [round(value, digits) for value in (found["mean"], *found["ci95"])]
        for name, digits in DIGITS.items()
        for found in (row["scores"][name],)
    }
    cost = {key: row[key] for key in ("evaluations", "real_time_factor") if row[key] is not None}
    if "real_time_factor" in cost:
        cost["real_time_factor"] = round(cost["real_time_factor"], 3)
    return {"set": row["set"], "pairs": row["files"], "mode": row["mode"], **values, **cost}


if __name__ == "__main__":
    typer.run(main)
