"""The options of ``speechduet enhance``."""

from pathlib import Path
from typing import Annotated, Any

import typer


def _option(*names: str, text: str, panel: str | None = None) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=panel)


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
        text="A bundled model's name, a model folder, a .ckpt of SGMSE+ or StoRM, or a Hugging "
        "Face id; by default the bundled model.",
    ),
]
ListModels = Annotated[bool, _option("--list-models", text="List the bundled models and exit.")]
Mode = Annotated[str, _option("--mode", text="fast (one evaluation), balanced or best.")]
Strength = Annotated[
    float, _option("--strength", text="Mix of the enhanced speech (1) and the input (0).")
]
Seed = Annotated[int, _option("--seed", text="The same seed gives the same result.")]
Format = Annotated[
    str | None,
    _option("--format", text="wav, flac, ogg, opus, mp3, ...; by default the input's, or wav."),
]
Overwrite = Annotated[
    bool, _option("--overwrite", text="Replace existing results instead of skipping them.")
]
Confidence = Annotated[
    Path | None,
    _option(
        "--confidence",
        text="Write where the two decoders disagree, as .png or .npz (for one recording).",
    ),
]

Device = Annotated[str, _option("--device", text="auto, cpu, cuda, cuda:1, mps.", panel=_MACHINE)]
Threads = Annotated[int | None, _option("--threads", text="CPU threads.", panel=_MACHINE)]
BatchSize = Annotated[
    int | None,
    _option(
        "--batch-size",
        text="Segments enhanced at once; by default 1 on a CPU, 8 elsewhere.",
        panel=_MACHINE,
    ),
]
Segment = Annotated[
    float,
    _option(
        "--segment",
        text="Seconds above which a recording is cut into overlapping segments of this length.",
        panel=_MACHINE,
    ),
]

Steps = Annotated[
    int | None, _option("--steps", text="Reverse steps; 0: predictive estimate.", panel=_EXPERT)
]
Grid = Annotated[str | None, _option("--grid", text="exact or paper step sizes.", panel=_EXPERT)]
Alpha = Annotated[
    float | None,
    _option("--alpha", text="Generative weight after the first step, 0..1.", panel=_EXPERT),
]
Beta = Annotated[
    float | None,
    _option("--beta", text="Generative weight after the last step, 0..1.", panel=_EXPERT),
]
Predictor = Annotated[
    str | None,
    _option("--predictor", text="deterministic, ancestral or euler_maruyama.", panel=_EXPERT),
]
CorrectorSteps = Annotated[
    int | None,
    _option("--corrector-steps", text="Langevin corrections in each step.", panel=_EXPERT),
]
Start = Annotated[
    float | None, _option("--start", text="Time of the first step, up to 1.", panel=_EXPERT)
]
StartFrom = Annotated[
    str | None, _option("--start-from", text="noisy or predictive.", panel=_EXPERT)
]
