"""Which files are read, and under which name each result is written."""

import os
from pathlib import Path

import pytest

from enhancing import planned, touch
from speechduet.cli.targets import Job, find_jobs
from speechduet.errors import SettingError

pytestmark = pytest.mark.usefixtures("tree")


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


@pytest.mark.parametrize("name", ["picture.png", "table.CSV", "new/notes.txt", "film.srt"])
def test_the_name_of_a_file_that_is_no_recording(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.wav").touch()
    for inputs in ([str(tmp_path)], [str(tmp_path / "a.wav")]):
        with pytest.raises(SettingError, match=r"is the name of another file \(\w+/.*a folder"):
            find_jobs(inputs, str(tmp_path / "out" / name), None)
    (tmp_path / "out" / name).mkdir(parents=True)
    assert find_jobs([str(tmp_path / "a.wav")], str(tmp_path / "out" / name), None)[0]


def test_links_do_not_lead_results_out_of_their_folder(tmp_path: Path) -> None:
    touch("in/sub/a.wav", "in/b.wav")
    (tmp_path / "elsewhere").mkdir()
    Path("out").mkdir()
    Path("out/sub").symlink_to(tmp_path / "elsewhere")
    jobs, failures = find_jobs(["in"], "out", None)
    targets = {str(job.target) for job in jobs}
    # One bad folder ends no batch.
    assert "out/b.wav" in targets and "out/sub/a.wav" not in targets
    (failure,) = map(str, failures)
    assert "out/sub is a link that leads out of out, to" in failure and "elsewhere" in failure
    assert planned(["in/b.wav"], "out") == {"in/b.wav": "out/b.wav"}
    # A link that stays inside is as good as a folder, and the output may be a link itself.
    Path("out/sub").unlink()
    Path("out/sub").symlink_to("other")
    Path("link").symlink_to("out")
    for output in ("out", "link"):
        assert planned(["in"], output)["in/sub/a.wav"] == f"{output}/sub/a.wav"
