"""``speechduet info``: what a recording or a model is, and what enhancing would take."""

import json
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from speechduet import sampling
from speechduet.audio.folders import is_folder, is_there
from speechduet.cli import options
from speechduet.names import shown

if TYPE_CHECKING:
    from speechduet.model.folder import Pretrained


def info(
    what: Annotated[
        str,
        typer.Argument(
            help="A recording; or a model: a folder, a .ckpt, a bundled model's name, org/name.",
            show_default=False,
        ),
    ],
    model: options.Model = None,
    mode: options.Mode = "balanced",
    track: options.Track = None,
    device: options.Device = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON to stdout.")] = False,
) -> None:
    """Say what a recording or a model is.

    Of a recording also what would be done with it, and the time and memory that are expected,
    measured on this machine within seconds. Nothing is written.
    """
    path = Path(what)
    if is_there(path) and not is_folder(path) and path.suffix.lower() != ".ckpt":
        facts = _of_recording(path, model, mode, track, device)
    else:
        facts = _of_model(what)
    if as_json:
        typer.echo(json.dumps(facts, indent=1, ensure_ascii=False, default=str))
    else:
        typer.echo("\n".join(_lines(facts)))


def _of_recording(
    path: Path, model: str | None, mode: sampling.Mode, track: int | None, device: str
) -> dict[str, Any]:
    from speechduet.audio.inspection import inspect
    from speechduet.bench.forecast import forecast
    from speechduet.enhancement.enhancer import Enhancer

    facts = inspect(path, track=track)
    sounding = facts.channels - facts.silent_channels
    made = None
    if facts.samples:
        enhancer = Enhancer.from_pretrained(model, device)
        made = forecast(enhancer, facts.duration_s, sounding, mode)
    return {"recording": asdict(facts), "enhancing": asdict(made) if made else None}


def _of_model(name: str) -> dict[str, Any]:
    from speechduet.model.find import load_any
    from speechduet.network.cost import Parts, evaluations, parameters

    model = load_any(name)
    counts = parameters(model.system)
    system = model.system
    return {
        "model": {
            "name": model.name,
            "system": _system(model),
            "sample_rate": model.spectrogram.sample_rate,
            "parameters": sum(counts),
            "parts": {
                part: count for part, count in zip(Parts._fields, counts, strict=True) if count
            },
            "process": str(system.process),
            "modes": {
                mode: {"evaluations": evaluations(system.layout, settings), **asdict(settings)}
                for mode, settings in model.modes.items()
            },
            "metadata": dict(model.metadata),
        }
    }


def _system(model: "Pretrained") -> str:
    """The name of the system of the literature that has these parts, or the parts."""
    from speechduet.recipe import RECIPES

    layout, process = model.system.layout, type(model.system.process)
    for recipe in reversed(RECIPES):
        same = (recipe.layout.generative, recipe.layout.predictive)
        if same == (layout.generative, layout.predictive) and type(recipe.process) is process:
            return recipe.name
    return str(layout)


def _lines(facts: dict[str, Any]) -> list[str]:
    if "model" in facts:
        return _model_lines(facts["model"])
    return [*_recording_lines(facts["recording"]), *_forecast_lines(facts["enhancing"])]


def _recording_lines(facts: dict[str, Any]) -> list[str]:
    peak, level = (_decibels(facts[name]) for name in ("peak_db", "level_db"))
    silent = f", {facts['silent_channels']} of them silent" if facts["silent_channels"] else ""
    rows = {
        "recording": facts["file"],
        "format": f"{facts['container']}, {facts['sample_format']}, {facts['bytes']:,} bytes",
        "rate": f"{facts['sample_rate']:,} Hz",
        "channels": f"{facts['channels']}{silent}",
        "duration": f"{_time(facts['duration_s'])} ({facts['samples']:,} samples)",
        "level": f"{level}, peak {peak} (full scale is 0 dB)",
        "clipped": f"{100 * facts['clipped']:.3g} % of the samples" if facts["clipped"] else "no",
        "tracks": f"{facts['tracks']}, see --track" if facts["tracks"] > 1 else None,
        "tags": ", ".join(f"{name}: {text}" for name, text in facts["tags"].items()) or "none",
    }
    lines = [_row(name, text) for name, text in rows.items() if text is not None]
    return lines + [_row("note", text) for text in facts["notices"]]


def _forecast_lines(facts: dict[str, Any] | None) -> list[str]:
    if facts is None:
        return ["", "There are no samples to enhance."]
    plan = (
        f"{facts['segments']} of {facts['segment_s']:.1f} s"
        if facts["segments"] > 1
        else "one piece"
    )
    memory = facts["memory_bytes"]
    factor = facts["real_time_factor"]
    rows = {
        "model": f"{facts['model']}, mode {facts['mode']}, on {facts['device']}",
        "model's rate": f"{facts['model_rate']:,} Hz; another is resampled to it and back",
        "segments": plan,
        "evaluations": f"{facts['evaluations']:,} of the network",
        "time": f"about {_time(facts['time_s'])} (real-time factor {factor:.3g})",
        "memory": f"about {memory / 1e6:,.0f} MB" if memory else "not counted on this system",
        "basis": facts["basis"],
    }
    return ["", *(_row(name, text) for name, text in rows.items())]


def _model_lines(facts: dict[str, Any]) -> list[str]:
    metadata = facts["metadata"]
    rows = {
        "model": facts["name"],
        "system": facts["system"],
        "rate": f"{facts['sample_rate']:,} Hz",
        "parameters": f"{facts['parameters']:,}",
        **{f"  {name.replace('_', ' ')}": f"{count:,}" for name, count in facts["parts"].items()},
        "process": facts["process"],
        "licence": metadata.get("licence", "not stated"),
    }
    lines = [_row(name, text) for name, text in rows.items()]
    for mode, settings in facts["modes"].items():
        stated = f"{settings['steps']} steps, {settings['evaluations']} evaluations"
        corrector = f", corrector {settings['corrector_snr']}" if settings["steps"] else ""
        lines.append(
            _row(f"mode {mode}", stated + (corrector if settings["corrector_steps"] else ""))
        )
    for name, value in metadata.items():
        if name != "licence":
            lines.append(_row(name.replace("_", " "), ""))
            lines += [f"  {text}" for text in _texts(value)]
    return lines


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [shown(f"{name}: {item}") for name, item in value.items()]
    if isinstance(value, list):
        return [text for item in value for text in _items(item)]
    return [shown(str(value))]


def _items(item: Any) -> list[str]:
    if isinstance(item, dict):
        return [shown(", ".join(f"{name} {value}" for name, value in item.items()))]
    return [shown(str(item))]


def _row(name: str, text: Any) -> str:
    return f"{name:20} {shown(str(text))}".rstrip()


def _decibels(value: float | None) -> str:
    return "silence" if value is None else f"{value:.1f} dB"


def _time(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds < 120 else str(timedelta(seconds=round(seconds)))
