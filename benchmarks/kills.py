"""Kills ``speechduet enhance``, ``train`` or ``adapt`` at random moments, and starts it again.

    python benchmarks/kills.py enhance --kills 50 --workers 2
    python benchmarks/kills.py train --kills 50
    python benchmarks/kills.py adapt --kills 50

Killed (SIGKILL) is the command with all that it has started, or one of its worker processes; one
half of the kills falls within some milliseconds after a file has changed. In the end everything
must be there and the same, byte for byte, as an undisturbed run leaves it (of a checkpoint, what
decides how training goes on; of the log, its steps), what was complete must not have been made
again, and no temporary file may be left, in /tmp neither. Needs /proc.

Each command runs in a fork of this process, which has loaded PyTorch: so kills fall within its work
and not within its imports. Networks are very small. Adaptation judges by two mixtures in place of
forty, and accepts whatever comes: what is tried here is how it goes on.
"""

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from hashlib import sha256
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import soundfile
import torch

from speechduet import comparison, enhance_file  # noqa: F401 (what commands import late)
from speechduet.adaptation import Verdict, checking, verdict
from speechduet.cli import main as speechduet

ROOT = Path(__file__).parents[1]
AT_ONCE = 0.05  # seconds after a change of a file

RECIPE = """
name: tiny
system: {layout: {generative: true, predictive: shared, parametrisation: clean}}
network: {kind: compact, channels: [4, 4], width: 8, encoder_blocks: 1, decoder_blocks: 1, bins: 64}
process: {kind: ornstein_uhlenbeck}
spectrogram: {n_fft: 126, hop: 64}
modes:
  fast: {steps: 0}
  balanced: {steps: 2, predictor: ancestral, corrector_steps: 0, beta: 0.5}
data: {pairs: ROOT/samples, valid_clean: ROOT/samples/clean, valid_noisy: ROOT/samples/noisy,
       valid_limit: 1}
mixing: {excerpt_s: 0.3}
losses: {weighting: clean}
run: {max_steps: 200, batch_size: 2, workers: 1, accelerator: cpu, precision: 32-true,
      valid_every_steps: 20, checkpoint_every_steps: 2, log_every_steps: 5}
"""
Content = dict[str, bytes]


class Task(NamedTuple):
    """A command, what its output must hold, whether a file is made once, whether the whole is."""

    arguments: Callable[[Path], list[str]]
    content: Callable[[Path], Content]
    makes_once: bool = False
    refuses: bool = False


