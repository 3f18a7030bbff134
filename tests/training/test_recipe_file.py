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


def test_overrides_change_single_settings() -> None:
    recipe = read_recipe(RECIPES[0], ["run.max_steps=7", "losses.weighting=score"])
    assert recipe.run.max_steps == 7
    assert recipe.losses.weighting == "score"


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("run.max_step=7", "max_steps"),
        ("run.max_steps=many", "run.max_steps is .many.; expected a whole number"),
        ("losses.weighting=fair", "score, clean"),
        ("nonsense", "section.key=value"),
        ("name.first=1", "not a section"),
        ("optimization.learning_rate=1", "unknown key 'optimization'"),
    ],
)
def test_wrong_overrides_say_what_is_expected(override: str, message: str) -> None:
    with pytest.raises(SpeechduetError, match=message):
        read_recipe(RECIPES[0], [override])


ABSURD = (
    *("run.seed=-1", f"run.seed={10**22}", "run.workers=-1", "run.workers=1000000"),
    *("run.max_minutes=-1", "run.max_minutes=.nan", "run.gradient_clip=-1", "run.keep_best=-1"),
    *("run.gradient_norms_every_steps=-1", "run.show_examples=-1", "run.ema_decay=.nan"),
    *(f"optimisation.learning_rate={rate}" for rate in ("-1", ".nan", ".inf")),
    *("optimisation.weight_decay=-1", "optimisation.warmup_steps=-1"),
    "optimisation.decay_steps=-1",
    *(f"losses.{name}=-1" for name in ("generative", "predictive", "magnitude", "si_sdr")),
    *("losses.si_sdr=.nan", "data.valid_limit=-1"),
    *("spectrogram.hop=0", "spectrogram.hop=100000", "spectrogram.n_fft=0"),
    *("spectrogram.sample_rate=0", "spectrogram.exponent=0", "spectrogram.factor=-1"),
    *(f"mixing.excerpt_s={length}" for length in ("1e9", "0", "-1", ".nan")),
    *("mixing.pause_s=-1", "mixing.early_s=.nan", "mixing.colour_db=-1"),
    "mixing.snr_db=[.nan, 1]",
)


@pytest.mark.parametrize("override", ABSURD)
def test_absurd_settings_are_named(override: str) -> None:
    section, _, key = override.partition("=")[0].partition(".")
    with pytest.raises(SettingError) as caught:
        read_recipe(RECIPES[0], [override])
    message = str(caught.value).removeprefix(f"override {override!r}: ")
    assert message.startswith((f"{section}.{key} is ", f"{section}: {key} is "))
    assert "; expected " in message and "\n" not in message


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


@pytest.mark.parametrize(
    ("recipe", "overrides", "message"),
    [
        *(
            ("gp_unified", [override], message)
            for override, message in (
                ("spectrogram.n_fft=1180591620717411303424", "expected 16384 or less"),
                ("spectrogram.exponent=0.001", "expected 0.1 or more"),
                ("spectrogram.factor=1e-300", "expected 1e-06 or more"),
                ("process.t_min=1e-300", "expected 1e-05 or more"),
                ("network.base_channels=1000000000", "expected 4096 or less"),
                ("network.residual_blocks=1000000", "expected 32 or less"),
                ("network={kind: compact, width: 1000000000}", "expected 16384 or less"),
                ("mixing.clipping_db=[-3, 1]", "mixing.clipping_db is 1; expected 0 or less"),
                ("mixing.snr_db=[1]", "expected a list of 2"),
                ("mixing.snr_db=[1e9, 1e10]", "expected 200 or less"),
                ("run.other_ema_decays=[0.5, 0.5]", "other_ema_decays .* expected each decay once"),
                ("run.other_ema_decays=[0.999]", "other_ema_decays .* expected each decay once"),
                ("run.accelerator=warp", "run.accelerator is 'warp'; expected one of auto, cpu"),
                ("data.rooms=x", "rooms is given beside pairs"),
                ("data.speech_weights={a: 1}", "speech_weights is given beside pairs"),
                ("data.noise_weights={a: 1}", "noise_weights is given beside pairs"),
                ("mixing.reverberation=0.5", "mixing.reverberation is 0.5 without data.rooms"),
                ("mixing.excerpt_s=0.5", "mixing.excerpt_s of 0.5 makes .*; set mixing.excerpt_s"),
                ("predictive_network={kind: compact, bins: 128}", "predictive_network is given"),
                ("losses.balance=gradient_norm", "run.gradient_norms_every_steps of 1 or more"),
                ("times={chained: true, at_start: 1}", "at_start is 1.0 in a chain"),
                ("losses.perceptual=-1", "losses.perceptual is -1; expected 0 or more"),
            )
        ),
        ("gp_unified", ["losses.generative=0", "losses.predictive=0"], "are 0 for all parts"),
        ("predictive", ["losses.predictive=0"], "are 0 for all parts that the system has"),
        ("sgmse_plus", ["losses.generative=0"], "are 0 for all parts that the system has"),
        ("flow_matching", ["process.sigma_end=0", "losses.weighting=score"], "without noise"),
        ("flow_matching", ["process.sigma_end=1e-30"], "sigma_end is 1e-30; expected 0, or"),
        ("predictive", ["process.kind=flow_matching"], "process is empty in this system"),
        ("predictive", ["process={kind: flow_matching}"], "process is given for a system that"),
        (
            "predictive",
            ["losses.perceptual=1"],
            "losses.perceptual .* without a generative decoder",
        ),
        (
            "gp_unified",
            ["losses.perceptual=1", "mixing.excerpt_s=0.168", "spectrogram.sample_rate=48000"],
            "losses.perceptual is given for a model at 48000 Hz; expected 0, or 16000 Hz",
        ),
        ("sgmse_plus", ["times.own_states=0.5"], "times.own_states .* does not predict"),
        ("sgmse_plus", ["times.chained=true"], "times.chained .* without two decoders"),
        ("sgmse_plus", ["run.gradient_norms_every_steps=1"], "run.gradient_norms_every_steps is"),
        (
            "gp_unified",
            ["run.gradient_norms_every_steps=1", "run.compile=true"],
            "run.compile with run.gradient_norms_every_steps; expected one of the two",
        ),
    ],
)
def test_what_is_wrong_is_blamed_on_the_override_that_makes_it_so(
    recipe: str, overrides: list[str], message: str
) -> None:
    harmless = ["run.seed=1", *overrides, "run.max_steps=7"]
    with pytest.raises(SettingError, match=message) as error:
        read_recipe(FOLDER / f"smoke/{recipe}.yaml", harmless)
    assert str(error.value).startswith(f"override {overrides[-1]!r}: ")
    assert "\n" not in str(error.value)


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
