"""A report as one HTML page: tables, figures, and examples to listen to."""

from html import escape

from speechduet.evaluation import figures
from speechduet.evaluation.report import Report, Section
from speechduet.evaluation.scoring import Scores
from speechduet.names import shown

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 88rem; margin: 2rem auto; padding: 0 1rem;
  color: #1c1c28; }
h1, h2, h3 { line-height: 1.2; } h2 { margin-top: 2.5rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid #ddd; text-align: left;
  vertical-align: top; }
td:first-child { white-space: nowrap; }
th { border-bottom: 2px solid #888; }
img { max-width: 100%; height: auto; }
.recordings { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); }
figure { margin: 0; } figcaption { font-weight: 600; } audio { width: 100%; }
.failed { color: #a4161a; }
"""


def to_html(report: Report) -> str:
    """One page that needs nothing besides itself: tables, figures, and examples to listen to.

    Raises SettingError where matplotlib is not installed, AudioError for an example that has
    become unreadable.
    """
    scored = {name: told for name, told in report.systems.items() if told.files}
    parts = ["<h1>Evaluation</h1>", f"<p>{escape(shown(', '.join(report.systems)))}</p>"]
    if failures := report.failures():
        items = "".join(f"<li>{escape(shown(failure))}</li>" for failure in failures)
        parts.append(f'<h2>Failed, and not in the means</h2><ul class="failed">{items}</ul>')
    parts += map(_section, report.overview())
    if scored:
        parts.append("<h2>Distributions</h2><p>Box: quartiles and median; a point is a file.</p>")
        parts.append(_image(figures.distributions(scored), "Scores of all files as box plots"))
        if report.manifest is not None and "snr_db" in report.groups():
            parts.append("<h2>Quality against input SNR</h2>")
            drawn = figures.against_snr(scored, report.manifest)
            parts.append(_image(drawn, "Scores over the input SNR"))
        parts.append("<h2>Examples</h2>")
        first = next(iter(scored))
        parts.append(f"<p>Chosen by PESQ of {escape(shown(first))}; at most the first 10 s.</p>")
        parts += [_example(report, label, told) for label, told in report.examples().items()]
    parts += map(_section, report.details())
    body = "\n".join(parts)
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Evaluation</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )


def _section(section: Section) -> str:
    text = f"<p>{escape(section.text)}</p>" if section.text else ""
    table = f'<div class="wide">{section.table.to_html()}</div>'
    return f"<h2>{escape(shown(section.heading))}</h2>{text}\n{table}"


def _example(report: Report, label: str, scores: Scores) -> str:
    # What could not be scored may not be readable either.
    pairs, heard = {}, {"clean reference": scores.further.get("words_clean")}
    for system, evaluation in report.systems.items():
        for told in evaluation.among([scores.file]):
            pairs[system] = report.pairs[system][scores.file]
            heard[f"{system} (enhanced)"] = told.further.get("words_enhanced")
    first = next(iter(pairs.values()))
    recordings = {"noisy input": first.noisy} if first.noisy is not None else {}
    recordings |= {f"{system} (enhanced)": pair.enhanced for system, pair in pairs.items()}
    recordings["clean reference"] = first.clean
    excerpts = [figures.excerpt(path) for path in recordings.values()]
    rate = excerpts[0][1]
    pictures = figures.spectrograms([samples for samples, _ in excerpts], rate)
    players = ""
    for name, (samples, _), picture in zip(recordings, excerpts, pictures, strict=True):
        player = f'<audio controls src="{figures.sound(samples, rate)}"></audio>'
        image = _image(picture, f"Spectrogram of {name}")
        caption = f"<figcaption>{escape(shown(name))}</figcaption>"
        words = heard.get(name)
        text = "" if words is None else f"<p>heard: {escape(str(words)) or 'no words'}</p>"
        players += f"<figure>{caption}{image}{player}{text}</figure>"
    heading = f"{label}: {scores.file} (PESQ {scores.pesq:.3f})"
    return f'<h3>{escape(shown(heading))}</h3>\n<div class="recordings">{players}</div>'


def _image(uri: str, description: str) -> str:
    return f'<img alt="{escape(shown(description))}" src="{uri}">'
