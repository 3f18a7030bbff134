"""Whole runs on a local Ray: files, a store of S3, shards, and kills.

Each run starts workers anew, which import PyTorch: there are few runs, and most have one worker.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

pytest.importorskip("ray", reason="needs the extra ray")

import ray

from speechduet.bulk.cluster import import_ray
from speechduet.bulk.planning import Piece
from speechduet.bulk.rows import Row, rows_of
from speechduet.bulk.shards import write_shard
from speechduet.bulk.work import Request, Worker
from speechduet.cli import app
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.files import enhance_file

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks for workers in /proc"),
    pytest.mark.filterwarnings("default"),
]


@pytest.fixture(scope="module")
def store() -> Iterator[str]:
    """The address of a server of S3 with a bucket, as the environment has it too."""
    moto = pytest.importorskip("moto.server", reason="needs moto[server]")
    pytest.importorskip("s3fs", reason="needs s3fs")
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            patch.setenv(name, "testing")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(scope="module")
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """A Ray of two workers that all tests share, for it takes its time to start."""
    # Its workers get the environment of now.
    with suppress(pytest.skip.Exception):
        request.getfixturevalue("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", secrets.token_hex(32))
        patch.setenv("RAY_AUTH_MODE", "to be restored")
        patch.delenv("RAY_AUTH_MODE")
        context = import_ray().init(
            **{"address": "local", "num_cpus": 3, "include_dashboard": False},
            **{"object_store_memory": 100 << 20, "log_to_driver": False},
        )
        yield context.address_info["gcs_address"]
        ray.shutdown()


@pytest.fixture
def many(tmp_path: Path, rng: np.random.Generator) -> Path:
    """A folder with recordings, and one file that is none."""
    (tmp_path / "in/deep").mkdir(parents=True)
    for number in range(5):
        name = f"{'deep/' if number % 2 else ''}{number}.wav"
        samples = rng.uniform(-0.3, 0.3, 8_000 + 900 * number)
        soundfile.write(tmp_path / "in" / name, samples, 16_000)
    return tmp_path / "in"


def bulk(model: Path, *arguments: object, workers: int = 1) -> Result:
    given = ["bulk", *map(str, arguments), "-m", str(model), "--workers", str(workers)]
    return CliRunner().invoke(app, given)


def wanted(folder: Path, model: Path, place: Path, **settings: int) -> dict[str, bytes]:
    """What ``enhance`` makes of the recordings of a folder."""
    enhancer = Enhancer.from_pretrained(model, "cpu", 1)
    made = {}
    for source in sorted(folder.rglob("*.wav")):
        name = source.relative_to(folder).as_posix()
        enhance_file(source, place / name, enhancer, **settings)
        made[name] = (place / name).read_bytes()
    return made


def results(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*.wav")
    }


def status(output: object) -> dict[str, object]:
    told = CliRunner().invoke(app, ["bulk", "--status", str(output), "--json"])
    found = dict(json.loads(told.stdout))
    assert told.exit_code == bool(found["failed"]), told.output
    return found


def test_a_folder_and_what_is_left_of_it(
    address: str, tiny_model: Path, many: Path, tmp_path: Path
) -> None:
    expected = wanted(many, tiny_model, tmp_path / "wanted")
    (many / "bad.wav").write_bytes(b"no sound")
    out = tmp_path / "out"
    first = bulk(tiny_model, many, "-o", out, "--spool", tmp_path / "spool", workers=2)
    assert first.exit_code == 1, first.output
    assert "5 enhanced" in first.stderr and "1 failed" in first.stderr
    assert results(out) == expected
    assert all(one.name.startswith(("part-", "_lock")) for one in (out / "_ledger").iterdir())
    assert not list(out.rglob(".speechduet*"))
    told = status(out)
    assert (told["done"], told["failed"], told["found"]) == (5, 1, 0)

    # One is deleted, one is mended, one was made by a process that did not live to note it.
    (out / "deep/3.wav").unlink()
    (many / "bad.wav").write_bytes((many / "0.wav").read_bytes())
    for part in (out / "_ledger").iterdir():
        part.unlink()
    second = bulk(tiny_model, many, "-o", out, "--spool", tmp_path / "spool")
    assert second.exit_code == 0 and "2 enhanced" in second.stderr, second.output
    assert results(out) == expected | {"bad.wav": expected["0.wav"]}
    told = status(out)
    assert (told["done"], told["failed"], told["found"]) == (2, 0, 4)


def test_a_store_of_s3(
    address: str, store: str, tiny_model: Path, many: Path, tmp_path: Path
) -> None:
    import s3fs

    files = s3fs.S3FileSystem(use_listings_cache=False)
    files.mkdir("noisy")
    files.put(str(many) + "/", "noisy/", recursive=True)
    files.mkdir("clean")
    listed = list(rows_of("s3://noisy", "s3://clean", None, lambda found: []))
    expected = wanted(many, tiny_model, tmp_path / "wanted")
    assert [row.output for row in listed] == sorted(expected, key=lambda name: ("/" in name, name))
    # A manifest in the store, in which some rows lead nowhere.
    lines = ["path,output", "s3://noisy/gone.wav,", "s3://nobody/1.wav,"]
    lines += [f"{row.source},{row.output}" for row in listed]
    files.pipe_file("noisy/list.csv", "\n".join(lines).encode())
    spool = tmp_path / "spool"
    done = bulk(tiny_model, "s3://noisy/list.csv", "-o", "s3://clean/b", "--spool", spool)
    assert done.exit_code == 1, done.output
    assert {name: files.cat_file(f"clean/b/{name}") for name in expected} == expected
    told = status("s3://clean/b")
    assert (told["done"], told["failed"]) == (len(expected), 2)
    assert "nothing is there" in str(told["failures"])
    assert not [name for name in files.find("clean") if name.endswith("part") or "/_left-" in name]
    assert not list(spool.iterdir())
    for given, output in (("s3://vanished", "s3://clean/c"), ("s3://noisy", "s3://vanished/c")):
        done = bulk(tiny_model, given, "-o", output)
        assert done.exit_code == 2 and "vanished" in done.output, done.output


def test_shards_of_an_interrupted_run_are_those_of_another(
    address: str, tiny_model: Path, many: Path, tmp_path: Path
) -> None:
    # What one worker makes in one go, without Ray.
    spool, whole = tmp_path / "spool", tmp_path / "whole"
    rows = [Row(str(many / name), name) for name in ("0.wav", "2.wav", "4.wav")]
    rows += [Row(str(many / name), name) for name in ("deep/1.wav", "deep/3.wav")]
    worker = Worker(Request(str(tiny_model), "cpu"), str(whole), spool, 1)
    for number, members in enumerate((rows[:3], rows[3:])):
        piece = Piece(f"shard-{number:06d}.tar", tuple(members))
        assert all(r.status == "done" for r in write_shard(worker, piece, str(whole), spool, _no))
    shards = {path.name: path.read_bytes() for path in whole.glob("*.tar")}
    (whole / "shard-000001.tar").unlink()
    arguments = ("--shards", "tar", "--shard-size", "3", "--spool", spool)
    again = bulk(tiny_model, many, "-o", whole, *arguments)
    assert again.exit_code == 0 and "2 enhanced" in again.stderr, again.output
    assert {path.name: path.read_bytes() for path in whole.glob("*.tar")} == shards


def _no(row: Row) -> str:
    return ""


def workers() -> list[int]:
    """The workers of this process's Ray."""
    script = Path(__file__).parents[2] / "benchmarks/bulk_kills.py"
    functions: dict[str, object] = {}
    exec(compile(script.read_text(), str(script), "exec"), functions)
    descendants, command_of = functions["descendants"], functions["command_of"]
    return [one for one in descendants(os.getpid()) if b"ray::MapWorker" in command_of(one)]  # type: ignore[operator]


