"""``speechduet serve``: the page, the HTTP interface, live streams."""

import os
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from speechduet.app.address import address_of, bound
from speechduet.app.folder import private_folder
from speechduet.app.limits import Limits
from speechduet.backend.allocator import keep_freed_memory
from speechduet.cli import options
from speechduet.cli.enhance import load_enhancer
from speechduet.errors import SettingError
from speechduet.extras import missing, need
from speechduet.names import shown

_NEEDED = ("fastapi", "uvicorn", "python_multipart", "websockets", "gradio", "matplotlib")


def _access(*names: str, text: str, **settings: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel="Access", **settings)


Host = Annotated[str, _access("--host", text="Address to listen on.")]
Port = Annotated[int, _access("--port", text="0 takes a free one.", min=0, max=65_535)]
Password = Annotated[
    str | None,
    _access(
        "--password",
        envvar="SPEECHDUET_PASSWORD",
        text="Needed for everything, with any user name. On the command line other users of this "
        "machine can see it: better set the variable.",
    ),
]
NoPassword = Annotated[
    bool,
    _access(
        "--no-password",
        text="Listen on other addresses than this machine's own without a password: whoever "
        "reaches it may use it.",
    ),
]
Names = Annotated[
    list[str] | None,
    _access(
        "--name",
        text="A name to answer to without a password, besides localhost and addresses; may be "
        "given several times.",
    ),
]


@options.with_fields_of(Limits, "limits", "Limits")
def serve(
    host: Host = "127.0.0.1",
    port: Port = 7860,
    password: Password = None,
    no_password: NoPassword = False,
    name: Names = None,
    model: options.Model = None,
    device: options.Device = "auto",
    backend: options.Backend = "auto",
    precision: options.Arithmetic = "auto",
    threads: options.Threads = None,
    batch_size: options.BatchSize = None,
    segment: options.Segment = 16.0,
    *,
    limits: dict[str, Any],
) -> None:
    """Enhance for browsers and programs: a page, POST /enhance, GET /health and /models, /live.

    The page is at /; all else is described at /openapi.json. Ctrl-C ends the server and deletes its
    temporary files.
    """
    if password and no_password:
        raise SettingError("both a password and --no-password", "one of them")
    checked = Limits(**limits)
    with ExitStack() as ending:
        # Gradio makes folders of its own where this says when it is imported.
        os.environ["GRADIO_TEMP_DIR"] = str(ending.enter_context(private_folder()) / "gradio")
        need(*_NEEDED)
        listener = ending.enter_context(bound(host, port, bool(password) or no_password))
        # These take seconds to import: not before it is known that there will be a server.
        _import_needed()
        from speechduet.app.application import AppSettings, create_app
        from speechduet.app.page.blocks import mount_page
        from speechduet.app.serving import run

        keep_freed_memory()
        enhancer = load_enhancer(model, device, threads, segment, batch_size, backend, precision)
        typer.echo(enhancer.backend, err=True)
        address = address_of(host, listener)

        def ready() -> None:
            typer.echo(shown(f"listening on {address} (Ctrl-C ends)"), err=True)

        app = create_app(AppSettings(checked, password or "", (*(name or ()), host)), enhancer)
        mount_page(app)
        run(app, listener, ready)


def _import_needed() -> None:
    for module in _NEEDED:
        try:
            __import__(module)
        except ImportError as error:
            raise missing(error, module) from error
