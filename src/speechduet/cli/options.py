"""The options of ``speechduet enhance``."""

from collections.abc import Callable
from dataclasses import fields
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import typer

from speechduet import sampling
from speechduet.backend import BackendName, BackendPrecision
from speechduet.cli.usage import MOST_THREADS
from speechduet.seed import MOST_SEED
from speechduet.settings import Settings, bounds, meanings


def _option(
    *names: str,
    text: str,
    panel: str | None = None,
    least: float | None = None,
    most: float | None = None,
) -> Any:
    # Ranges and choices are checked here too, for a batch of which nothing is left to do would
    # otherwise never meet the sampler's own check.
    return typer.Option(*names, help=text, rich_help_panel=panel, min=least, max=most)


_MACHINE = "Machine"
_EXPERT = "Expert settings, which by default come with the model"

Inputs = Annotated[
    list[str] | None,
    typer.Argument(help="Recordings: files, folders, globs, or - for stdin.", show_default=False),
]
Output = Annotated[
    str | None,
    _option("-o", "--output", text="A file (for one recording), a folder, or - for WAV on stdout."),
]
Model = Annotated[
    str | None,
    _option(
        *("-m", "--model"),
        text="A bundled model's name, a model folder, a .ckpt of SGMSE+ or StoRM, or one of the "
        "Hugging Face Hub (org/name or org/name@revision); by default the bundled model.",
    ),
]
ListModels = Annotated[
    bool, _option("--list-models", text="List bundled and downloaded models and exit.")
]
Mode = Annotated[
    sampling.Mode,
    _option(
        "--mode",
        text="fast is the quickest, best the slowest: the bundled model evaluates its network "
        "once, twice or four times.",
    ),
]
Strength = Annotated[
    float,
    _option(
        "--strength", text="Mix of the enhanced speech (1) and the input (0).", least=0, most=1
    ),
]
Seed = Annotated[
    int,
    _option("--seed", text="The same seed gives the same result.", least=0, most=MOST_SEED),
]
Format = Annotated[
    str | None,
    _option("--format", text="wav, flac, ogg, opus, mp3, ...; by default the input's, or wav."),
]
Salvage = Annotated[
    bool, _option("--salvage", text="Enhance what a truncated or damaged file still holds.")
]
Track = Annotated[
    int | None,
    _option("--track", text="Which of several sound tracks, counted from 1.", least=1, most=9999),
]
Overwrite = Annotated[
    bool, _option("--overwrite", text="Replace existing results instead of skipping them.")
]
Verbose = Annotated[
    bool,
    _option(
        *("-v", "--verbose"),
        text="Say what an output cannot hold of its source, and where unforeseen errors come from.",
    ),
]
Quiet = Annotated[
    bool, _option("-q", "--quiet", text="Say nothing but what failed or is wrong with a file.")
]
Confidence = Annotated[
    Path | None,
    _option(
        "--confidence",
        text="Write where the two decoders disagree, as .png or .npz (for one recording).",
    ),
]
Plot = Annotated[
    bool,
    _option(
        "--plot",
        text="Draw each recording before and after (speechduet plot), as NAME.png beside its "
        "output NAME.",
    ),
]

Latency = Annotated[
    float | None,
    _option(
        "--latency",
        text="Seconds that enhanced WAV is behind when it is streamed from stdin to stdout; "
        "by default 0.5.",
        least=0.001,
        most=3600,
    ),
]
Live = Annotated[
    bool | None,
    _option(
        "--live/--no-live",
        text="Whether a stream comes from a microphone or the like, which cannot wait: what falls "
        "behind then takes a cheaper mode. By default what comes no faster than it lasts does.",
    ),
]

Device = Annotated[str, _option("--device", text="auto, cpu, cuda, cuda:1, mps.", panel=_MACHINE)]
Backend = Annotated[
    BackendName,
    _option(
        "--backend",
        text="What evaluates the network; pytorch is PyTorch as it is, winograd with fast "
        "convolutions; onnxruntime needs the extra onnx, openvino the extra openvino.",
        panel=_MACHINE,
    ),
]
Arithmetic = Annotated[
    BackendPrecision,
    _option(
        "--precision",
        text="Arithmetic of the network; auto is float32 on a CPU, and bfloat16 on a GPU that has "
        "it. int8 needs onnxruntime.",
        panel=_MACHINE,
    ),
]
Threads = Annotated[
    int | None,
    _option(
        "--threads",
        text="CPU threads of each worker; by default the cores, shared among the workers.",
        panel=_MACHINE,
        least=1,
        most=MOST_THREADS,
    ),
]
Workers = Annotated[
    int,
    _option(
        "--workers",
        text="Recordings enhanced at the same time: as many as there are cores is fastest for "
        "many short ones. Each takes memory of its own.",
        panel=_MACHINE,
        least=1,
        most=MOST_THREADS,
    ),
]
BatchSize = Annotated[
    int | None,
    _option(
        "--batch-size",
        text="Segments enhanced at once; by default 1 on a CPU, 8 elsewhere.",
        panel=_MACHINE,
        least=1,
        most=4096,
    ),
]
Segment = Annotated[
    float,
    _option(
        "--segment",
        text="Seconds above which a recording is cut into overlapping segments of this length.",
        panel=_MACHINE,
        least=1,
        most=86_400,
    ),
]

Expert = dict[str, sampling.SettingValue]
"""Sampler settings that were given, by their names."""


def with_sampler_settings(command: Callable[..., None]) -> Callable[..., None]:
    """A command with an option for each field of `Sampling` in place of its argument ``expert``.

    It gets those that were given.
    """
    return with_fields_of(sampling.Sampling, "expert", _EXPERT, shown=False)(command)


def with_fields_of(
    kind: type[Settings], argument: str, panel: str, shown: bool = True
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command an option for each field of a record in place of one argument.

    That is a dictionary of those that were given, or with ``shown`` of all, whose defaults are then
    shown. Types and ranges are the fields', help is what stands below them.
    """
    hints = get_type_hints(kind, include_extras=True)
    help_of = dict(meanings(kind))
    added = [
        _setting_option(
            setting.name,
            hints[setting.name],
            help_of[setting.name],
            panel,
            setting.default if shown else None,
        )
        for setting in fields(kind)  # type: ignore[arg-type]
    ]

    def decorated(command: Callable[..., None]) -> Callable[..., None]:
        others = [p for name, p in signature(command).parameters.items() if name != argument]

        @wraps(command)
        def with_options(**given: Any) -> None:
            values = {option.name: given.pop(option.name) for option in added}
            given[argument] = {name: v for name, v in values.items() if v is not None}
            command(**given)

        parameters = [*others, *added]
        with_options.__signature__ = signature(command).replace(parameters=parameters)  # type: ignore[attr-defined]
        with_options.__annotations__ = {p.name: p.annotation for p in parameters}
        return with_options

    return decorated


def _setting_option(name: str, hint: Any, text: str, panel: str, default: Any) -> Parameter:
    least, most = bounds(hint)
    option = "--" + name.replace("_", "-")
    kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    names = f"{option}/--no{option[1:]}" if kind is bool else option
    declared = _option(names, text=text, panel=panel, least=least, most=most)
    annotation = Annotated[kind | None, declared]  # type: ignore[valid-type]
    return Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
