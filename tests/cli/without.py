"""All commands where packages are missing: ``python without.py ROOT MODEL FOLDER``.

For each case there is a process of its own, which writes FOLDER/CASE.jsonl: of each command its
exit status, its stderr, and a traceback if any. A process that lacks some is forked from one that
has imported the large ones, and forgets those: importing them takes longer than all the rest. So
it shows what our code does without a package; what the large packages do without others is shown
by the first two cases, which import them anew.
"""

import importlib
import io
import json
import os
import shutil
import sys
import traceback
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import DistributionFinder
from pathlib import Path
from typing import Any

from speechduet.extras import EXTRAS, PACKAGES

FRESH = {"base": set(EXTRAS), "training": set(EXTRAS) - {"lightning", "yaml"}}
"""What installations lack that have no extra, or only what training cannot do without."""

FORGOTTEN = (
    *(
        {"scipy", "fastapi", "speechmos"},
        {"yaml", "jinja2", "uvicorn"},
        {"gradio", "pocketsphinx", "ray"},
    ),
    *(
        {"lightning", "onnxruntime", "websockets"},
        {"matplotlib", "onnx", "python_multipart"},
    ),
    *({"pesq", "huggingface_hub", "pyroomacoustics"}, {"pystoi", "tensorboard", "openvino"}),
)
"""Packages that are missing together; no command needs two of a set, so none hides another."""

CASES = {**FRESH, **{"+".join(sorted(modules)): modules for modules in FORGOTTEN}}
"""The packages that are missing in each case."""

SLOW = {
    "dnsmos": {"pesq", "pystoi", "scipy", "onnxruntime", "speechmos"},
    "pocketsphinx": {"pesq", "pystoi", "scipy", "pocketsphinx"},
}
"""Last arguments of commands that take seconds, tried where something that they need is missing."""

