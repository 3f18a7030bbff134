"""The queue: who waits, what is stopped, what is deleted and when."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from speechduet.app.job import Job, Request
from speechduet.app.jobs import Jobs
from speechduet.app.limits import BusyError, Limits, TooMuchError
from speechduet.enhancement.enhancer import Enhancer
from speechduet.enhancement.files import enhance_file
from speechduet.errors import AudioError, SettingError

Queue = Callable[..., Jobs]


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(tiny_model: Path, tmp_path: Path, clock: Clock) -> Iterator[Queue]:
    """Makes queues with other limits than usual, and closes them."""
    made: list[Jobs] = []

    def make(enhancer: Any = None, **limits: Any) -> Jobs:
        enhancer = enhancer or Enhancer.from_pretrained(tiny_model, threads=1)
        jobs = Jobs(enhancer, replace(Limits(), **limits), tmp_path, clock)
        made.append(jobs)
        return jobs

    yield make
    for jobs in made:
        jobs.close()


class Gate:
    """Holds every recording of an enhancer back after each segment until it is opened."""

    def __init__(self, enhancer: Enhancer, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = threading.Semaphore(0)
        self.opened = threading.Event()
        self.segments = 0
        batches = enhancer._batches
        usual = type(batches).enhance

        def enhance(*given: Any) -> Any:
            self.segments += 1
            self.begun.release()
            assert self.opened.wait(60)
            return usual(*given)

        monkeypatch.setattr(type(batches), "enhance", enhance)

    def wait(self) -> None:
        assert self.begun.acquire(timeout=60)


@pytest.fixture
def gate(unchanging: Enhancer, monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(unchanging, monkeypatch)


def folders(tmp_path: Path) -> list[Path]:
    """Folders of jobs that are left."""
    return list(tmp_path.glob("speechduet-*/*"))


@pytest.mark.parametrize(
    ("name", "request_of", "options"),
    [
        ("noisy.wav", Request(), {}),
        ("noisy.wav", Request("fast", 0.5, 7, "flac"), {"mode": "fast", "strength": 0.5}),
        ("noisy", Request(expert={"steps": 1}), {"steps": 1}),
    ],
)
def test_results_are_those_of_enhance_file(
    queue: Queue, recording: Path, tmp_path: Path, name: str, request_of: Request, options: Any
) -> None:
    jobs = queue()
    job = jobs.add(recording, name, request_of)
    assert job.wait(60) == "done", job.error
    assert job.progress == 1 and job.duration_s == 3
    assert job.result is not None
    suffix = f".{request_of.format or 'wav'}"
    assert job.result_name == "noisy" + suffix
    expected = tmp_path / f"expected{suffix}"
    enhance_file(recording, expected, jobs.enhancer, seed=request_of.seed, **options)
    assert job.result.read_bytes() == expected.read_bytes()


def test_what_another_strength_needs_is_kept(queue: Queue, recording: Path) -> None:
    job = queue().add(recording, "a.wav", Request(unmixed=True))
    assert job.wait(60) == "done", job.error
    assert job.unmixed is not None
    assert job.unmixed.stat().st_size == 4 * 2 * soundfile.info(recording).frames


def test_a_map_of_confidence(queue: Queue, recording: Path) -> None:
    job = queue().add(recording, "a.wav", Request(confidence="npz"))
    assert job.wait(60) == "done", job.error
    assert job.confidence is not None and np.load(job.confidence)


def test_one_waits_one_runs_and_no_more(
    queue: Queue, unchanging: Enhancer, gate: Gate, recording: Path
) -> None:
    jobs = queue(unchanging, max_running=1, max_waiting=1)
    first = jobs.add(recording, "a.wav", Request())
    gate.wait()
    second = jobs.add(recording, "b.wav", Request())
    assert (first.state, second.state) == ("running", "waiting")
    assert jobs.count("running") == jobs.count("waiting") == 1
    with pytest.raises(BusyError, match="2 recordings are being enhanced or wait"):
        jobs.add(recording, "c.wav", Request())
    gate.opened.set()
    assert first.wait(60) == second.wait(60) == "done"
    third = jobs.add(recording, "c.wav", Request())
    assert third.wait(60) == "done"


def test_two_run_at_once(queue: Queue, unchanging: Enhancer, gate: Gate, recording: Path) -> None:
    jobs = queue(unchanging, max_running=2)
    for name in "ab":
        jobs.add(recording, name, Request())
    gate.wait()
    gate.wait()
    assert jobs.count("running") == 2
    gate.opened.set()


def test_cancelled_means_that_the_work_stops(
    queue: Queue, unchanging: Enhancer, gate: Gate, recording: Path, tmp_path: Path
) -> None:
    jobs = queue(unchanging, max_running=1)
    running = jobs.add(recording, "a.wav", Request("fast"))
    waiting = jobs.add(recording, "b.wav", Request())
    gate.wait()
    waiting.cancel()
    assert waiting.wait(60) == "cancelled"
    running.cancel()
    assert running.state == "running"
    gate.opened.set()
    assert running.wait(60) == "cancelled" and running.result is None
    # Of about four segments of two channels.
    assert gate.segments <= 2
    assert not folders(tmp_path) and jobs.get(running.id) is None


def test_what_is_kept_and_how_long(
    queue: Queue, recording: Path, clock: Clock, tmp_path: Path
) -> None:
    jobs = queue(keep_seconds=100)
    job = jobs.add(recording, "a.wav", Request("fast"))
    job.wait(60)
    clock.now = 99
    jobs.sweep()
    assert jobs.get(job.id) is job and job.result is not None and job.result.exists()
    with jobs.held(job):
        clock.now = 500
        jobs.sweep()
        assert job.result.exists()
    assert not folders(tmp_path) and jobs.get(job.id) is None


def test_nothing_is_deleted_that_waits_or_runs(
    queue: Queue, unchanging: Enhancer, gate: Gate, recording: Path, clock: Clock
) -> None:
    jobs = queue(unchanging, max_running=1, keep_seconds=1)
    uploading = jobs.begin("c.wav")
    kept = [uploading, *(jobs.add(recording, name, Request()) for name in ("a.wav", "b.wav"))]
    gate.wait()
    clock.now = 10_000
    jobs.sweep()
    assert [job.state for job in kept] == ["uploading", "running", "waiting"]
    assert all(job.folder.exists() for job in kept)
    gate.opened.set()
    assert kept[-1].wait(60) == "done"


def test_discarded_while_it_runs(
    queue: Queue, unchanging: Enhancer, gate: Gate, recording: Path, tmp_path: Path
) -> None:
    jobs = queue(unchanging)
    job = jobs.add(recording, "a.wav", Request())
    gate.wait()
    jobs.discard(job)
    assert job.folder.exists()
    gate.opened.set()
    assert job.wait(60) == "cancelled"
    assert not folders(tmp_path)


def test_discarded_before_it_was_submitted(queue: Queue, tmp_path: Path) -> None:
    jobs = queue(max_running=1, max_waiting=0)
    jobs.discard(jobs.begin("a.wav"))
    assert not folders(tmp_path)
    jobs.discard(jobs.begin("its place is free again.wav"))


def test_folders_are_private_and_cannot_be_guessed(queue: Queue, tmp_path: Path) -> None:
    jobs = queue()
    made = [jobs.begin("../../etc/passwd.w/v") for _ in range(2)]
    assert len({job.id for job in made}) == 2 and all(len(job.id) >= 20 for job in made)
    assert all(job.source == job.folder / "source" for job in made)
    assert folders(tmp_path)[0].parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_seconds": 2.9}, "a.wav is longer than this server takes; expected at most 2.9 s"),
        ({"max_megabytes": 0.1}, "larger than this server takes; expected at most 0.1 MB"),
        ({"max_samples_per_s": 31_999}, "a.wav has 2 channels at 16000 Hz, more"),
    ],
)
def test_limits(queue: Queue, recording: Path, limits: Any, message: str, tmp_path: Path) -> None:
    jobs = queue(**limits)
    job = jobs.begin("a.wav")
    job.source.write_bytes(recording.read_bytes())
    assert jobs.submit(job, Request()).wait(60) == "failed"
    assert message in job.error and str(tmp_path) not in job.error
    assert job.error_type is TooMuchError


def test_a_copy_that_is_too_large_is_not_made(queue: Queue, recording: Path) -> None:
    with pytest.raises(TooMuchError):
        queue(max_megabytes=0.1).add(recording, "a.wav", Request())


def test_a_length_that_no_header_says(
    queue: Queue, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Decoding is given up as soon as there is more than may be."""
    monkeypatch.setattr(Limits, "check_file", lambda *_: None)
    job = queue(max_seconds=1).add(recording, "a.wav", Request())
    assert job.wait(60) == "failed" and "longer than this server takes" in job.error
    assert job.duration_s < 3


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "a.wav is empty (0 bytes)"), (b"no sound at all", "a.wav is no audio")],
)
def test_what_is_no_recording(queue: Queue, tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "bad").write_bytes(content)
    job = queue().add(tmp_path / "bad", "a.wav", Request())
    assert job.wait(60) == "failed" and job.error_type is AudioError
    assert "a.wav" in job.error and str(tmp_path) not in job.error


def test_requests_that_the_model_cannot_do(queue: Queue, recording: Path, tmp_path: Path) -> None:
    jobs = queue()
    for wrong in (
        Request("slow"),
        Request(strength=2),
        Request(format="exe"),
        Request("fast", confidence="png"),
        Request(expert={"stepps": 3}),
    ):
        with pytest.raises(SettingError):
            jobs.add(recording, "a.wav", wrong)
    assert not folders(tmp_path)


def test_closing_stops_all_and_leaves_nothing(
    queue: Queue, unchanging: Enhancer, gate: Gate, recording: Path, tmp_path: Path
) -> None:
    jobs = queue(unchanging, max_running=1)
    made: list[Job] = [jobs.add(recording, name, Request()) for name in ("a.wav", "b.wav")]
    gate.wait()
    threading.Timer(0.1, gate.opened.set).start()
    jobs.close()
    assert [job.state for job in made] == ["cancelled"] * 2
    assert not list(tmp_path.glob("speechduet-*"))
    with pytest.raises(BusyError, match="shut down"):
        jobs.begin("c.wav")
