from dataclasses import replace
from pathlib import Path

import pytest

from speechduet.errors import SettingError, SpeechduetError
from speechduet.network.compact import Compact
from speechduet.network.ncsnpp import NCSNpp
from speechduet.process import FlowMatching
from speechduet.recipe import system_named
from speechduet.sampler import Sampling
from speechduet.training.recipe_file import load, read_recipe

FOLDER = Path(__file__).parents[2] / "recipes"
# Those of ablations train nothing.
RECIPES = sorted(
    path for path in FOLDER.rglob("*.yaml") if path.parent.name not in ("ablation", "cluster")
)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path: Path) -> None:
    recipe = read_recipe(path)
    assert recipe.model.name == path.stem
    assert recipe.audio_hours(3600) == pytest.approx(recipe.mixing.excerpt_s)


@pytest.mark.parametrize(
    "name", ["..", ".", "''", "a/b", "/tmp", "../x", "a/", '"a\\nb"', '"a\\0"']
)
def test_a_name_is_that_of_one_folder(name: str) -> None:
    with pytest.raises(SettingError, match="a plain name without slashes|200 printable"):
        read_recipe(RECIPES[0], [f"name={name}"])
    assert read_recipe(RECIPES[0], ["name=my model.v2"]).model.name == "my model.v2"


