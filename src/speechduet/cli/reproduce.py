"""``speechduet reproduce``: from published archives to the published numbers, or not."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.progress import track

from speechduet.cli.prepare import voicebank as prepare
from speechduet.cli.termination import as_usual, ended_in_order
from speechduet.cli.usage import LARGEST, MOST_THREADS, Command
from speechduet.errors import SettingError
from speechduet.names import shown

if TYPE_CHECKING:
    from speechduet.evaluation import Evaluation
    from speechduet.sampler import Sampling

app = typer.Typer(help="Train on a published data set and compare.", no_args_is_help=True)


@app.callback()
def _several() -> None:
    """Keep the name of the data set a command, though there is but one."""


@app.command(cls=Command)
def voicebank(
    data: Annotated[
        Path,
        typer.Option(
            file_okay=False,
            help="Folder with the published archives (zip), or with what they unpack to.",
        ),
    ],
    folder: Annotated[Path, typer.Option(file_okay=False, help="Where everything goes.")],
    config: Annotated[
        Path, typer.Option(help="Recipe of a system of which numbers are published.")
    ] = Path("recipes/voicebank/gp_unified.yaml"),
    override: Annotated[
        list[str] | None,
        typer.Option(help="Change one setting of the recipe: section.key=value."),
    ] = None,
    grid: Annotated[
        Literal["paper", "exact"],
        typer.Option(help="Step sizes; the published numbers are taken to be the paper grid's."),
    ] = "paper",
    download: Annotated[
        bool, typer.Option("--download", help="Fetch the archives that are missing first.")
    ] = False,
    valid_speakers: Annotated[
        str, typer.Option(help="Speakers of the training archives that are for validation.")
    ] = "p226,p287",
    expect_train: Annotated[
        int, typer.Option(min=1, max=LARGEST, help="Pairs that the training archives must hold.")
    ] = 11_572,
    expect_test: Annotated[
        int, typer.Option(min=1, max=LARGEST, help="Pairs that the test archives must hold.")
    ] = 824,
    device: Annotated[str, typer.Option(help="To enhance on: auto, cpu, cuda, ...")] = "auto",
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=MOST_THREADS,
            help="Processes to prepare and to score.",
            show_default="one per processor",
        ),
    ] = None,
) -> None:
    """VoiceBank-DEMAND: prepare, train, enhance the test set, score it, compare.

    Every stage goes on where it was stopped. The table goes to stdout; exit status 1 unless all
    its rows pass.
    """
    try:
        from speechduet.study.reproduction import published_sampling, rows, table
        from speechduet.training.recipe_file import read_recipe
        from speechduet.training.run import train
    except ImportError as error:
        raise SettingError(
            f"this needs {error.name}", remedy="pip install 'speechduet[train,evaluation]'"
        ) from None
    pairs = folder / "data"
    places = {"pairs": "train", "valid_clean": "valid/clean", "valid_noisy": "valid/noisy"}
    own = [f"data.{key}={pairs / place}" for key, place in places.items()]
    recipe = read_recipe(config, [*own, *(override or [])])
    name = recipe.model.name
    sampling = replace(published_sampling(name), grid=grid)
    _stage("1. Prepare")
    prepare(data, pairs, download, 16_000, valid_speakers, expect_train, expect_test, jobs)
    _stage("2. Train")
    as_usual()
    model = train(recipe, folder / "run")
    _stage("3. Enhance")
    with ended_in_order():
        enhanced = _enhance(model, pairs / "test" / "noisy", folder, device, sampling)
        _stage("4. Score and compare")
        told = rows(
            {
                "noisy": _score(pairs / "test", pairs / "test" / "noisy", jobs),
                name: _score(pairs / "test", enhanced, jobs),
            }
        )
    text = table(told).to_markdown()
    (folder / f"{name}_{grid}.md").write_text(text, encoding="utf-8")
    typer.echo(text, nl=False)
    if not all(row.passed for row in told):
        raise typer.Exit(1)


def _enhance(model: Path, noisy: Path, folder: Path, device: str, sampling: "Sampling") -> Path:
    """Enhance into a folder of this model's and grid's own, so that no other's are taken for it."""
    from speechduet.enhancement.enhancer import Enhancer
    from speechduet.enhancement.files import enhance_file
    from speechduet.model.folder import load
    from speechduet.study.cache import digest_of_model

    pretrained = load(model)
    output = folder / "enhanced" / f"{sampling.grid}_{digest_of_model(pretrained)[:12]}"
    # As published, and not in bfloat16, which is the default on a GPU.
    enhancer = Enhancer(pretrained, device, precision="float32")
    mode = next(iter(pretrained.modes))
    missing = [path for path in sorted(noisy.iterdir()) if not (output / path.name).exists()]
    console = Console(stderr=True)
    for path in track(missing, "Enhancing", console=console, transient=True):
        enhance_file(path, output / path.name, enhancer, mode, **vars(sampling))
    return output


def _score(test: Path, enhanced: Path, jobs: int | None) -> "Evaluation":
    """The evaluation of a folder; ends the command if a file could not be scored."""
    from speechduet.evaluation import Evaluation, evaluate_pairs, pair_up

    pairs, unpaired = pair_up(test / "clean", enhanced)
    console = Console(stderr=True)
    outcomes = evaluate_pairs(pairs, jobs or os.cpu_count() or 1)
    watched = track(
        outcomes, f"Scoring {enhanced.name}", len(pairs), console=console, transient=True
    )
    evaluation = Evaluation.of([*unpaired, *watched])
    for failure in evaluation.failed:
        typer.echo(shown(f"failed: {failure.file}: {failure.error}"), err=True)
    if evaluation.failed:
        # The published means are over all files.
        raise typer.Exit(1)
    return evaluation


def _stage(name: str) -> None:
    typer.echo(name, err=True)
