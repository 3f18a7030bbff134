"""Addresses at which there is no Ray, and versions that do not fit: said soon, and not by Ray."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

pytest.importorskip("ray", reason="needs the extra ray")

from speechduet.bulk import cluster as subject
from speechduet.bulk.cluster import cluster, import_ray
from speechduet.bulk.rows import Row
from speechduet.bulk.run import Fleet, Pieces
from speechduet.bulk.unfinished import Unfinished
from speechduet.cli import app, bulk_run
from speechduet.errors import SettingError

Bulk = Callable[..., Result]


def refused(address: str) -> str:
    with pytest.raises(SettingError) as error, cluster(address, 1):
        pass
    return str(error.value)


def test_addresses_that_lead_nowhere() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    assert f"no Ray answers at 127.0.0.1:{port}" in refused(f"127.0.0.1:{port}")
    assert "ray job submit" in refused("ray://head:10001")
    for address in ("head", "head:", ":6379", "head:ray", "head:99999"):
        assert "expected host:port of the head node" in refused(address)
    assert "no Ray answers" in refused("no-such-host.invalid:6379")


def test_a_ray_that_is_too_old(monkeypatch: pytest.MonkeyPatch) -> None:
    old = SimpleNamespace(__version__="2.9.3")
    monkeypatch.setattr(subject.importlib, "import_module", lambda name: old)
    with pytest.raises(SettingError, match="Ray is 2.9.3; expected 2.60 or later; pip install"):
        import_ray()


class Standing:
    """What stands in for the module of Ray."""

    def __init__(self, folder: Path, failure: str = "") -> None:
        self.folder, self.failure, self.begun = folder, failure, 0
        current = SimpleNamespace(get_current=SimpleNamespace)
        self.data = SimpleNamespace(DataContext=current)

    def is_initialized(self) -> bool:
        return False

    def init(self, **_: object) -> object:
        self.begun += 1
        if self.failure:
            raise RuntimeError(self.failure)
        return SimpleNamespace(address_info={"session_dir": str(self.folder)})

    def shutdown(self) -> None:
        pass


def test_nothing_of_a_ray_of_our_own_stays(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "restored afterwards")
    (tmp_path / "session/logs").mkdir(parents=True)
    monkeypatch.setattr(subject, "import_ray", lambda: Standing(tmp_path / "session"))
    with cluster(None, 1):
        assert (tmp_path / "session/logs").is_dir()
    assert list(tmp_path.iterdir()) == []


def test_a_ray_that_does_not_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "restored afterwards")
    monkeypatch.setattr(subject, "import_ray", lambda: Standing(tmp_path, "no\nmemory"))
    with (
        pytest.raises(SettingError, match="cannot start Ray on this machine: .*no memory; spe"),
        cluster(None, 1),
    ):
        pass


def test_a_machine_too_busy_for_ray(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "restored afterwards")
    slow = Standing(tmp_path, "The current node timed out during startup.")
    monkeypatch.setattr(subject, "import_ray", lambda: slow)
    said = "timed out .* on which less else runs; speechduet enhance --workers N enhances on one"
    with pytest.raises(SettingError, match=said), cluster(None, 1):
        pass
    assert slow.begun == 2
    # The second time it starts.
    monkeypatch.setattr(slow, "shutdown", lambda: setattr(slow, "failure", ""))
    slow.begun = 0
    with cluster(None, 1):
        assert slow.begun == 2


def test_a_cluster_of_another_version(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    other = Standing(tmp_path, "Version mismatch: Ray: 2.55.0")
    monkeypatch.setattr(subject, "import_ray", lambda: other)
    with socket.socket() as answering:
        answering.bind(("127.0.0.1", 0))
        answering.listen()
        said = refused(f"127.0.0.1:{answering.getsockname()[1]}")
    assert "Version mismatch: Ray: 2.55.0; expected the address of a running cluster of the" in said


def test_nothing_is_told_to_other_hosts() -> None:
    import_ray()
    assert os.environ["RAY_USAGE_STATS_ENABLED"] == "0"


def test_ray_has_time_to_start_on_a_busy_machine() -> None:
    import_ray()
    assert int(os.environ["RAY_raylet_start_wait_time_s"]) >= 60  # noqa: SIM112
    assert int(os.environ["RAY_agent_register_timeout_ms"]) >= 300_000  # noqa: SIM112


def test_usage_that_is_wrong(tiny_model: Path, recordings: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    bad = tmp_path / "bad.csv"
    bad.write_text("file\na.wav\n")
    for said, *arguments in (
        ("give a folder",),
        ("say where results go", str(recordings)),
        ("without INPUT", str(recordings), "-o", out, "--status", out),
        ("cannot make the spool", str(recordings), "-o", out, "--spool", str(bad / "x")),
        ("no column path", str(bad), "-o", out),
        ("there is nothing at", str(tmp_path / "none"), "-o", out),
        ("is in the folder of results", str(recordings), "-o", str(recordings)),
        ("is in the folder of results", str(recordings / "deep"), "-o", str(recordings)),
        ("is in the folder of results", "s3://b/in", "-o", "s3://b"),
        ("no Ray answers", str(recordings), "-o", out, "--address", "127.0.0.1:9"),
        ("there is", str(recordings), "-o", out, "-m", str(tmp_path / "absent")),
        ("alpha", str(recordings), "-o", out, "--alpha", "7"),
    ):
        model = [] if "-m" in arguments else ["-m", str(tiny_model)]
        done = CliRunner().invoke(app, ["bulk", *arguments, *model])
        assert done.exit_code == 2, (arguments, done.output)
        assert said in done.output or said == "there is", done.output
        assert "Traceback" not in done.output
    assert not list(tmp_path.rglob(".speechduet*"))


def test_without_ray(root: Path) -> None:
    hide = (
        "import importlib.util as u, sys; real = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'ray' else real(name, *rest)\n"
        "from speechduet.cli import main; main()"
    )
    command = [sys.executable, "-c", hide, "bulk", "in", "-o", "out"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "ray[data] is not installed; pip install 'speechduet[ray]'" in done.stderr


def test_a_recording_that_kills_its_workers_is_given_up(tmp_path: Path) -> None:
    begun = Unfinished()
    assert [begun.begin("a"), begun.begin("a"), begun.begin("b"), begun.begin("a")] == [0, 1, 0, 2]
    begun.end(["a", "c"])
    assert begun.begin("a") == 0

    pieces = object.__new__(Pieces)
    pieces._ray = SimpleNamespace(get=lambda answer: answer)
    pieces._begun = SimpleNamespace(begin=SimpleNamespace(remote=begun.begin))
    pieces._fleet = Fleet(1, 1, 0, 2, tmp_path)
    row = Row("/in/k.wav", "k.wav")
    assert [pieces._refused(row) for _ in range(2)] == ["", ""]
    assert pieces._refused(row) == "/in/k.wav: 2 workers ended while they enhanced it"


def test_starting_takes_a_while_and_that_is_said(
    bulk: Bulk, recordings: Path, tmp_path: Path
) -> None:
    said = "starting Ray, which takes a minute, or some on a busy machine"
    assert said in bulk(recordings, "-o", tmp_path / "out").stderr
    assert said not in bulk(recordings, "-o", tmp_path / "out").stderr, "nothing is left"
    assert said not in bulk(recordings, "-o", tmp_path / "quiet", "--quiet").stderr


def test_workers_in_another_folder(
    bulk: Bulk, recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    enhance_left = bulk_run.enhance_left

    def elsewhere(*given: object) -> None:
        os.chdir("elsewhere")
        enhance_left(*given)  # type: ignore[arg-type]
        os.chdir("..")

    monkeypatch.setattr(bulk_run, "enhance_left", elsewhere)
    (recordings / "list.csv").write_text("path\na.wav\n")
    for given, output in (("in", "out"), ("in/list.csv", "listed"), ("in", f"file://{tmp_path}/f")):
        done = bulk(given, "-o", output, "--spool", "spool")
        assert done.exit_code == 0, done.output
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert all((tmp_path / name / "a.wav").is_file() for name in ("out", "listed", "f"))


def test_more_workers_than_fit(bulk: Bulk, recordings: Path, tmp_path: Path) -> None:
    for said, *arguments in (
        ("3 workers of 1 core where 1 fit", "--workers", 3),
        ("1 worker of 5 cores where 0 fit", "--threads", 5),
        ("1 worker of 1 core and 2 GPUs where 0 fit", "--gpus", 2),
    ):
        done = bulk(recordings, "-o", tmp_path / "out", *arguments)
        assert done.exit_code == 2 and said in done.stderr, done.output
        assert "; give less as --workers, --threads or --gpus" in done.stderr


def test_gpus_are_parts_of_one_or_whole() -> None:
    def gpus(each: float) -> int:
        request = SimpleNamespace(threads=1, device="auto")
        asked = SimpleNamespace(request=request, gpus=each, workers=None, tries=1, spool=Path())
        return bulk_run._fleet(asked, {"CPU": 9, "GPU": 8}).workers  # type: ignore[arg-type]

    assert [gpus(each) for each in (0.5, 1, 2)] == [8, 8, 4]
    with pytest.raises(SettingError, match=r"1.5 GPUs; expected a part of one, or whole ones"):
        gpus(1.5)
