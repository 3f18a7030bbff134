"""``speechduet bench``: speed, memory and limits of a model on this machine."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from speechduet.backend import BackendName
from speechduet.bench.request import MeasuredPrecision, Request
from speechduet.cli.usage import LARGEST, MOST_THREADS, check_spared
from speechduet.extras import missing
from speechduet.files.atomic import write_text

Model = Annotated[
    str | None,
    typer.Option(
        "-m",
        "--model",
        help="Enhance with this model: a bundled model's name, a model folder, a .ckpt of "
        "SGMSE+ or StoRM, or a Hugging Face id; by default the bundled model.",
    ),
]
Network = Annotated[
    str | None,
    typer.Option(
        help="One evaluation of a network of published size with random weights: sgmse_plus, "
        "storm, ... (speechduet models)."
    ),
]
AgainstSgmse = Annotated[
    Path | None,
    typer.Option(
        exists=True,
        file_okay=False,
        help="Folder of a clone of the public SGMSE+ code, whose network is imported and run "
        "on the same weights, by turns. Measures one evaluation.",
    ),
]
Train = Annotated[
    bool, typer.Option("--train", help="Measure a training step: forward, backward, optimiser.")
]
Config = Annotated[
    Path | None,
    typer.Option(help="With --train: the recipe whose step it is; its data are not needed."),
]
Seconds = Annotated[
    float | None,
    typer.Option(
        min=0.001, max=600, help="Of audio.", show_default="10; of an evaluation or step 2.04"
    ),
]
BatchSize = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=4096,
        help="Examples in an evaluation or step.",
        show_default="1, or the recipe's",
    ),
]
AsShipped = Annotated[
    bool,
    typer.Option(
        "--as-shipped",
        help="Run each code with the memory allocator as its own programs have it: ours keeps "
        "freed memory, the SGMSE+ code has the C library's defaults.",
    ),
]


def bench(
    model: Model = None,
    network: Network = None,
    against_sgmse: AgainstSgmse = None,
    train: Train = False,
    config: Config = None,
    mode: Annotated[
        str | None,
        typer.Option(help="fast, balanced or best.", show_default="balanced"),
    ] = None,
    seconds: Seconds = None,
    batch_size: BatchSize = None,
    repeats: Annotated[int, typer.Option(min=1, max=LARGEST, help="Timed runs of each.")] = 7,
    threads: Annotated[
        int | None, typer.Option(min=1, max=MOST_THREADS, help="CPU threads.")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1, mps.")] = "cpu",
    backend: Annotated[
        BackendName, typer.Option(help="Another than auto is measured beside auto in float32.")
    ] = "auto",
    precision: Annotated[
        MeasuredPrecision,
        typer.Option(help="Another than float32 is measured beside auto in float32."),
    ] = "float32",
    as_shipped: AsShipped = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write all that was measured here.")
    ] = None,
) -> None:
    """Measure speed, memory, and how far that is from what this machine can do.

    Times are medians of runs by turns after one that warms up; memory is the peak of a fresh
    process. Nothing else should run on the machine meanwhile.
    """
    request = Request(
        *(model, network, config, against_sgmse, train, mode),
        *(seconds, batch_size, device, threads, precision, backend),
        as_shipped=as_shipped,
    )
    check_spared([json_file], [config])
    if train:
        _check_training()
    # PyTorch's profiler writes lines of its own on stderr, which are no concern of the user's.
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")
    from speechduet.bench.measure import measure

    report = measure(request, repeats, lambda text: typer.echo(text, err=True))
    if json_file is not None:
        write_text(json_file, json.dumps(report.to_json(), indent=1) + "\n")
    typer.echo(report.to_markdown(), nl=False)


def _check_training() -> None:
    try:
        import lightning  # noqa: F401
        import yaml  # noqa: F401
    except ImportError as error:
        raise missing(error, "lightning", "train") from None
