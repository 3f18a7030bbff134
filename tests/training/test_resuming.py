"""A setting that is changed on resume is applied and reported, or refused by its name."""

import json
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import torch

from speechduet.errors import ModelError
from speechduet.training.checkpoints import newest
from speechduet.training.recipe_file import MODEL_SECTIONS, SECTIONS, read_recipe
from speechduet.training.resuming import ON_RESUME, changes, settings_of
from speechduet.training.run import train

pytestmark = pytest.mark.filterwarnings("ignore")

ALL = [
    *MODEL_SECTIONS,
    *(f"{section}.{field.name}" for section, kind in SECTIONS.items() for field in fields(kind)),
]
STOP = ["run.max_minutes=1e-9", "run.log_every_steps=1"]
GO_ON = ["run.max_minutes=0", "run.log_every_steps=1"]


def saved(folder: Path) -> dict[str, Any]:
    state: dict[str, Any] = torch.load(folder / "last.ckpt", weights_only=True)
    return state


def rates(folder: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return {line["step"]: line["train/learning_rate"] for line in lines if "train/loss" in line}


def test_every_setting_is_decided(recipe: Path) -> None:
    assert set(ON_RESUME) == set(ALL)
    assert settings_of(read_recipe(recipe)).keys() == ON_RESUME.keys()


@pytest.mark.parametrize("name", ALL)
def test_every_change_is_refused_or_told_by_name(name: str, recipe: Path) -> None:
    now = read_recipe(recipe)
    recorded = settings_of(now)
    assert changes(recorded, now) == ([], [])
    found = changes({**recorded, name: "another"}, now)
    differences = found.refused if ON_RESUME[name] == "fixed" else found.applied
    assert len(found.refused) + len(found.applied) == len(differences) == 1
    assert differences[0].startswith(f"{name} is another, here ")


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("run.seed=1", "run.seed is 0, here 1"),
        ("run.ema_decay=0.5", "run.ema_decay is 0.999, here 0.5"),
        ("run.other_ema_decays=[0.5]", r"run.other_ema_decays is empty, here \[0.5\]"),
        ("run.start_from=somewhere", "run.start_from is empty, here somewhere"),
        ("network.width=12", "network.width is 8, here 12"),
        ("process={kind: flow_matching}", r"process\.\w+ is"),
        ("spectrogram.factor=0.3", "spectrogram.factor is 0.15, here 0.3"),
        ("system.layout.parametrisation=score", "parametrisation is clean, here score"),
    ],
)
def test_what_a_run_is_made_of_is_refused(
    override: str, message: str, started: Callable[..., Path], recipe: Path
) -> None:
    folder = started()
    before = (folder / "last.ckpt").read_bytes()
    with pytest.raises(ModelError, match=f"is of another run: .*{message}.*give another --folder"):
        train(read_recipe(recipe, [override, *GO_ON]), folder)
    assert (folder / "last.ckpt").read_bytes() == before


@pytest.fixture
def started(recipe: Path, tmp_path: Path) -> Callable[..., Path]:
    """A run stopped after its first step."""

    def begin(*overrides: str) -> Path:
        train(read_recipe(recipe, [*overrides, *STOP]), tmp_path / "run")
        assert saved(tmp_path / "run")["global_step"] == 1
        return tmp_path / "run"

    return begin


def test_several_are_refused_at_once(started: Callable[..., Path], recipe: Path) -> None:
    with pytest.raises(ModelError, match=r"network.width is 8, here 12; run.seed is 0, here 1"):
        newest(started(), read_recipe(recipe, ["run.seed=1", "network.width=12"]))


def test_changes_that_are_applied_are_reported(started: Callable[..., Path], recipe: Path) -> None:
    notices: list[str] = []
    folder = started()
    overrides = [*GO_ON, "optimisation.learning_rate=1e-5", "run.batch_size=1"]
    train(read_recipe(recipe, overrides), folder, notices.append)
    settings = "goes on after step 1 with another setting: "
    assert [line.partition(settings)[2] for line in notices if settings in line] == [
        "optimisation.learning_rate is 0.003, here 1e-05",
        "run.max_minutes is 1e-09, here 0.0",
        "run.batch_size is 2, here 1",
    ]
    notices.clear()
    train(read_recipe(recipe, overrides), folder, notices.append)
    complete = f"{folder} is complete after step 9: nothing was trained; to go on, raise "
    assert notices == [f"{complete}run.max_steps"]
    train(read_recipe(recipe, [*overrides, "losses.magnitude=0.5"]), folder, notices.append)
    other = "; other settings than before: losses.magnitude is 0.0, here 0.5"
    assert notices[1:] == [f"{complete}run.max_steps{other}"]