def test_workers_and_drivers_that_are_killed(
    address: str, tiny_model: Path, many: Path, tmp_path: Path
) -> None:
    # A worker whose driver is killed ends what it was given: two recordings at most.
    for number in range(5, 9):
        (many / f"{number}.wav").write_bytes((many / "4.wav").read_bytes())
    expected = wanted(many, tiny_model, tmp_path / "wanted", steps=100)
    out, spool = tmp_path / "out", tmp_path / "spool"
    asked = [many, "-o", out, "--tries", "9", "--steps", "100", "--spool", spool]

    def once_there_is_one_more(victim: Callable[[], int], number: int) -> None:
        ends, before = time.monotonic() + 240, len(results(out))
        while len(results(out)) == before and time.monotonic() < ends:
            time.sleep(0.02)
        os.kill(victim(), number)

    # A driver, SIGKILL; then one that is asked to end.
    kept: dict[str, int] = {}
    command = [sys.executable, "-m", "speechduet", "bulk", *map(str, asked), "-m", str(tiny_model)]
    for number in (signal.SIGKILL, signal.SIGTERM):
        driver = subprocess.Popen(
            [*command, "--workers", "1", "--address", address], text=True, stderr=subprocess.PIPE
        )
        once_there_is_one_more(lambda driver=driver: driver.pid, number)  # type: ignore[misc]
        _, said = driver.communicate(timeout=300)
        assert "Traceback" not in said, said
        assert driver.returncode == (143 if number == signal.SIGTERM else -9), said
        states = {name: (out / name).stat().st_mtime_ns for name in results(out)}
        assert kept.items() <= states.items(), "what was there was made again"
        kept = states
    # The only worker of a driver that goes on, which has to start another.
    killer = Thread(
        target=once_there_is_one_more, args=(lambda: workers()[0], signal.SIGKILL), daemon=True
    )
    killer.start()
    done = bulk(tiny_model, *asked)
    killer.join(10)
    assert done.exit_code == 0 and not killer.is_alive(), done.output
    assert kept.items() <= {name: (out / name).stat().st_mtime_ns for name in kept}.items()
    assert results(out) == expected
    assert not list(out.rglob(".speechduet*"))
    assert list(spool.iterdir()) == []
    told = status(out)
    assert told["failed"] == 0 and told["unreadable"] == []
