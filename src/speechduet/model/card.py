"""The ``README.md`` of a model folder, made of what its configuration says.

Of ``metadata`` these have a place of their own: ``licence``; ``datasets``, names of data sets on
the Hugging Face Hub; and ``scores``, if it is a list of records like::

    {"set": "test", "pairs": 55, "mode": "fast", "pesq": [mean, low, high], "estoi": [...],
     "si_sdr": [...], "evaluations": 1, "real_time_factor": 0.02}
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from speechduet.model.config import Config
from speechduet.names import markdown
from speechduet.network.cost import evaluations

METRICS: Mapping[str, tuple[str, str]] = {
    "pesq": ("PESQ-WB", ".2f"),
    "estoi": ("ESTOI", ".3f"),
    "si_sdr": ("SI-SDR (dB)", ".2f"),
}
"""Scores by their names in records: what a table calls them, and how it writes them."""


def model_card(config: Config, parameters: int, address: str = "") -> str:
    """A model card in Markdown, with the header that the Hugging Face Hub reads.

    ``address`` is what ``--model`` takes, if the model can be had under a name.
    """
    layout, sound = config.layout, config.spectrogram
    facts = {
        "decoders": _decoders(layout.generative, layout.predictive),
        "parameters": f"{parameters:,}",
        "network": f"`{config.network}`",
        "predictive network": f"`{config.predictive_network}`",
        "process": f"`{config.process}`",
        "spectrogram": f"{sound.bins} bins, hop {sound.hop}, {sound.factor} * |S|^{sound.exponent}",
        "sample rate": f"{sound.sample_rate} Hz",
    }
    place = address or "PATH_TO_THIS_FOLDER"
    lines = ["---", *_header(config), "---", f"# {markdown(config.name)}", ""]
    lines += ["Speech enhancement with speechduet.", "", "```console"]
    lines += [f"speechduet enhance noisy.wav -o clean.wav --model {place}", "```", ""]
    lines += ["```python", "import speechduet", ""]
    lines += [f'enhancer = speechduet.Enhancer.from_pretrained("{place}")', "```", "", "## Model"]
    lines += ["", *(f"- {name}: {fact}" for name, fact in facts.items() if fact != "`None`")]
    lines += ["", "## Modes", "", "| mode | evaluations | settings |", "|---|---|---|"]
    for mode, sampling in config.modes.items():
        special = ", ".join(
            f"{field.name} {getattr(sampling, field.name)}"
            for field in fields(sampling)
            if getattr(sampling, field.name) != field.default or field.name == "steps"
        )
        lines.append(f"| {mode} | {evaluations(layout, sampling)} | {special} |")
    for name, value in config.metadata.items():
        if name == "scores" and (records := _records(config)):
            lines += ["", "## Scores", "", *_table(records)]
        elif name not in ("licence", "datasets"):
            heading = markdown(name.replace("_", " ").capitalize())
            lines += ["", f"## {heading}", "", *_paragraphs(value)]
    return "\n".join(lines) + "\n"


def _header(config: Config) -> Iterator[str]:
    """YAML; values are written as JSON, which is a part of it."""
    licence, sets = config.metadata.get("licence", "other"), config.metadata.get("datasets")
    # The Hub has a list of its own, in lower case; another licence is "other" with a name.
    known = isinstance(licence, str) and re.fullmatch(r"[a-z0-9][a-z0-9.-]*", licence)
    tags = ["speech-enhancement", "noise-suppression", "audio"]
    header: dict[str, Any] = {
        "library_name": "speechduet",
        "pipeline_tag": "audio-to-audio",
        "license": licence if known else "other",
        "license_name": None if known else str(licence),
        "tags": [*tags, *(["diffusion"] if config.layout.generative else [])],
        "datasets": sets if isinstance(sets, list) else None,
    }
    records = _records(config)
    header["metrics"] = [name for name in METRICS if any(name in record for record in records)]
    for name, value in header.items():
        if value:
            plain = isinstance(value, str) and re.fullmatch(r"[a-z][a-z_-]*", value)
            yield f"{name}: {value if plain else json.dumps(value, ensure_ascii=False)}"
    if records:
        yield "model-index:"
        yield f"- name: {json.dumps(config.name, ensure_ascii=False)}"
        yield "  results:"
        for result in _results(records):
            yield f"  - {json.dumps(result, ensure_ascii=False)}"


def _records(config: Config) -> list[Mapping[str, Any]]:
    """Scores as records; none if they are something else, such as text."""
    scores = config.metadata.get("scores")
    return scores if isinstance(scores, list) and all(map(_is_record, scores)) else []


def _is_record(score: Any) -> bool:
    if not (isinstance(score, Mapping) and {"set", "mode"} <= score.keys()):
        return False
    values = [score[name] for name in METRICS if name in score]
    numbers = [
        number for value in values for number in (value if isinstance(value, list) else [value])
    ]
    complete = all(len(value) == 3 for value in values if isinstance(value, list))
    return complete and all(isinstance(number, int | float) for number in numbers)


def _set_of(record: Mapping[str, Any]) -> str:
    pairs = f" ({record['pairs']} pairs)" if "pairs" in record else ""
    return f"{record['set']}{pairs}"


def _mean(value: Any) -> float:
    return float(value[0] if isinstance(value, list) else value)


def _results(records: list[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Entries of a ``model-index``: one for each test set, with each mode's means."""
    results: dict[str, dict[str, Any]] = {}
    for record in records:
        if record["mode"] == "noisy":  # Not a result of the model.
            continue
        about = {"name": _set_of(record), "type": record["set"]}
        task = {"type": "audio-to-audio", "name": "Speech enhancement"}
        result = results.setdefault(about["name"], {"task": task, "dataset": about, "metrics": []})
        for name, (label, _) in METRICS.items():
            if name in record:
                label_of_mode = f"{label}, {record['mode']}"
                entry = {"type": name, "name": label_of_mode, "value": _mean(record[name])}
                result["metrics"].append(entry)
    return list(results.values())


def _table(records: list[Mapping[str, Any]]) -> Iterator[str]:
    measured = [name for name in METRICS if any(name in record for record in records)]
    heads = ["set", "mode", "NFE", *(METRICS[name][0] for name in measured), "real-time factor"]
    yield f"| {' | '.join(heads)} |"
    yield "|---" * len(heads) + "|"
    for record in records:
        cells = [_set_of(record), record["mode"], record.get("evaluations", "–")]
        cells += [_score(record.get(name), METRICS[name][1]) for name in measured]
        cells.append(record.get("real_time_factor", "–"))
        yield f"| {' | '.join(map(str, cells))} |"


def _score(value: Any, form: str) -> str:
    if value is None:
        return "–"
    if not isinstance(value, list):
        return format(value, form)
    mean, low, high = (format(number, form) for number in value)
    return f"{mean} [{low}, {high}]"


def _decoders(generative: bool, predictive: str) -> str:
    predicting = {
        "none": "",
        "own": "a predictive network of its own",
        "shared": "a predictive decoder on the same encoder",
    }[predictive]
    return " and ".join(part for part in ("generative" if generative else "", predicting) if part)


def _paragraphs(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [f"- {markdown(str(name))}: {item}" for name, item in value.items()]
    if isinstance(value, list):
        return [f"- {item}" for item in value]
    return [str(value)]
