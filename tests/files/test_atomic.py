"""Names of unfinished files: short, unlike all other names, and removed when left behind."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import speechduet
from speechduet.errors import FileError, ModelError
from speechduet.files import partial as partials
from speechduet.files.atomic import replacing, write_text, write_together
from speechduet.files.partial import discard_unfinished, remove_leftovers

WRITER = """
import sys, time
from pathlib import Path
from speechduet.files.atomic import replacing
with replacing(Path(sys.argv[1])) as partial:
    partial.write_text("half")
    print("writing", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that is writing a file into ``tmp_path``."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "x.wav")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(speechduet.__file__).parents[1])},
    )
    assert process.stdout is not None and process.stdout.readline() == b"writing\n"
    yield process
    process.kill()
    process.wait()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    "name",
    [b"x", b"x" * 255, "録".encode() * 85, b"\xff" * 200 + b".wav", b"a\nb", b"-x", b"[red]%s"],
    ids=ascii,
)
def test_any_name_that_a_file_can_have_can_be_written(tmp_path: Path, name: bytes) -> None:
    path = tmp_path / os.fsdecode(name)
    with replacing(path) as partial:
        assert partial.parent == tmp_path and len(os.fsencode(partial.name)) < 80
        partial.write_text("whole")
    assert names(tmp_path) == [path.name] and path.read_text() == "whole"


@pytest.mark.parametrize("name", ["x" * 256, "録" * 86, "deep/" + "x" * 256, "x" * 300 + "/x"])
def test_a_name_that_is_too_long_is_told_before_any_work(tmp_path: Path, name: str) -> None:
    refused = pytest.raises(FileError, match="cannot write .*: File name too long")
    with refused, replacing(tmp_path / name):
        raise AssertionError("the work has begun")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_a_killed_process_left_goes_and_a_living_one_keeps_its_own(
    tmp_path: Path, writer: subprocess.Popen[bytes]
) -> None:
    with replacing(tmp_path / "y.wav") as partial:
        assert len(names(tmp_path)) == 2
        remove_leftovers(tmp_path)
        assert len(names(tmp_path)) == 2 and partial.exists()
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert len(names(tmp_path)) == 2
    remove_leftovers(tmp_path)
    assert names(tmp_path) == ["y.wav"]


def test_the_next_writer_into_a_folder_cleans_it(tmp_path: Path) -> None:
    left = tmp_path / re.sub(r"-\d+-\d+-", "-999999999-1-", partials._partial_name())
    left.touch()
    with replacing(tmp_path / "y.wav"):
        assert not left.exists()


def test_a_process_number_given_out_again_is_not_taken_for_its_owner(tmp_path: Path) -> None:
    name = partials._partial_name()
    if "-0-" in name:
        pytest.skip("needs to know when a process started")
    left = tmp_path / re.sub(r"-(\d+)-(\d+)-", lambda parts: f"-{parts[1]}-{parts[2]}7-", name)
    left.touch()
    remove_leftovers(tmp_path)
    assert not left.exists()


def test_what_another_host_is_writing_stays_for_a_day(tmp_path: Path) -> None:
    elsewhere = tmp_path / ".speechduet-00000000-999999999-1-00000000.partial"
    elsewhere.touch()
    remove_leftovers(tmp_path)
    assert elsewhere.exists()
    before = time.time() - 25 * 3600
    os.utime(elsewhere, (before, before))
    remove_leftovers(tmp_path)
    assert not elsewhere.exists()


@pytest.mark.parametrize(
    "name",
    [
        *(".x.wav.123.partial", "x.partial", ".partial", ".speechduet-1.partial"),
        *(".speechduet-00000000-9-1-00000000.partial.wav", ".speechduet", "x.part"),
    ],
)
def test_what_others_made_stays_for_ever(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    os.utime(tmp_path / name, (0, 0))
    remove_leftovers(tmp_path)
    assert names(tmp_path) == [name]


def test_a_folder_of_that_name_and_a_folder_that_is_gone_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".speechduet-00000000-999999999-1-00000000.partial").mkdir()
    os.utime(tmp_path / ".speechduet-00000000-999999999-1-00000000.partial", (0, 0))
    remove_leftovers(tmp_path)
    assert len(names(tmp_path)) == 1
    remove_leftovers(tmp_path / "gone")


