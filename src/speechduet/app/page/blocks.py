"""The form of the page in Gradio, mounted in the application."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import gradio as gr
from fastapi import FastAPI

import speechduet
from speechduet.app.jobs import Jobs
from speechduet.app.page import markup
from speechduet.app.page.confined import confine
from speechduet.app.page.files import page_files
from speechduet.app.page.session import FILE, SOURCES, Sessions
from speechduet.app.page.uploads import Uploads

SAMPLES = Path(speechduet.__file__).parents[2] / "samples" / "noisy"
"""The bundled recordings, which are there where the package is used from its repository."""
_MODES = {
    "fast": "Fast: one evaluation of the network",
    "balanced": "Balanced: both decoders",
    "best": "Best: slowest, a little better",
}
_HEAD = (
    '<meta name="color-scheme" content="light dark">'
    '<link rel="stylesheet" href="page/own/page.css">'
    '<script type="module" src="page/own/page.js"></script>'
)

_QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}


def mount_page(app: FastAPI) -> None:
    """Put the page at ``/`` of what `create_app` has made.

    What is sent to it is deleted after the time that `Limits` states, and with the application.
    """
    jobs: Jobs = app.state.jobs
    uploads = Uploads(jobs.limits.keep_seconds)
    app.state.space.folders.append(uploads.path)
    blocks = _blocks(jobs, Sessions(jobs, SAMPLES))
    uploads.guard(blocks)
    app.include_router(page_files(jobs))
    app.include_router(uploads.routes())
    gr.mount_gradio_app(
        app,
        blocks,
        "/",
        theme=_theme(),
        head=_HEAD,
        footer_links=[],
        run_history=False,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        show_error=True,
        max_file_size=jobs.limits.max_bytes,
        favicon_path=str(Path(__file__).with_name("favicon.svg")),
    )
    confine(app)
    _close_with(app, uploads)


def _theme() -> gr.themes.Base:
    # Names in plain text, for Gradio would fetch a font of its own from another host.
    theme = gr.themes.Default(
        primary_hue="indigo",
        neutral_hue="slate",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    )
    # Gradio's own are too pale to be seen by everybody: text needs a contrast of 4.5, frames of 3.
    return theme.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        checkbox_border_color="*neutral_500",
        checkbox_border_color_dark="*neutral_400",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
    )


def _close_with(app: FastAPI, uploads: Uploads) -> None:
    inner = app.router.lifespan_context

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        expiring = asyncio.create_task(uploads.expire())
        try:
            async with inner(app):
                yield
        finally:
            expiring.cancel()
            uploads.close()

    app.router.lifespan_context = lifespan


def _blocks(jobs: Jobs, sessions: Sessions) -> gr.Blocks:
    limits, pretrained = jobs.limits, jobs.enhancer.pretrained
    kept = markup.spoken(limits.keep_seconds)
    modes = list(pretrained.modes)
    first = "balanced" if "balanced" in modes else modes[0]
    blocks: gr.Blocks
    with gr.Blocks(title="speechduet", analytics_enabled=False) as blocks:
        gr.HTML(markup.head(pretrained.name, kept), apply_default_css=False)
        # Set in the browser: what is sent with a click is what was seen then.
        source = gr.Textbox(FILE, visible="hidden", label="Source", elem_id="source")
        with gr.Tabs():
            with gr.Tab("File") as file_tab:
                file = gr.File(
                    label=f"A recording or a video, up to {limits.max_megabytes:g} MB and "
                    f"{markup.spoken(limits.max_seconds)}",
                    type="filepath",
                    height=150,
                )
            with gr.Tab("Microphone") as microphone_tab:
                recorded = gr.Audio(
                    sources=["microphone"],
                    type="filepath",
                    label="Record",
                    editable=False,
                    buttons=[],
                )
            with gr.Tab("Sample", visible=bool(sessions.samples)) as sample_tab:
                sample = gr.Radio(
                    sessions.samples,
                    value=next(iter(sessions.samples), None),
                    label="Made recordings to try it with",
                )
        mode = gr.Radio(
            [(_MODES.get(name, name.capitalize()), name) for name in modes],
            value=first,
            label="Mode",
        )
        salvage = gr.Checkbox(
            label="Enhance what a damaged or truncated file still holds (--salvage)",
            container=False,
        )
        with gr.Row():
            enhance = gr.Button("Enhance", variant="primary", elem_id="enhance")
            cancel = gr.Button("Cancel", visible=False, elem_id="cancel")
        status = gr.HTML(elem_id="status", apply_default_css=False)
        result = gr.HTML(elem_id="result", apply_default_css=False)
        with gr.Accordion(
            "The reverse process, step by step", open=False, visible=False
        ) as process:
            gr.Markdown(
                "A generative decoder walks from noise to speech, a predictive decoder estimates "
                "the speech at once, and the first and the last step blend the two."
            )
            count = gr.Slider(1, 30, value=8, step=1, label="Reverse steps")
            show = gr.Button("Show the steps", elem_id="show-steps")
            steps = gr.HTML(elem_id="steps", apply_default_css=False)
        for name, chosen in zip(SOURCES, (file_tab, microphone_tab, sample_tab), strict=True):
            chosen.select(None, outputs=source, js=f"() => '{name}'", **_QUIET)
        enhance.click(
            sessions.enhance,
            [source, file, recorded, sample, mode, salvage],
            [status, result, enhance, cancel, process, steps],
            # Waiting is up to the queue of jobs.
            concurrency_limit=None,
            **_QUIET,
        )
        cancel.click(sessions.cancel, queue=False, **_QUIET)
        show.click(sessions.steps, count, steps, concurrency_limit=limits.max_running, **_QUIET)
        blocks.unload(sessions.leave)
    return blocks
