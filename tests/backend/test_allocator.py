"""Reuse of large buffers, counted in pages that the system had to map."""

import os
import subprocess
import sys

import pytest

from speechduet.backend.allocator import OWN_SETTINGS, keep_freed_memory

PROGRAM = """
import resource, torch
from speechduet.backend.allocator import keep_freed_memory

def pages_mapped():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(16 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

torch.set_num_threads(1)
print(keep_freed_memory())
print(min(pages_mapped() for _ in range(20)))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_a_buffer_that_was_freed_is_used_again() -> None:
    """64 MiB are 16,384 pages. The first few buffers still find holes that are too small."""
    environment = {name: value for name, value in os.environ.items() if name not in OWN_SETTINGS}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    answer, pages = done.stdout.split()
    if answer == "False":
        pytest.skip("needs glibc")
    assert int(pages) < 100


def test_settings_of_the_environment_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MALLOC_MMAP_THRESHOLD_", "131072")
    assert not keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not keep_freed_memory()


RETURNED = PROGRAM.replace("import keep_freed_memory", "import *").replace(
    "print(min(pages_mapped() for _ in range(20)))",
    "pages_mapped()\nreturn_freed_memory()\nprint(min(pages_mapped() for _ in range(20)))",
)


@pytest.mark.skipif(sys.platform != "linux", reason="needs glibc")
def test_what_is_kept_can_be_returned() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in OWN_SETTINGS}
    command = [sys.executable, "-c", RETURNED]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    answer, pages = done.stdout.split()
    if answer == "False":
        pytest.skip("needs glibc")
    # Huge pages may map 64 MiB in 32 of them.
    assert int(pages) >= 32