def test_all_that_was_begun_can_be_discarded_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileError), replacing(tmp_path / "a"), replacing(tmp_path / "b"):
        assert len(names(tmp_path)) == 2
        discard_unfinished()
        assert names(tmp_path) == []
    assert names(tmp_path) == [] and not partials._unfinished


def test_a_device_is_never_replaced() -> None:
    with pytest.raises(FileError, match="/dev/null is not a file"), replacing(Path("/dev/null")):
        pass
    assert Path("/dev/null").exists() and not Path("/dev/null").is_file()


@pytest.mark.skipif(not Path("/proc/self/fd/1").exists(), reason="needs Linux's /proc")
def test_a_link_to_a_stream_is_never_replaced(tmp_path: Path) -> None:
    """Though the stream may be a file: a command whose stdout goes to one."""
    with (tmp_path / "stdout").open("w") as stream:
        direct, further = tmp_path / "direct", tmp_path / "further"
        direct.symlink_to(f"/proc/self/fd/{stream.fileno()}")
        further.symlink_to("direct")
        for link in (direct, further, Path(f"/dev/fd/{stream.fileno()}")):
            with pytest.raises(FileError, match="stands for a stream"), replacing(link):
                pass
            assert link.is_symlink()


def test_a_link_to_a_file_gives_way(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("as it was")
    for target in ("file", "nothing", "link"):
        link = tmp_path / "link"
        link.symlink_to(target)
        write_text(link, "new")
        assert link.read_text() == "new" and not link.is_symlink()
        link.unlink()
    assert (tmp_path / "file").read_text() == "as it was"


def test_a_result_has_its_name_only_when_it_is_complete(tmp_path: Path) -> None:
    with replacing(tmp_path / "deep" / "x") as partial:
        partial.write_text("whole")
        assert not (tmp_path / "deep" / "x").exists()
    assert [(p.name, p.read_text()) for p in (tmp_path / "deep").iterdir()] == [("x", "whole")]


def test_a_name_that_is_too_long_is_measured(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"too long \(258 bytes\); expected at most 255; give"):
        write_text(tmp_path / ("録" * 86), "")


def test_an_error_names_the_file_and_not_the_unfinished_one(tmp_path: Path) -> None:
    with (
        pytest.raises(ModelError, match="cannot write .*x.json: Is a directory"),
        replacing(tmp_path / "x.json", ModelError) as partial,
    ):
        partial.unlink()
        partial.mkdir()
        partial.write_text("{}")


@pytest.mark.parametrize("failing", ["a.csv", "b.json"])
def test_files_that_belong_together_appear_together(tmp_path: Path, failing: str) -> None:
    (tmp_path / failing).mkdir()
    with pytest.raises(FileError, match=f"{failing} is not a file but a folder"):
        write_together({tmp_path / "a.csv": "a", tmp_path / "b.json": "b"})
    assert names(tmp_path) == [failing]
    (tmp_path / failing).rmdir()
    write_together({tmp_path / "a.csv": "a", tmp_path / "b.json": "b"})
    assert names(tmp_path) == ["a.csv", "b.json"]


def test_text_holds_every_name(tmp_path: Path) -> None:
    write_text(tmp_path / "x", os.fsdecode(b"\xff\n"))
    assert (tmp_path / "x").read_bytes() == b"\\xff\n"


def test_a_second_signal_may_discard_while_the_first_does(tmp_path: Path) -> None:
    """Handlers of signals run in the thread that they interrupt, which may hold the lock."""

    def interrupted() -> None:
        with partials._lock:
            discard_unfinished()

    thread = threading.Thread(target=interrupted, daemon=True)
    thread.start()
    thread.join(10)
    assert not thread.is_alive()
