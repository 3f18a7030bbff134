"""A report as one HTML page: tables, figures, and examples to listen to."""

from pathlib import Path
from typing import Any, NamedTuple

from speechduet.evaluation import figures
from speechduet.evaluation.report import Report
from speechduet.evaluation.scoring import Scores
from speechduet.extras import missing
from speechduet.names import shown


class Recording(NamedTuple):
    """A figure of an example: name, spectrogram and player (data URIs), and what was heard."""

    name: str
    picture: str
    sound: str
    words: str | None
    """None without a recogniser."""


class Example(NamedTuple):
    """A file in all its versions."""

    heading: str
    recordings: list[Recording]


def to_html(report: Report) -> str:
    """One page that needs nothing besides itself: tables, figures, and examples to listen to.

    Raises SettingError where matplotlib or jinja2 is not installed, AudioError for an example that
    has become unreadable.
    """
    try:
        from jinja2 import Environment, FileSystemLoader
    except ImportError as error:
        raise missing(error, "jinja2") from error
    scored = {name: evaluation for name, evaluation in report.rows().items() if evaluation.files}
    manifest = report.manifest if "snr_db" in report.groups() else None
    folder = FileSystemLoader(Path(__file__).parent)
    template = Environment(loader=folder, autoescape=True, finalize=_one_line).get_template(
        "page.html.jinja"
    )
    return template.render(
        report=report,
        distributions=figures.distributions(scored) if scored else "",
        against_snr=figures.against_snr(scored, manifest) if scored and manifest else "",
        examples=[_example(report, *example) for example in report.examples().items()],
        chosen_by=next(iter(scored), ""),
    )


def _example(report: Report, label: str, scores: Scores) -> Example:
    # What could not be scored may not be readable either.
    pairs, words = {}, {"clean reference": scores.further.get("words_clean")}
    for system, evaluation in report.systems.items():
        for of_system in evaluation.among([scores.file]):
            pairs[system] = report.pairs[system][scores.file]
            words[f"{system} (enhanced)"] = of_system.further.get("words_enhanced")
    first = next(iter(pairs.values()))
    paths = {"noisy input": first.noisy} if first.noisy is not None else {}
    paths |= {f"{system} (enhanced)": pair.enhanced for system, pair in pairs.items()}
    paths["clean reference"] = first.clean
    excerpts = [figures.excerpt(path) for path in paths.values()]
    rate = excerpts[0][1]
    pictures = figures.spectrograms([samples for samples, _ in excerpts], rate)
    return Example(
        f"{label}: {scores.file} (PESQ {scores.pesq:.3f})",
        [
            Recording(name, picture, figures.sound(samples, rate), _text(words.get(name)))
            for name, (samples, _), picture in zip(paths, excerpts, pictures, strict=True)
        ],
    )


def _text(value: float | str | None) -> str | None:
    return None if value is None else str(value)


def _one_line(value: Any) -> Any:
    """Names may hold anything; what is HTML already, and pictures and sounds, stay as they are."""
    plain = isinstance(value, str) and not hasattr(value, "__html__")
    return shown(value) if plain and not value.isprintable() else value
