"""Coverage-guided fuzzing (atheris) of all that reads files of strangers.

    pip install atheris
    python benchmarks/fuzz.py audio --minutes 30

feeds a target of `fuzz_targets.py`, beginning with the inputs of ``tests/fuzz/corpus``, and keeps
in ``--out`` an input for each place where it fails: where another exception than a SpeechduetError
comes from, where memory runs out, where it hangs, where native code crashes. What is mended goes
into the corpus, which ``tests/fuzz`` replays.
"""

import hashlib
import importlib
import json
import resource
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer

CORPUS = Path(__file__).parents[1] / "tests/fuzz/corpus"
INSTRUMENTED = ["speechduet", "zipfile", "yaml", "tarfile", "csv", "json"]
MEMORY_MB = 2048
ADDRESS_SPACE = 8 << 30
"""PyTorch alone maps several gigabytes."""
HANG_S = 20
LONGEST = 1 << 14
"""Bytes of an input."""


def main(
    target: str,
    minutes: float = 30.0,
    out: Annotated[Path, typer.Option(help="For inputs that fail, and those found.")] = Path(
        "out/fuzz"
    ),
    once: Annotated[bool, typer.Option(help="In this process, to the first crash.")] = False,
) -> None:
    """Fuzz a target for so many minutes of processor time; prints executions and failures."""
    place = out / target
    (place / "corpus").mkdir(parents=True, exist_ok=True)
    if once:
        _fuzz(target, place, round(60 * minutes))
        return
    while (left := 60 * minutes - _processor_seconds()) > 5:
        # It ends early when native code crashes, memory runs out or an input hangs, and where
        # other work takes the processor.
        command = [sys.executable, __file__, target, "--once", "--out", str(out)]
        with (place / "log").open("ab") as log:
            subprocess.run([*command, "--minutes", str(left / 60)], stdout=log, stderr=log)
    # One that was killed while it wrote has left nothing.
    counted = sum(int(path.read_text() or 0) for path in place.glob("executions-*"))
    failures = sorted(path.name for path in place.iterdir() if path.suffix == ".input")
    crashes = sorted(path.name for path in place.glob("*-[0-9a-f]*") if path.name[0] in "cot")
    used = {"processor_minutes": round(_processor_seconds() / 60, 1), "executions": counted}
    print(json.dumps({"target": target, **used, "found": failures + crashes}))


def _processor_seconds() -> float:
    """Of the processes that have fuzzed for this one, and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _fuzz(target: str, place: Path, seconds: int) -> None:
    import atheris

    with atheris.instrument_imports(include=INSTRUMENTED):
        targets = importlib.import_module("fuzz_targets").TARGETS
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_SPACE, ADDRESS_SPACE))
    run = targets[target]
    counter = place / f"executions-{time.time_ns()}"
    executions = 0
    with tempfile.TemporaryDirectory(dir=_in_memory()) as folder:

        def one(data: bytes) -> None:
            nonlocal executions
            executions += 1
            if executions % 64 == 0:
                counter.write_text(str(executions))
            try:
                run(data, Path(folder))
            except Exception as error:  # noqa: BLE001 - what it looks for
                _keep(place, data, error)

        limits = [f"-rss_limit_mb={MEMORY_MB}", f"-timeout={HANG_S}", f"-max_len={LONGEST}"]
        options = [f"-artifact_prefix={place}/", f"-max_total_time={seconds}"]
        folders = [str(place / "corpus"), str(CORPUS / target)]
        atheris.Setup([sys.argv[0], *limits, *options, *folders], one)
        atheris.Fuzz()


def _in_memory() -> str | None:
    """A folder in memory, where there is one."""
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def _keep(place: Path, data: bytes, error: Exception) -> None:
    """One input for each place that an exception comes from."""
    frames: list[Any] = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "speechduet" in frame.filename] or frames
    where = f"{type(error).__name__}-{Path(own[-1].filename).stem}-{own[-1].lineno}"
    path = place / f"{where}.input"
    if not path.exists():
        path.write_bytes(data)
        text = "".join(traceback.format_exception(error))
        (place / f"{where}.txt").write_text(f"{hashlib.sha256(data).hexdigest()}\n{text}")


if __name__ == "__main__":
    typer.run(main)
