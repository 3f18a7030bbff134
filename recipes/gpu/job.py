"""One job on a bare GPU machine: go on training for some minutes, leave what the next job needs.

    python3 recipes/gpu/job.py --out OUT [--minutes 9] [--override run.batch_size=32]

It goes on from ``recipes/gpu/run/last.ckpt``, or else from the ``state.*`` that an earlier job left
and that now lie in ``recipes/gpu/returned``. It leaves in OUT, each file below 16 MB: a model
folder, ``state.*``, ``log.jsonl``, and ``heard.zip`` with some validation pairs enhanced.
"""

import argparse
import importlib.util
import io
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    sys.path[:0] = [str(HERE), str(HERE.parents[1] / "src")]
    unpack_wheels(HERE / "packed/wheels")

    import state

    from speechduet.training.recipe_file import read_recipe
    from speechduet.training.run import train

    run, out = options.run, options.out
    run.mkdir(parents=True, exist_ok=True)
    out.mkdir(parents=True, exist_ok=True)
    if not (run / "last.ckpt").exists() and state.join(options.returned, run / "last.ckpt"):
        shutil.copyfile(options.returned / "log.jsonl", run / "log.jsonl")
    (run / "log.jsonl").touch()
    limit = f"run.max_minutes={options.minutes}"
    recipe = read_recipe(options.recipe, [limit, *options.override])
    model = train(recipe, run)
    for name in ("model.safetensors", "config.json"):
        shutil.copyfile(model / name, out / name)
    shutil.copyfile(run / "log.jsonl", out / "log.jsonl")
    for piece in out.glob("state.*"):
        piece.unlink()
    state.split(run / "last.ckpt", out)
    heard(recipe, model, out / "heard.zip")


def unpack_wheels(folder: Path) -> None:
    """Make the wheels of the packed set importable where soundfile is missing."""
    if importlib.util.find_spec("soundfile") is None and folder.is_dir():
        place = tempfile.mkdtemp()
        for wheel in folder.glob("*.whl"):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(place)
        sys.path.append(place)


def heard(recipe, model: Path, archive: Path, pairs: int = 2) -> None:
    """Some validation recordings, noisy and enhanced in every mode."""
    import soundfile

    from speechduet.enhancement.piece import enhance_whole
    from speechduet.model.folder import load
    from speechduet.training.loading import read_pair, validation_pairs

    pretrained = load(model)
    with zipfile.ZipFile(archive, "w") as kept:
        for pair in validation_pairs(recipe)[:pairs]:
            _, _, noisy = read_pair(pair)
            sounds = {"noisy": noisy.numpy()}
            system, transform = pretrained.system, pretrained.spectrogram
            for mode, sampling in pretrained.modes.items():
                (sounds[mode],) = enhance_whole(system, transform, noisy.numpy(), sampling)
            for name, samples in sounds.items():
                sound = io.BytesIO()
                rate = pretrained.spectrogram.sample_rate
                soundfile.write(sound, samples, rate, format="FLAC")
                kept.writestr(f"{pair.name}_{name}.flac", sound.getvalue())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--recipe", type=Path, default=HERE / "gp_unified_gpu.yaml")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", type=Path, default=HERE / "run", help="run folder")
    parser.add_argument("--returned", type=Path, default=HERE / "returned", help="earlier OUT")
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--override", action="append", default=[], metavar="SECTION.KEY=VALUE")
    return parser


if __name__ == "__main__":
    main()
