"""What a command would do with recordings, of which only the names matter."""

import time
from pathlib import Path

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