def test_the_learning_rate_and_its_course_are_those_of_the_recipe(
    started: Callable[..., Path], recipe: Path
) -> None:
    folder = started("optimisation.decay_steps=4")
    course = ["optimisation.learning_rate=1e-4", "optimisation.decay_steps=8", "run.max_steps=12"]
    train(read_recipe(recipe, [*course, *GO_ON]), folder)
    expected = {step: 1e-4 * min(1, (12 - step) / 8) for step in range(2, 13)}
    assert {step: rates(folder)[step] for step in expected} == pytest.approx(expected, rel=1e-5)
    whole = folder.with_name("whole")
    train(read_recipe(recipe, [*course, *GO_ON]), whole)
    assert {step: rates(whole)[step] for step in expected} == pytest.approx(expected, rel=1e-5)


def test_the_next_step_has_the_new_rate(started: Callable[..., Path], recipe: Path) -> None:
    folder = started()
    before = saved(folder)["state_dict"]
    train(read_recipe(recipe, [*STOP, "optimisation.learning_rate=0"]), folder)
    after = saved(folder)
    assert after["global_step"] == 2
    assert all(torch.equal(before[name], weight) for name, weight in after["state_dict"].items())


def test_weight_decay_is_applied(started: Callable[..., Path], recipe: Path) -> None:
    folder = started()
    train(read_recipe(recipe, [*STOP, "optimisation.weight_decay=0.25"]), folder)
    (group,) = saved(folder)["optimizer_states"][0]["param_groups"]
    assert group["weight_decay"] == 0.25


@pytest.mark.parametrize(
    ("overrides", "examples"),
    [
        (["run.batch_size=3"], 2 + 8 * 3),
        (["run.accumulate=2"], None),
        (["run.max_steps=3"], 2 + 2 * 2),
        (["run.max_steps=1"], 2),
        (["run.precision=bf16-mixed"], 2 + 8 * 2),
        (["run.gradient_clip=0.1"], 2 + 8 * 2),
        (["losses.weighting=score", "losses.magnitude=0.1"], 2 + 8 * 2),
        (["times.at_start=0.5"], 2 + 8 * 2),
        (["mixing.excerpt_s=0.2", "mixing.clipping=0.5"], 2 + 8 * 2),
        (["name=other", "modes.fast.steps=0"], 2 + 8 * 2),
        (["run.gradient_norms_every_steps=2", "losses.balance=gradient_norm"], 2 + 8 * 2),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_others_are_applied(
    overrides: list[str], examples: int | None, started: Callable[..., Path], recipe: Path
) -> None:
    folder = started()
    now = read_recipe(recipe, [*GO_ON, *overrides])
    notices: list[str] = []
    train(now, folder, notices.append)
    state = saved(folder)
    assert state["global_step"] == now.run.max_steps
    if examples is not None:
        assert state["examples_seen"] == examples
    if now.run.max_steps > 1:
        assert state["settings"] == settings_of(now)
    for override in overrides:
        name = override.partition("=")[0]
        if name != "modes.fast.steps":
            assert any(f": {name} is " in line for line in notices), name


def test_data_are_those_of_the_recipe(
    started: Callable[..., Path], recipe: Path, tmp_path: Path, root: Path
) -> None:
    folder = started()
    data = f"data={{speech: {root}/samples/clean, noise: {root}/samples/noisy}}"
    notices: list[str] = []
    train(read_recipe(recipe, [*GO_ON, data]), folder, notices.append)
    assert any(f"data.speech is empty, here {root}/samples/clean" in line for line in notices)
    assert any("data.pairs is " in line and "here empty" in line for line in notices)


def test_other_numbers_of_processes_are_reported(
    started: Callable[..., Path], recipe: Path
) -> None:
    folder = started()
    state = saved(folder)
    torch.save({**state, "processes": 4}, folder / "last.ckpt")
    notices: list[str] = []
    train(read_recipe(recipe, GO_ON), folder, notices.append)
    assert any("goes on with 1 processes instead of 4" in line for line in notices)


def test_checkpoints_of_earlier_versions_go_on(started: Callable[..., Path], recipe: Path) -> None:
    folder = started()
    state = saved(folder)
    settings = state.pop("settings")
    parts = ("system", "network", "predictive_network", "process", "spectrogram")
    state["identity"] = {part: settings[part] for part in parts} | {"ema_decays": [0.999]}
    del state["processes"]
    torch.save(state, folder / "last.ckpt")
    with pytest.raises(ModelError, match=r"run.ema_decay is 0.999, here 0.9"):
        train(read_recipe(recipe, ["run.ema_decay=0.9"]), folder)
    notices: list[str] = []
    train(read_recipe(recipe, [*GO_ON, "run.seed=5"]), folder, notices.append)
    assert saved(folder)["global_step"] == 9 and not notices


def test_the_documentation_names_every_fixed_setting(root: Path) -> None:
    text = (root / "docs" / "training.md").read_text()
    for name, rule in ON_RESUME.items():
        if rule == "fixed":
            assert f"`{name}`" in text, name
