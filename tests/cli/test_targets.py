"""Which files are read, and under which name each result is written."""

import os
import time
from itertools import permutations
from pathlib import Path

import pytest

from speechduet.cli.targets import Job, find_jobs
from speechduet.errors import SettingError


@pytest.fixture(autouse=True)
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of recordings to be in; their names are all that matters here."""
    for name in ("in/a.wav", "in/deep/b.FLAC", "in/deep/er/c.m4a", "in/notes.txt", "in/.x.wav"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)


def planned(inputs: list[str], output: str, container: str | None = None) -> dict[str, str]:
    jobs, failures = find_jobs(inputs, output, container)
    assert not failures
    return {str(job.source): str(job.target) for job in jobs}


def test_a_file_to_a_file() -> None:
    assert planned(["in/a.wav"], "x/y.flac") == {"in/a.wav": "x/y.flac"}
    assert planned(["in/a.wav"], "y.flac", "flac") == {"in/a.wav": "y.flac"}


def test_files_to_a_folder() -> None:
    assert planned(["in/a.wav"], "out") == {"in/a.wav": "out/a.wav"}
    assert planned(["in/a.wav"], "deep.v2") == {"in/a.wav": "deep.v2/a.wav"}
    assert planned(["in/a.wav", "in/deep/er/c.m4a"], "out") == {
        "in/a.wav": "out/a.wav",
        "in/deep/er/c.m4a": "out/c.wav",
    }


def test_a_folder_keeps_its_tree() -> None:
    assert planned(["in"], "out") == {
        "in/a.wav": "out/a.wav",
        "in/deep/b.FLAC": "out/deep/b.flac",
        "in/deep/er/c.m4a": "out/deep/er/c.wav",
    }


def test_a_format_for_all() -> None:
    assert set(planned(["in"], "out", "ogg").values()) == {
        "out/a.ogg",
        "out/deep/b.ogg",
        "out/deep/er/c.ogg",
    }


@pytest.mark.parametrize("absolute", [False, True])
def test_globs_keep_the_tree_below_their_first_wildcard(tmp_path: Path, absolute: bool) -> None:
    root = f"{tmp_path}/" if absolute else ""
    assert planned([f"{root}in/**/*.m4a"], "out") == {
        f"{root}in/deep/er/c.m4a": "out/deep/er/c.wav"
    }
    assert planned([f"{root}in/d*/*"], "out") == {f"{root}in/deep/b.FLAC": "out/deep/b.flac"}


def test_a_name_that_only_looks_like_a_glob() -> None:
    Path("in/take[1].wav").touch()
    assert planned(["in/take[1].wav"], "out") == {"in/take[1].wav": "out/take[1].wav"}


def test_results_inside_the_input_folder_are_not_enhanced_again() -> None:
    Path("in/out").mkdir()
    Path("in/out/a.wav").touch()
    assert set(planned(["in"], "in/out")) == {"in/a.wav", "in/deep/b.FLAC", "in/deep/er/c.m4a"}
    assert set(planned(["in/a.wav", "in/deep/b.FLAC", "in/out"], "in/out")) == {
        *("in/a.wav", "in/deep/b.FLAC")
    }


def test_a_folder_around_the_input() -> None:
    assert planned(["in/deep"], ".") == {
        "in/deep/b.FLAC": "b.flac",
        "in/deep/er/c.m4a": "er/c.wav",
    }


def test_a_file_given_twice_is_enhanced_once() -> None:
    assert planned(["in/a.wav", "in/a.wav", "in/*.wav"], "out") == {"in/a.wav": "out/a.wav"}


def test_results_that_would_share_a_name_all_the_same() -> None:
    Path("a.wav").touch()
    with pytest.raises(SettingError, match=r"in/a\.wav and a\.wav would both become out/a\.wav"):
        find_jobs(["in/a.wav", "a.wav"], "out", None)


@pytest.mark.parametrize(("source", "output"), [("in/a.wav", "in"), ("in/a.wav", "./in/a.wav")])
def test_a_recording_is_never_replaced_by_its_result(source: str, output: str) -> None:
    with pytest.raises(SettingError, match="would be replaced by its own result"):
        find_jobs([source], output, None)


def test_inputs_that_lead_nowhere() -> None:
    Path("empty").mkdir()
    jobs, failures = find_jobs(["empty", "none*.wav", "in/a.wav", "none.wav"], "out", None)
    assert jobs[0] == Job(Path("in/a.wav"), Path("out/a.wav"))
    # A plain name is tried, and fails by itself.
    assert jobs[1].source == Path("none.wav")
    assert [str(failure) for failure in failures] == [
        "folder empty holds no recording",
        "no recording matches none*.wav",
    ]


@pytest.mark.parametrize(
    ("inputs", "output", "container", "message"),
    [
        (["in"], "out", "m4a", "format 'm4a' cannot be written; expected one of wav, flac"),
        (["in/a.wav"], "out.m4a", None, r"cannot write out\.m4a as \.m4a"),
        (["in/a.wav"], "out.wav", "flac", r"cannot write out\.wav as \.flac"),
        (["in"], "in/a.wav", None, r"in/a\.wav is a file; expected a folder"),
    ],
)
def test_wrong_usage(inputs: list[str], output: str, container: str | None, message: str) -> None:
    with pytest.raises(SettingError, match=message):
        find_jobs(inputs, output, container)


def touch(*names: str | Path) -> None:
    for name in names:
        time.sleep(0.02)  # Clocks of file systems are coarse.
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


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


@pytest.mark.parametrize(
    "name", ["take [1].wav", "[x] a.wav", "a*b.wav", "what?.wav", "[!a].wav", "[red]x.wav"]
)
def test_a_name_with_wildcards_in_it_is_that_file(name: str) -> None:
    touch(f"in/{name}", f"odd [x]/{name}")
    assert planned([f"in/{name}"], "out") == {f"in/{name}": f"out/{name}"}
    assert planned([f"in/{name}"], "x.wav") == {f"in/{name}": "x.wav"}
    assert planned([f"odd [x]/{name}"], "x.wav") == {f"odd [x]/{name}": "x.wav"}
    assert planned(["odd [x]"], "out") == {f"odd [x]/{name}": f"out/{name}"}
    assert planned(["odd [x]/*.wav"], "out") == {f"odd [x]/{name}": f"out/{name}"}


@pytest.mark.parametrize("name", ["./-x.wav", "-x.wav", " x .wav", "a:b.wav", "%s.wav", "a\nb.wav"])
def test_names_that_look_like_something_else(name: str) -> None:
    touch(name)
    assert list(planned([name], "out")) == [str(Path(name))]


@pytest.mark.parametrize("name", ["x" * 300 + ".wav", "x" * 300, "録" * 100 + ".wav", "x/" * 3000])
def test_names_that_are_too_long_fail_by_themselves(name: str) -> None:
    assert planned([name, "in/a.wav"], "out")["in/a.wav"] == "out/a.wav"
    assert planned(["in/a.wav"], f"{name}/out")
    touch("in/" + "x" * 251 + ".ts")
    plan = planned(["in", name], "out", "wav")
    assert plan["in/a.wav"] == "out/a.wav" and len(plan) == 5


@pytest.mark.parametrize("inputs", [[""], ["in/a.wav", ""]])
def test_empty_names_are_a_mistake(inputs: list[str]) -> None:
    with pytest.raises(SettingError, match="an empty name; expected a file"):
        find_jobs(inputs, "out", None)
    with pytest.raises(SettingError, match="an empty name; expected a file"):
        find_jobs(["in"], "", None)


@pytest.mark.parametrize("output", ["/dev/null", "pipe", "pipe.wav", "/dev/full", "in/notes.txt"])
@pytest.mark.parametrize("inputs", [["in/a.wav"], ["in"], ["in/*.wav"]])
def test_results_need_a_file_or_a_folder(output: str, inputs: list[str]) -> None:
    os.mkfifo("pipe")
    os.mkfifo("pipe.wav")
    with pytest.raises(SettingError, match=f"{output} is .*; expected .*(folder|name of a file)"):
        find_jobs(inputs, output, None)


def test_a_folder_that_is_shut_is_a_failure_and_the_rest_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    listed = Path.iterdir

    def guarded(path: Path):
        if path.name == "deep":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", guarded)
    jobs, failures = find_jobs(["in"], "out", None)
    assert [str(job.source) for job in jobs] == ["in/a.wav"]
    assert [str(error) for error in failures] == ["cannot read folder in/deep: Permission denied"]


def test_a_link_in_a_circle_ends_nothing(tmp_path: Path) -> None:
    """Its own file fails when it is read; nothing fails before."""
    folder = tmp_path / "circle"
    folder.mkdir()
    (folder / "a.wav").touch()
    (folder / "self.wav").symlink_to("self.wav")
    for output, container in ((tmp_path / "out", None), (folder, "flac")):
        jobs, failures = find_jobs([str(folder)], str(output), container)
        assert sorted(job.source.name for job in jobs) == ["a.wav", "self.wav"] and not failures


@pytest.mark.parametrize("name", ["x.wav", "x.FLAC", "new/x.mp3"])
def test_the_name_of_a_file_for_several_recordings(tmp_path: Path, name: str) -> None:
    for file in ("a.wav", "b.wav"):
        (tmp_path / file).touch()
    both = [str(tmp_path / file) for file in ("a.wav", "b.wav")]
    for inputs in ([str(tmp_path)], both, [str(tmp_path / "*.wav")]):
        with pytest.raises(SettingError, match="the name of a file, for what may be several"):
            find_jobs(inputs, str(tmp_path / "out" / name), None)
