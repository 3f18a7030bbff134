"""The ``README.md`` of a model folder, made of what its configuration says."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from speechduet.model.config import Config
from speechduet.names import markdown
from speechduet.network.cost import evaluations

START = """---
library_name: speechduet
pipeline_tag: audio-to-audio
license: {licence}
tags: [speech-enhancement, diffusion]
---
# {name}

Speech enhancement with speechduet.

```console
speechduet enhance noisy.wav -o clean.wav --model PATH_TO_THIS_FOLDER
```

## Model
"""


def model_card(config: Config, parameters: int) -> str:
    """A model card in Markdown, with the front matter that the Hugging Face Hub reads."""
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
    licence = config.metadata.get("licence", "other")
    lines = [START.format(licence=licence, name=markdown(config.name))]
    lines += [f"- {name}: {fact}" for name, fact in facts.items() if fact != "`None`"]
    lines += ["", "## Modes", "", "| mode | evaluations | settings |", "|---|---|---|"]
    for mode, sampling in config.modes.items():
        special = ", ".join(
            f"{field.name} {getattr(sampling, field.name)}"
            for field in fields(sampling)
            if getattr(sampling, field.name) != field.default or field.name == "steps"
        )
        lines.append(f"| {mode} | {evaluations(layout, sampling)} | {special} |")
    for name, value in config.metadata.items():
        if name != "licence":
            heading = markdown(name.replace("_", " ").capitalize())
            lines += ["", f"## {heading}", "", *_paragraphs(value)]
    return "\n".join(lines) + "\n"


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
