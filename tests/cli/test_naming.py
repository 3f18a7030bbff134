"""Names of results stay what they are, whatever is added, interrupted or done already."""

from itertools import permutations
from pathlib import Path

import pytest

from enhancing import planned, touch

pytestmark = pytest.mark.usefixtures("tree")


def made(inputs: list[str], output: str, container: str | None = None) -> dict[str, str]:
    """What is planned, once it is done: each result that is not there yet is made."""
    plan = planned(inputs, output, container)
    for target in plan.values():
        if not Path(target).exists():
            touch(target)
    return plan


def test_one_of_several_keeps_the_name_that_all_would_have() -> None:
    touch("in/a.mp4", "in/a.m4a")
    expected = {"in/a.mp4": "out/a.mp4.wav", "in/a.wav": "out/a.wav", "in/a.m4a": "out/a.m4a.wav"}
    assert planned(["in/a.mp4", "in/a.wav", "in/a.m4a"], "out") == expected
    for source, target in expected.items():
        assert planned([source], "out") == {source: target}, "whichever are asked for"
    Path("in/a.wav").unlink()
    assert planned(["in/a.mp4", "in/a.m4a"], "out") == {
        "in/a.mp4": "out/a.mp4.wav",
        "in/a.m4a": "out/a.wav",
    }


SAME_STEM = ("a.wav", "a.mp3", "a.m4a", "a.WAV")


@pytest.mark.parametrize("order", list(permutations(SAME_STEM, 3)), ids=" ".join)
@pytest.mark.parametrize("container", [None, "wav", "flac"])
def test_what_is_added_later_renames_nothing(order: tuple[str, ...], container: str | None) -> None:
    before: dict[str, str] = {}
    for name in order:
        touch(f"talk/{name}")
        plan = made(["talk"], "out", container)
        assert {source: plan[source] for source in before} == before
        assert len(set(plan.values())) == len(plan)
        assert planned(["talk"], "out", container) == plan, "a second run does nothing new"
        before = plan


@pytest.mark.parametrize("order", list(permutations(SAME_STEM, 2)), ids=" ".join)
def test_an_interrupted_batch_goes_on_under_the_same_names(order: tuple[str, ...]) -> None:
    touch(*(f"talk/{name}" for name in order))
    plan = planned(["talk"], "out", "wav")
    for target in plan.values():
        touch(target)
        assert planned(["talk"], "out", "wav") == plan


def test_a_recording_that_has_the_name_of_a_result_keeps_it() -> None:
    touch("talk/a.wav", "talk/a.mp3", "talk/a.mp3.wav")
    plan = made(["talk"], "out", "wav")
    assert len(set(plan.values())) == 3 and plan["talk/a.mp3.wav"] == "out/a.mp3.wav"
    assert planned(["talk"], "out", "wav") == plan


def test_beside_its_source_a_result_has_the_whole_name() -> None:
    assert planned(["in"], "in", "ogg") == {
        "in/a.wav": "in/a.wav.ogg",
        "in/deep/b.FLAC": "in/deep/b.FLAC.ogg",
        "in/deep/er/c.m4a": "in/deep/er/c.m4a.ogg",
    }
    assert planned(["in/deep/er/c.m4a"], "in/deep/er") == {
        "in/deep/er/c.m4a": "in/deep/er/c.m4a.wav"
    }


@pytest.mark.parametrize("given", ["in", "in/**/*", "in/**", "./in", "{here}/in", "link"])
@pytest.mark.parametrize("output", ["in", "./in", "{here}/in", "link"])
def test_results_are_never_inputs(tmp_path: Path, given: str, output: str) -> None:
    Path("link").symlink_to("in")
    given, output = (text.format(here=tmp_path) for text in (given, output))
    plan = made([given], output, "ogg")
    assert len(plan) == 3
    for _ in range(2):
        assert made([given], output, "ogg") == plan, "a second run does nothing new"
    other = made([given], output, "mp3")
    assert other.keys() == plan.keys(), "nor are results of another format inputs"
    assert made([given], output, "mp3") == other and made([given], output, "ogg") == plan


def test_results_among_the_recordings_of_another_folder_are_never_inputs() -> None:
    touch("more/x.wav", "more/y.m4a")
    for container in ("flac", "ogg"):
        plan = made(["more", "fresh"] if Path("fresh").exists() else ["more"], "in", container)
        assert made(["more"], "in", container) == plan
    Path("in/a.wav").unlink()
    plan = made(["in/deep/er", "more"], "in/deep/er", "flac")
    assert made(["in/deep/er", "more"], "in/deep/er", "flac") == plan


def test_a_recording_beside_others_of_its_name_is_an_input_of_its_own() -> None:
    touch("in/a.flac")
    plan = planned(["in"], "in", "ogg")
    assert plan["in/a.flac"] == "in/a.flac.ogg" and plan["in/a.wav"] == "in/a.wav.ogg"
