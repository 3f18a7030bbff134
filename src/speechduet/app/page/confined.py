"""What of Gradio can be reached: that which the page uses, and nothing else."""

import re

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.routing import Match, Mount
from starlette.types import ASGIApp, Receive, Scope, Send

_USED = re.compile(
    r"/(config|theme\.css|favicon\.ico|manifest\.json|(assets|static|svelte)/.*|gradio_api/("
    r"upload|upload_progress|queue/join|queue/data|run/predict|cancel|heartbeat/[^/]+|startup-events|info"
    r"))?"
)


def confine(app: FastAPI) -> None:
    """Leave of Gradio's application, mounted last, the addresses that the page uses.

    It has others that pass on what is elsewhere, keep files, draw pictures, or edit programs.
    """
    mounted = app.router.routes.pop()
    assert isinstance(mounted, Mount)
    app.router.routes.append(_Confined(mounted.path, app=_quiet(mounted.app)))


class _Confined(Mount):
    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """No match elsewhere, so that other routes can say which methods they have."""
        if _USED.fullmatch(scope["path"]):
            return super().matches(scope)
        return Match.NONE, {}


def _quiet(gradio: ASGIApp) -> ASGIApp:
    async def quiet(scope: Scope, receive: Receive, send: Send) -> None:
        """Gradio, without a report of what its answer has said already.

        It ends the events of a page that it does not know, as of one left open while the server
        was begun anew, by an error.
        """
        try:
            await gradio(scope, receive, send)
        except RuntimeError as error:
            if not isinstance(error.__cause__, HTTPException):
                raise
            await send({"type": "http.response.body"})

    return quiet
