"""Which files are read, and under which name each result is written."""

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


def test_a_folder_around_the_input() -> None:
    assert planned(["in/deep"], ".") == {
        "in/deep/b.FLAC": "b.flac",
        "in/deep/er/c.m4a": "er/c.wav",
    }


def test_a_file_given_twice_is_enhanced_once() -> None:
    assert planned(["in/a.wav", "in/a.wav", "in/*.wav"], "out") == {"in/a.wav": "out/a.wav"}


def test_results_that_would_share_a_name_keep_their_suffixes() -> None:
    Path("in/a.mp4").touch()
    assert planned(["in/a.mp4", "in/a.wav"], "out") == {
        "in/a.mp4": "out/a.mp4.wav",
        "in/a.wav": "out/a.wav.wav",
    }


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
