"""Overrides of a recipe: what they change, and that what is wrong is blamed on the right one."""

from pathlib import Path

import pytest

from speechduet.errors import SettingError, SpeechduetError
from speechduet.training.recipe_file import SECTIONS, read_recipe
from speechduet.training.settings import RunSettings

FOLDER = Path(__file__).parents[2] / "recipes"
BUNDLED = FOLDER / "corpus/gp_unified_compact.yaml"


def test_overrides_change_single_settings() -> None:
    recipe = read_recipe(BUNDLED, ["run.max_steps=7", "losses.weighting=score"])
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
        read_recipe(BUNDLED, [override])


@pytest.mark.parametrize("value", ["", "null", "[]", "0"])
@pytest.mark.parametrize("section", SECTIONS)
def test_an_empty_override_does_not_empty_a_section(section: str, value: str) -> None:
    with pytest.raises(SettingError, match=f"{section} is .*; expected named values"):
        read_recipe(BUNDLED, [f"{section}={value}"])


def test_a_section_that_is_empty_in_the_file_has_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "recipe.yaml"
    path.write_text("system: gp_unified\ndata: {pairs: x}\nlosses: {weighting: clean}\nrun:\n")
    assert read_recipe(path).run == RunSettings()
    assert read_recipe(path, ["run.seed=7"]).run == RunSettings(seed=7)


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
        read_recipe(BUNDLED, [override])
    message = str(caught.value).removeprefix(f"override {override!r}: ")
    assert message.startswith((f"{section}.{key} is ", f"{section}: {key} is "))
    assert "; expected " in message and "\n" not in message


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
                ("losses.heard_beta=2", "losses.heard_beta is 2; expected 1 or less"),
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
        ("predictive", ["losses.adversarial=1"], "losses.adversarial .* without a generative"),
        ("predictive", ["losses.matching=1"], "losses.matching .* without a generative"),
        ("sgmse_plus", ["losses.heard_beta=0.5"], "heard_beta .* without two decoders"),
        ("predictive", ["losses.heard_beta=0.5"], "heard_beta .* without two decoders"),
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
