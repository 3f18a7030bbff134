"""``speechduet enhance`` run and planned, and the files that there are."""

import time
from pathlib import Path

from typer.testing import CliRunner, Result

from speechduet.cli import app
from speechduet.cli.targets import find_jobs


def touch(*names: str | Path) -> None:
    for name in names:
        time.sleep(0.02)  # Clocks of file systems are coarse.
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def planned(inputs: list[str], output: str, container: str | None = None) -> dict[str, str]:
    """The result of each input."""
    jobs, failures = find_jobs(inputs, output, container)
    assert not failures
    return {str(job.source): str(job.target) for job in jobs}


def run(model: Path, *arguments: str, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["enhance", "-m", str(model), *arguments], input=stdin)


def files(folder: str) -> list[str]:
    return sorted(str(path) for path in Path(folder).rglob("*") if path.is_file())