LARGE = (
    *("lightning", "lightning.pytorch.loggers", "lightning.pytorch.strategies", "torch.onnx"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg"),
    *("scipy.signal", "scipy.stats", "pystoi", "pesq", "onnx", "onnxruntime"),
    *("torch._dynamo", "torch._refs", "torch.onnx.utils", "torch.utils.flop_counter"),
)

TRAINED = """
name: gp_unified
system: {layout: {generative: true, predictive: shared}}
network: {kind: compact, channels: [4, 4], width: 8, encoder_blocks: 1, decoder_blocks: 1, bins: 64}
process: {kind: ornstein_uhlenbeck}
spectrogram: {n_fft: 126, hop: 64}
modes: {fast: {steps: 0}}
data: {pairs: PLACE, valid_clean: PLACE/clean, valid_noisy: PLACE/noisy}
mixing: {excerpt_s: 0.3}
run: {max_steps: 1, batch_size: 1, workers: 0, accelerator: cpu, valid_every_steps: 1}
"""
SWEPT = """
systems: {tiny: MODEL}
valid: {clean: PLACE/clean, noisy: PLACE/noisy}
test: {clean: PLACE/clean, noisy: PLACE/noisy}
sweeps: {plain: {system: tiny, steps: [1], corrector_steps: [0], test: true}}
"""


class Without:
    """A finder that does what another does, but for packages that it does not find."""

    def __init__(self, finder: Any, modules: set[str], packages: set[str]) -> None:
        self._finder = finder
        self._modules = modules
        self._packages = packages

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if name.partition(".")[0] in self._modules:
            return None
        return self._finder.find_spec(name, path, target)

    def find_distributions(self, context: DistributionFinder.Context) -> Any:
        if (context.name or "").lower() in self._packages:
            return []
        found = getattr(self._finder, "find_distributions", lambda _: [])(context)
        return [one for one in found if one.metadata["Name"].lower() not in self._packages]

    def invalidate_caches(self) -> None: ...


def commands(root: Path, model: str, folder: Path) -> dict[str, list[list[str]]]:
    """By the name of each command, arguments that lead to all that it may need."""
    place, noisy = folder / "pairs", str(folder / "pairs/noisy/a.wav")
    out = [str(folder / "out" / f"{number}.wav") for number in range(9)]
    scored = ["--clean", f"{place}/clean", "--enhanced", f"one={place}/noisy", "--jobs", "1"]
    made = ["--speech", f"{place}/clean", "--noise", f"{place}/noisy", "--jobs", "1"]
    return {
        "enhance": [
            [noisy, "-o", out[0], "-m", model, "--mode", "fast"],
            [noisy, "-o", out[1], "-m", model, "--confidence", str(folder / "map.png")],
            [noisy, "-o", out[2], "-m", "nobody-has-this/model-name"],
            [noisy, "-o", out[3], "-m", model, "--backend", "onnxruntime", "--mode", "fast"],
            [noisy, "-o", out[4], "-m", model, "--backend", "openvino", "--mode", "fast"],
        ],
        "evaluate": [
            scored,
            [*scored, "--enhanced", f"two={place}/clean", "--report", str(folder / "r.html")],
            [*scored, "--metric", "stoi", "--metric", "pesq_nb", "--metric", "lsd"],
            [*scored, "--dnsmos", str(root / "README.md")],
            [*scored, "--metric", "dnsmos"],
            [*scored, "--recogniser", "pocketsphinx"],
        ],
        "train": [
            ["--show-settings"],
            ["--config", str(folder / "train.yaml"), "--folder", str(folder / "run")],
        ],
        "ablate": [
            [
                *("--config", str(folder / "ablate.yaml"), "--jobs", "1"),
                *("--folder", str(folder / "ablation")),
            ]
        ],
        "prepare voicebank": [[str(place), "-o", str(folder / "set0")]],
        "prepare pairs": [[f"{place}/clean", f"{place}/noisy", "-o", str(folder / "set1")]],
        "prepare mix": [
            [*made, "-o", str(folder / "set2")],
            [*made, "-o", str(folder / "set3"), "--simulate-rooms", "1"],
        ],
        "reproduce voicebank": [
            ["--data", str(place), "--folder", str(folder / "reproduced")],
        ],
        "models": [[]],
        "info": [[noisy, "-m", model], [model]],
        "plot": [[noisy, f"{place}/clean/a.wav", "-o", str(folder / "plot.png")]],
        "bench": [
            # Measuring takes long, and what it needs beyond a recipe is what training needs.
            ["--train", "--config", str(folder / "absent.yaml"), "--repeats", "1"],
            ["-m", model, "--backend", "openvino", "--repeats", "1"],
        ],
        # An address at which no server begins.
        "serve": [["--host", "0.0.0.0"]],
        "export": [["--onnx", str(folder / "exported"), "-m", str(folder / "model")]],
        "adapt": [[f"{place}/noisy", "--speech", f"{place}/clean", "-o", str(folder / "adapted")]],
        "bulk": [["--status", str(folder / "nothing")]],
        "convert": [[str(root / "README.md"), str(folder / "converted")]],
    }


def prepared(root: Path, model: str, folder: Path) -> None:
    """Two short pairs, a recipe, an ablation, and the model with its first mode alone."""
    import soundfile

    shutil.copytree(model, folder / "model")
    config = json.loads((folder / "model/config.json").read_text())
    config["modes"] = dict(list(config["modes"].items())[:1])
    (folder / "model/config.json").write_text(json.dumps(config))

    place = folder / "pairs"
    for role in ("clean", "noisy"):
        (place / role).mkdir(parents=True)
        for name in ("a", "b"):
            samples, rate = soundfile.read(root / f"samples/{role}/rain.flac", frames=16_000)
            soundfile.write(place / role / f"{name}.wav", samples, rate)
    for name, text in (("train", TRAINED), ("ablate", SWEPT)):
        filled = text.replace("PLACE", str(place)).replace("MODEL", model)
        (folder / f"{name}.yaml").write_text(filled)


def run(modules: set[str], root: Path, model: str, folder: Path) -> Iterator[Any]:
    """What came of each command where packages are missing; first, which were not tried."""
    packages = {PACKAGES.get(module, module).lower() for module in modules}
    for name in list(sys.modules):
        if name.partition(".")[0] in modules:
            del sys.modules[name]
    sys.meta_path[:] = [Without(finder, modules, packages) for finder in sys.meta_path]
    prepared(root, model, folder)
    import typer
    from typer.testing import CliRunner

    from speechduet.cli import app

    whole: Any = typer.main.get_command(app)
    known = {
        f"{name} {inner}".strip()
        for name, command in whole.commands.items()
        for inner in getattr(command, "commands", {"": None})
    }
    tried = commands(root, model, folder)
    yield {"untried": sorted(known - tried.keys())}
    for name, variants in tried.items():
        for arguments in variants:
            if arguments and modules.isdisjoint(SLOW.get(arguments[-1], modules)):
                continue
            result = CliRunner().invoke(app, [*name.split(), *arguments])
            trace = ""
            if result.exception is not None and not isinstance(result.exception, SystemExit):
                trace = "".join(traceback.format_exception(result.exception))
            outcome = {"status": result.exit_code, "stderr": result.stderr, "trace": trace}
            yield {"command": f"{name} {' '.join(arguments)}", **outcome}


def forked(case: str, root: Path, model: str, folder: Path) -> int:
    """Run all commands of a case in a process; its number."""
    process = os.fork()
    if process:
        return process
    try:
        (folder / case).mkdir()
        with (folder / f"{case}.jsonl").open("w") as file:
            for outcome in run(CASES[case], root, model, folder / case):
                file.write(json.dumps(outcome) + "\n")
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        os._exit(0)  # whatever happens: a child that went on would fork as its parent does


def draw_nothing() -> None:
    """Let matplotlib look for its fonts once, and not in each process."""
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    figure.add_subplot().set_title("x")
    figure.savefig(io.BytesIO(), format="png")


def main(root: Path, model: str, folder: Path) -> None:
    """Fork for each case, two at a time."""
    import av  # noqa: F401
    import rich.progress  # noqa: F401
    import soundfile  # noqa: F401
    import soxr  # noqa: F401
    import torch

    torch.set_num_threads(1)
    running = [forked(case, root, model, folder) for case in FRESH]
    for module in LARGE:
        with suppress(ImportError):
            importlib.import_module(module)
    with suppress(ImportError):
        draw_nothing()
    for case in CASES.keys() - FRESH:
        if len(running) == 2:
            running.remove(os.wait()[0])
        running.append(forked(case, root, model, folder))
    for process in running:
        os.waitpid(process, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