def main() -> None:
    """Rounds until there have been enough kills."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task", choices=list(TASKS))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--recordings", type=int, default=40, help="to enhance")
    parser.add_argument("--steps", type=int, default=200, help="to train or adapt")
    parser.add_argument("--workers", type=int, default=1, help="of enhance, of train for data")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)  # of which a fork has one
    chance, kills, faults, rounds = random.Random(given.seed), Counter[str](), list[str](), 0
    with tempfile.TemporaryDirectory(prefix="kills-") as name:
        place = Path(name)
        task = TASKS[given.task](place, given)
        begun = time.monotonic()
        started(task.arguments(place / "wanted/out"), place).join()
        whole_s = time.monotonic() - begun
        wanted = task.content(place / "wanted/out")
        assert wanted, (place / "stderr").read_text()
        while kills.total() < given.kills:
            rounds += 1
            round_ = Round(task, place / f"round-{rounds}", whole_s, chance)
            kills += round_.disturbed(min(given.kills - kills.total(), 10))
            whole_s = round_.whole_s
            found = round_.faults(wanted)
            faults += found
            print(f"round {rounds}: {dict(kills)} killed so far", *found, sep="\n  ", flush=True)
    print(f"{given.task}: {kills.total()} kills {dict(kills)} in {rounds} rounds")
    print(f"an undisturbed run takes {whole_s:.1f} s, {len(wanted)} files; {len(faults)} faults")
    sys.exit(bool(faults))


def enhancing(place: Path, given: argparse.Namespace) -> Task:
    """A folder of noise of one to two seconds, with pictures."""
    rng = np.random.default_rng(given.seed)
    (place / "in/deep").mkdir(parents=True)
    for number in range(given.recordings):
        samples = 0.1 * rng.standard_normal(16_000 + 400 * number)
        soundfile.write(place / f"in{'/deep' * (number % 2)}/{number:03d}.wav", samples, 16_000)
    program = ["enhance", str(place / "in"), "--threads", "1", "-m", str(model_in(place))]
    program += ["--workers", str(given.workers), "--mode", "fast", "--plot", "-o"]
    return Task(lambda out: [*program, str(out)], files, makes_once=True)


def training(place: Path, given: argparse.Namespace) -> Task:
    """A very small recipe with a checkpoint every other step, and validation."""
    program = ["train", "--config", str(recipe_in(place)), "--override"]
    program += [f"run.max_steps={given.steps}", "--override", f"run.workers={given.workers}"]
    return Task(lambda out: [*program, "--folder", str(out)], of_run)


def model_in(place: Path) -> Path:
    """A very small model that is hardly trained."""
    program = ["train", "--config", str(recipe_in(place)), "--override", "run.max_steps=2"]
    started([*program, "--folder", str(place / "start")], place).join()
    return place / "start/model"


def recipe_in(place: Path) -> Path:
    """The file of the recipe."""
    (place / "tiny.yaml").write_text(RECIPE.replace("ROOT", str(ROOT)))
    return place / "tiny.yaml"


def adapting(place: Path, given: argparse.Namespace) -> Task:
    """A very small model adapted to noise."""
    model = model_in(place)
    (place / "noise").mkdir()
    hum = np.random.default_rng(given.seed).normal(0, 0.1, 12 * 16_000)
    soundfile.write(place / "noise/hum.wav", hum, 16_000)
    # What a fork of this process finds.
    verdict.PAIRS, checking._STRETCHES = 2, 4
    Verdict.accepted = property(lambda _: True)  # type: ignore[assignment]
    program = ["adapt", str(place / "noise"), "--speech", str(ROOT / "samples/clean")]
    program += ["-m", str(model), "--steps", str(given.steps), "-o"]
    return Task(lambda out: [*program, str(out)], files, refuses=True)


TASKS = {"enhance": enhancing, "train": training, "adapt": adapting}


def started(arguments: list[str], place: Path) -> BaseProcess:
    """The command in a session of its own, with temporary files and stderr at a place."""

    def run() -> None:
        os.setsid()
        os.environ["TMPDIR"] = str(place / "tmp")
        tempfile.tempdir = None
        for stream, name in ((1, "stdout"), (2, "stderr")):
            os.dup2(os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream)
        sys.argv = ["speechduet", *arguments]
        speechduet()

    (place / "tmp").mkdir(exist_ok=True)
    process = get_context("fork").Process(target=run)
    process.start()
    return process


def files(out: Path) -> Content:
    """All files of a folder."""
    return {str(p.relative_to(out)): p.read_bytes() for p in out.rglob("*") if p.is_file()}


def of_run(out: Path) -> Content:
    """What a run has come to: checkpoints as far as they decide it, models, steps of the log."""
    found = {}
    for path in out.rglob("*"):
        name = str(path.relative_to(out))
        if path.suffix == ".ckpt":
            found[name] = digest(torch.load(path, weights_only=True))
        elif name == "log.jsonl":
            steps = [json.loads(line)["step"] for line in path.read_text().splitlines()]
            found[name] = json.dumps(steps).encode()
        elif path.is_file() and not name.startswith("tensorboard/"):
            found[name] = path.read_bytes()
    return found


def digest(state: dict[str, Any]) -> bytes:
    """Of weights, optimiser, averages and place."""
    parts = ("state_dict", "optimizer_states", "lr_schedulers", "callbacks", "global_step")
    text = repr(plain([state[part] for part in (*parts, "examples_seen")]))
    return sha256(text.encode()).digest()


def plain(value: Any) -> Any:
    """With the bytes of tensors in their places."""
    if isinstance(value, torch.Tensor):
        return value.contiguous().numpy().tobytes()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value


class Round:
    """One output, at which the command is started until it ends by itself."""

    def __init__(self, task: Task, place: Path, whole_s: float, chance: random.Random) -> None:
        self.task, self.place, self.whole_s, self.chance = task, place, whole_s, chance
        self.out, self.temporary = place / "out", place / "tmp"
        place.mkdir()
        self.told, self.seen = list[str](), dict[Path, tuple[int, int]]()

    def disturbed(self, most: int) -> Counter[str]:
        """What was killed, at most so often, until a run came to its end."""
        kills = Counter[str]()
        for start in range(10 + 3 * most):
            begun = time.monotonic()
            process = started(self.task.arguments(self.out), self.place)
            victim = self.killed(process) if kills.total() < most else ""
            process.join()
            status = process.exitcode or 0
            kills += Counter([victim] if victim else [])
            text = (self.place / "stderr").read_text(errors="replace")
            if "Traceback" in text or (status > 0 and not victim):
                self.told.append(f"start {start} ended with {status}: {text[-1500:]}")
            if self.task.makes_once:
                self.note_what_is_there()
            if status == 0 or (victim and self.task.refuses and self.out.exists()):
                # The machine may be busier, or less so, than it was.
                self.whole_s = time.monotonic() - begun if start == 0 else self.whole_s
                return kills
        self.told.append("it does not come to an end")
        return kills

    def killed(self, process: BaseProcess) -> str:
        """Kill at a random moment, and say what; empty if it has ended before."""
        whole_s = self.whole_s
        if self.chance.random() < 0.5:
            self.wait_for_a_change(process, self.chance.uniform(0, 0.5 * whole_s))
            whole_s = AT_ONCE
        process.join(self.chance.uniform(0, 0.7 * whole_s))
        if process.exitcode is not None or process.pid is None:
            return ""
        workers = list(descendants(process.pid))
        if workers and self.chance.random() < 0.3:
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(workers), signal.SIGKILL)
                return "worker"
        os.killpg(process.pid, signal.SIGKILL)
        return "all"

    def wait_for_a_change(self, process: BaseProcess, after_s: float) -> None:
        """Wait so long, and then until the output is no longer as it was."""
        process.join(after_s)
        before = list(self.state())
        while process.exitcode is None and list(self.state()) == before:
            time.sleep(0.002)

    def state(self) -> Iterator[tuple[Path, int, int, int]]:
        """Every file of the output, with what changes when it is written."""
        for path in sorted([*self.place.glob("out*/**/*"), *self.temporary.iterdir()]):
            with suppress(FileNotFoundError):
                found = path.stat()
                yield path, found.st_ino, found.st_size, found.st_mtime_ns

    def note_what_is_there(self) -> None:
        """Files that are no longer those that they were are faults."""
        for path, inode, _, changed in self.state():
            known = self.seen.setdefault(path, (inode, changed))
            if path.is_file() and path.suffix != ".partial" and known != (inode, changed):
                self.told.append(f"{path} was made twice")

    def faults(self, wanted: Content) -> list[str]:
        """What is not as an undisturbed run leaves it."""
        there = self.task.content(self.out)
        found = [f"{name} is missing" for name in wanted.keys() - there.keys()]
        found += [f"{name} is left" for name in there.keys() - wanted.keys()]
        found += [f"{n} differs" for n in there if there[n] != wanted.get(n, there[n])]
        own = ("out", "tmp", "stdout", "stderr")
        beside = [path for path in self.place.iterdir() if path.name not in own]
        left = [*beside, *(path for path in self.temporary.rglob("*") if path.is_file())]
        return [*self.told, *found, *(f"{path} is left" for path in left)]


def descendants(process: int) -> Iterator[int]:
    """The processes that one has started, and those that they have."""
    with suppress(OSError):
        for path in Path(f"/proc/{process}/task").iterdir():
            for child in map(int, (path / "children").read_text().split()):
                yield from (child, *descendants(child))


if __name__ == "__main__":
    main()
