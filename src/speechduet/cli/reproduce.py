"""``speechduet reproduce``: from published archives to the published numbers, or not."""

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from speechduet.cli.prepare import voicebank as prepare
from speechduet.cli.progress import track
from speechduet.cli.termination import as_usual, ended_in_order
from speechduet.cli.usage import LARGEST, MOST_THREADS, Command
from speechduet.extras import missing
from speechduet.names import shown
from speechduet.sampling import Grid

if TYPE_CHECKING:
    from speechduet.evaluation import Evaluation
    from speechduet.sampler import Sampling

app = typer.Typer(help="Train on a published data set and compare.", no_args_is_help=True)


@app.callback()
def _several() -> None:
    """Keep the name of the data set a command, though there is but one."""


Data = Annotated[
    Path,
    typer.Option(
        file_okay=False,
        help="Folder with the published archives (zip), or with what they unpack to.",
    ),
]
Folder = Annotated[Path, typer.Option(file_okay=False, help="Where everything goes.")]
Config = Annotated[Path, typer.Option(help="Recipe of a system of which numbers are published.")]
Override = Annotated[
    list[str] | None,
    typer.Option(help="Change one setting of the recipe: section.key=value."),
]
StepSizes = Annotated[
    Grid,
    typer.Option(help="Step sizes; the published numbers are taken to be the paper grid's."),
]
Download = Annotated[
    bool, typer.Option("--download", help="Fetch the archives that are missing first.")
]
ValidSpeakers = Annotated[
    str, typer.Option(help="Speakers of the training archives that are for validation.")
]
ExpectTrain = Annotated[
    int, typer.Option(min=1, max=LARGEST, help="Pairs that the training archives must hold.")
]
ExpectTest = Annotated[
    int, typer.Option(min=1, max=LARGEST, help="Pairs that the test archives must hold.")
]
Device = Annotated[str, typer.Option(help="To enhance on: auto, cpu, cuda, ...")]
Jobs = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=MOST_THREADS,
        help="Processes to prepare and to score.",
        show_default="one per processor",
    ),
]


@app.command(cls=Command)
def voicebank(
    data: Data,
    folder: Folder,
    config: Config = Path("recipes/voicebank/gp_unified.yaml"),
    override: Override = None,
    grid: StepSizes = "paper",
    download: Download = False,
    valid_speakers: ValidSpeakers = "p226,p287",
    expect_train: ExpectTrain = 11_572,
    expect_test: ExpectTest = 824,
    device: Device = "auto",
    jobs: Jobs = None,
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
        raise missing(error, "lightning", "train,evaluation") from None
    pairs = folder / "data"
    places = {"pairs": "train", "valid_clean": "valid/clean", "valid_noisy": "valid/noisy"}
    prepared = [f"data.{key}={pairs / place}" for key, place in places.items()]
    recipe = read_recipe(config, [*prepared, *(override or [])])
    name = recipe.model.name
    sampling = replace(published_sampling(name), grid=grid)
    _stage("1. Prepare")
    prepare(data, pairs, download, 16_000, valid_speakers, expect_train, expect_test, jobs)
    _stage("2. Train")
    as_usual()
    model = train(recipe, folder / "run")
    _stage("3. Enhance")
    with ended_in_order():
        noisy = pairs / "test" / "noisy"
        enhanced = _enhance(model, noisy, folder, device, sampling)
        _stage("4. Score and compare")
        folders = {"noisy": noisy, name: enhanced}
        compared = rows(
            {system: _score(pairs / "test", place, jobs) for system, place in folders.items()}
        )
    text = table(compared).to_markdown()
    (folder / f"{name}_{grid}.md").write_text(text, encoding="utf-8")
    typer.echo(text, nl=False)
    if not all(row.passed for row in compared):
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
    paths = [path for path in sorted(noisy.iterdir()) if not (output / path.name).exists()]
    for path in track(paths, "Enhancing", "recordings", len(paths)):
        enhance_file(path, output / path.name, enhancer, mode, **vars(sampling))
    return output


def _score(test: Path, enhanced: Path, jobs: int | None) -> "Evaluation":
    """The evaluation of a folder; ends the command if a file could not be scored."""
    from speechduet.evaluation import Evaluation, evaluate_pairs, pair_up

    pairs, unpaired = pair_up(test / "clean", enhanced)
    scored = evaluate_pairs(pairs, jobs or os.cpu_count() or 1)
    label = f"Scoring {enhanced.name}"
    evaluation = Evaluation.of([*unpaired, *track(scored, label, "recordings", len(pairs))])
    for failure in evaluation.failed:
        typer.echo(shown(f"failed: {failure.file}: {failure.error}"), err=True)
    if evaluation.failed:
        # The published means are over all files.
        raise typer.Exit(1)
    return evaluation


def _stage(name: str) -> None:
    typer.echo(name, err=True)