def test_unreadable_recipes_are_named(tmp_path: Path) -> None:
    with pytest.raises(SpeechduetError, match="absent.yaml"):
        read_recipe(tmp_path / "absent.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("a: [1")
    with pytest.raises(SpeechduetError, match="not YAML"):
        read_recipe(broken)
    broken.write_text("name: x")
    with pytest.raises(SettingError, match="broken.yaml: 'system' is missing"):
        read_recipe(broken)


LONG = """
name: mine
system: {layout: {generative: true, predictive: shared}}
network: {kind: ncsnpp}
process: {kind: ornstein_uhlenbeck}
spectrogram: {}
modes: {balanced: {steps: 15, alpha: 0.2, beta: 0.1}}
data: {pairs: x}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


def test_a_system_s_name_stands_for_all_sections(tmp_path: Path) -> None:
    row = system_named("gp_unified")
    model = read_recipe(written(tmp_path, "{system: gp_unified, data: {pairs: x}}")).model
    assert (model.name, model.layout, model.network) == (row.name, row.layout, row.backbone)
    assert (model.process, model.spectrogram, model.modes) == (
        *(row.process, row.spectrogram),
        row.modes,
    )
    long = read_recipe(written(tmp_path, LONG)).model
    assert replace(long, name=row.name, modes=row.modes) == model


def test_what_a_recipe_says_itself_replaces_the_row_s_section(tmp_path: Path) -> None:
    text = """
        name: mine
        system: {name: storm, layout: {parametrisation: clean, prior_std: 0.1}}
        network: {kind: compact, width: 8}
        process: {kind: flow_matching}
        spectrogram: {hop: 256}
        modes: {fast: {steps: 0}}
        data: {pairs: x}"""
    model = read_recipe(written(tmp_path, text)).model
    layout = replace(system_named("storm").layout, parametrisation="clean", prior_std=0.1)
    assert (model.name, model.layout, model.network) == ("mine", layout, Compact(width=8))
    assert (model.process, model.modes) == (FlowMatching(), {"fast": Sampling(steps=0)})
    assert model.spectrogram.hop == 256


def test_overrides_change_single_settings_of_a_named_system(tmp_path: Path) -> None:
    path = written(tmp_path, "{system: gp_unified, data: {pairs: x}}")
    overrides = ["network.base_channels=64", "modes.balanced.steps=5", "process.t_min=0.1"]
    overrides += ["system.layout.prior_std=0.5", "system.layout.predictive=own"]
    model = read_recipe(path, [*overrides, "system=gp_sgmse_plus"]).model
    assert model.network == NCSNpp(base_channels=64) and model.name == "gp_sgmse_plus"
    assert model.modes == {"balanced": Sampling(steps=5)} and model.process.t_min == 0.1
    assert (model.layout.prior_std, model.layout.predictive) == (0.5, "own")


@pytest.mark.parametrize(
    ("system", "message"),
    [
        ("gp_unfied", "no system 'gp_unfied'; expected one of predictive, .*did you mean 'gp_uni"),
        ("{name: strom}", "no system 'strom'; .*did you mean 'storm'"),
        (
            "{name: storm, layuot: {}}",
            "unknown key 'layuot' in system; expected name, layout",
        ),
        (
            "{nmae: storm}",
            "unknown key 'nmae' in system; .*did you mean 'name'",
        ),
        ("3", "no system '3'; expected one of predictive, "),
        ("[storm]", "no system .*storm.*; expected one of predictive, .*did you mean 'storm'"),
        ("null", "'system' is missing, or its name; expected one of predictive, sgmse_plus"),
        ("{name: storm, layout: {generativ: true}}", "system.layout: unknown key 'generativ'"),
        ("{name: storm, layout: 3}", "system.layout is 3; expected named values"),
    ],
)
def test_systems_that_are_wrong(tmp_path: Path, system: str, message: str) -> None:
    with pytest.raises(SettingError, match=rf"mine.yaml: {message}"):
        read_recipe(written(tmp_path, f"{{system: {system}, data: {{pairs: x}}}}"))


@pytest.mark.parametrize(
    ("recipe", "override", "message"),
    [
        ("gp_unified", "spectrogram.n_fft=256", "network.bins is 128; expected 129"),
        ("gp_unified", "network={kind: compact}", "network.bins is 256; expected 128"),
        ("storm", "predictive_network={kind: compact, bins: 64}", "predictive_network.bins is 64"),
        ("sgmse_plus", "modes={fast: {steps: 0}}", "modes.fast: .*no predictive decoder"),
        ("sgmse_plus", "modes={balanced: {steps: 2, alpha: 0.5}}", "no predictive decoder"),
        ("predictive", "modes={balanced: {steps: 2}}", "modes.balanced: .*no generative decoder"),
        ("gp_unified", "process=null", "without a process"),
        ("gp_unified", "process={kind: flow_matching}", "parametrisation 'clean'"),
        ("gp_unified", "metadata={a: 2024-01-01}", "metadata has no JSON"),
        ("gp_unified", "metadata={a: .nan}", "metadata has no JSON"),
        ("gp_unified", 'metadata={a: "\\ud800"}', "is not YAML|metadata has no JSON"),
        ("gp_unified", "run.devices=1000000", "devices is 1000000; expected 1024 or less"),
        ("gp_unified", "run.nodes=1000000", "nodes is 1000000; expected 100000 or less"),
        *(
            ("gp_unified", f"run.batch_size={text}", "is not YAML")
            for text in (
                *("2024-13-45", "0b_", "0x_", "!!int abc", '!!int ""', "!!float x", "!!bool x"),
                *("!!timestamp x", 5_000 * "9", 2_000 * "["),
            )
        ),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_read(
    recipe: str, override: str, message: str
) -> None:
    with pytest.raises(SettingError, match=message):
        read_recipe(FOLDER / f"smoke/{recipe}.yaml", [override])


def test_the_name_of_the_system_may_be_overridden_alone(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("system: {name: gp_unified}\ndata: {pairs: x}\n")
    assert read_recipe(path, ["system.name=storm"]).model.layout.anchored


def test_what_the_file_has_wrong_is_blamed_on_it(tmp_path: Path) -> None:
    path = written(tmp_path, "{system: gp_unified, data: {pairs: x}, run: {max_steps: 0}}")
    for overrides in ([], ["run.seed=1"]):
        with pytest.raises(SettingError, match=rf"^{path}: run.max_steps is 0; expected 1 or more"):
            read_recipe(path, overrides)
    assert read_recipe(path, ["run.max_steps=1"]).run.max_steps == 1


def test_a_setting_knows_where_it_is_said(tmp_path: Path) -> None:
    path = written(tmp_path, "{system: gp_unified, data: {pairs: x}}")
    recipe = read_recipe(path, ["run.seed=1", "run.seed=2", "process={kind: ornstein_uhlenbeck}"])
    assert recipe.place_of("run.seed") == "override 'run.seed=2'"
    assert recipe.place_of("process.theta").startswith("override 'process={")
    assert recipe.place_of("run.seeds") == str(path)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            "system: gp_unified\ndata: {}\nsystem: storm\n",
            "'system' in line 1 and again in 3",
        ),
        ("system: gp_unified\ndata:\n  pairs: x\n  pairs: y\n", "'pairs' in line 3 and again in 4"),
        ("{system: storm, data: {pairs: x, pairs: x}}", "'pairs' in line 1 and again in 1"),
    ],
)
def test_a_key_that_stands_twice(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(SettingError, match=f"mine.yaml is not YAML .*{place}"):
        read_recipe(written(tmp_path, text))
    merged = "a: &a {pairs: x}\nb: {<<: *a, pairs: y}\n"
    assert load(written(tmp_path, merged))["b"] == {"pairs": "y"}
