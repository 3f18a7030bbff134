"""What the page says, as HTML for the elements of `page.js`."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from speechduet.app.job import Job
from speechduet.app.page.files import address
from speechduet.app.page.listening import UNSURE, Listening
from speechduet.app.page.steps import PARTS, SECONDS, DrawnStep, step_picture

_RESULT = Template(Path(__file__).with_name("result.html").read_text("utf-8"))
_FIGURES = {
    "noisy": ("Noisy", "the recording as it came"),
    "enhanced": ("Enhanced", "the enhanced speech at full strength"),
    "removed": ("Removed part", "what was taken away at full strength"),
}
_TEMPLATE_SIGNS = {ord(sign): f"&#{ord(sign)};" for sign in "${}`\\"}


def plain(text: str) -> str:
    """Text that means itself in HTML, and in the templates that Gradio makes of HTML."""
    return escape(text).translate(_TEMPLATE_SIGNS)


def clock(seconds: float) -> str:
    """Minutes and seconds."""
    return f"{round(seconds) // 60}:{round(seconds) % 60:02d}"


def spoken(seconds: float) -> str:
    """A length of time in words."""
    if seconds < 120:
        return f"{seconds:g} seconds"
    return f"{seconds / 60:.3g} minutes"


def head(model: str, kept: str) -> str:
    """The beginning of the page."""
    return (
        "<header class='sd-head'><h1>Speech enhancement</h1><p>Drop a noisy recording or make one; "
        "listen to it with the noise and without, and download the result. "
        f"Everything stays on the machine that runs this page, and is deleted after {kept}. "
        f"Model: {plain(model)}.</p></header>"
    )


def note(text: str) -> str:
    """Something to know."""
    return f"<p class='sd-note' role='status'>{plain(text)}</p>" if text else ""


def error(text: str) -> str:
    """Something that went wrong."""
    return f"<p class='sd-note sd-error' role='alert'>{plain(text)}</p>"


def progress(text: str, share: float | None = None, detail: str = "") -> str:
    """Work that is being done; without a share, that it is."""
    value = "" if share is None else f" value='{share:.3f}'"
    return (
        f"<div class='sd-status'><span role='status'>{plain(text)}</span>"
        f"<progress max='1'{value} aria-label='{plain(text)}'></progress>"
        f"<span class='sd-hint'>{plain(detail)}</span></div>"
    )


def result(job: Job, made: Listening, kept: str) -> str:
    """What can be heard, seen and downloaded of a job that is done."""
    assert job.result is not None
    folder, khz = address(job), f"{made.end_hz / 1000:g}"
    figures = "\n".join(_figure(folder, name, khz, job) for name in _FIGURES)
    unsure = (
        "<label class='sd-unsure'><input type='checkbox'> <span>Show in cyan, over the enhanced "
        "picture, where the two decoders disagree: there the result is less sure</span></label>"
        if made.has_map
        else ""
    )
    channels = "mono" if made.channels == 1 else f"{made.channels} channels"
    kind = f"{job.result.suffix[1:].upper()}, {made.sample_rate:,} Hz, {channels}, as the input."
    if made.channels > 1:
        kind += " Here you hear the mean of the channels."
    return _RESULT.substitute(
        id=plain(job.id),
        folder=folder,
        duration=f"{made.duration_s:.3f}",
        length=clock(made.duration_s),
        kept=kept,
        minutes=kept,
        figures=figures,
        times="".join(f"<span>{_tick(made.duration_s * part / 4)}</span>" for part in range(5)),
        unsure=unsure,
        format=plain(kind),
    )


def steps(job: Job, drawn: Sequence[DrawnStep], duration_s: float, mode: str) -> str:
    """The reverse process as a slider over pictures."""
    count = len(drawn)
    shown = "".join(_step(address(job), step, count) for step in drawn)
    part = f"the first {SECONDS:g} s" if duration_s > SECONDS else "the whole recording"
    return (
        "<reverse-steps><div class='sd-slider'><label>Reverse step "
        f"<input type='range' min='1' max='{count}' value='1' step='1'></label><output></output>"
        f"<span class='sd-hint'>Of {part}, in {plain(mode)} mode with {count} "
        f"step{'s' * (count > 1)}.</span></div>"
        f"{shown}</reverse-steps>"
    )


def _tick(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 60 else clock(seconds)


def _figure(folder: str, name: str, khz: str, job: Job) -> str:
    title, meaning = _FIGURES[name]
    overlay = ""
    if name == "enhanced" and job.confidence is not None:
        overlay = (
            f"<img class='sd-overlay' src='{folder}{UNSURE}' "
            "alt='Where the two decoders disagree, in cyan'>"
        )
    return (
        f"<figure data-version='{name}'><figcaption>{title}</figcaption>"
        f"<div class='sd-frame'><span aria-hidden='true'><span>{khz} kHz</span>"
        "<span>0</span></span>"
        f"<div class='sd-picture'><img src='{folder}{name}.png' "
        f"alt='Spectrogram of {meaning}, 0 to {khz} kHz'>{overlay}</div></div></figure>"
    )


def _step(folder: str, step: DrawnStep, count: int) -> str:
    title = f"Step {step.number + 1} of {count}, at time {step.time:.3f}"
    figures = ""
    for part, caption in PARTS.items():
        picture = (
            f"<img loading='lazy' src='{folder}{step_picture(step.number, part)}' "
            f"alt='{caption}, {title}'>"
            if part in step.parts
            else "<p>not evaluated at this step</p>"
        )
        figures += (
            f"<figure><figcaption>{caption}</figcaption>"
            f"<div class='sd-picture'>{picture}</div></figure>"
        )
    return f"<div class='sd-step sd-pictures' data-title='{title}'>{figures}</div>"
