"""The examples for clusters parse, and call the command as it is."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import typer

from speechduet.cli import app

FOLDER = Path(__file__).parents[2] / "recipes/cluster"


def check_options(line: str) -> None:
    """Every option of a line that calls bulk exists."""
    whole: Any = typer.main.get_command(app)
    known = {option for parameter in whole.commands["bulk"].params for option in parameter.opts}
    given = [word for word in shlex.split(line) if re.match(r"--?[a-z]", word)]
    assert given and set(given) <= known


def test_slurm_parses() -> None:
    bash = shutil.which("bash") or pytest.skip("needs bash")
    done = subprocess.run(
        [bash, "-n", str(FOLDER / "slurm.sh")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    text = (FOLDER / "slurm.sh").read_text()
    (line,) = re.findall(r"^ +speechduet (bulk .*?) &$", text, re.MULTILINE)
    check_options(line)
    # Options of the job stand before the first command, or SLURM does not see them.
    assert text.rindex("#SBATCH") < text.index("set -euo")


def test_kuberay_parses() -> None:
    yaml = pytest.importorskip("yaml", reason="needs the extra train")
    job = yaml.safe_load((FOLDER / "kuberay.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    check_options(job["spec"]["entrypoint"].removeprefix("speechduet "))
    cluster = job["spec"]["rayClusterSpec"]
    for group in (cluster["headGroupSpec"], *cluster["workerGroupSpecs"]):
        assert all(isinstance(value, str) for value in group["rayStartParams"].values())
        (container,) = group["template"]["spec"]["containers"]
        assert container["resources"]["limits"] == container["resources"]["requests"]
        assert {"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in container["env"]
