"""The application: what it answers, at which addresses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request, WebSocket
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from speechduet import __version__
from speechduet.app import job as asked
from speechduet.app.jobs import Jobs
from speechduet.app.limits import BusyError, Limits, TooMuchError
from speechduet.app.live import Streams
from speechduet.app.live_protocol import LiveRequest, live_request
from speechduet.app.protection import Protection, refused
from speechduet.app.query import check_query, given_request, with_sampler_settings
from speechduet.app.uploads import Download, UploadError, ended, receive_upload
from speechduet.enhancement.enhancer import Enhancer
from speechduet.errors import AudioError, SettingError, SpeechduetError

_FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "string", "format": "binary"}},
            }
        }
    },
}
_ERROR = {
    "content": {
        "application/json": {
            "schema": {"type": "object", "properties": {"error": {"type": "string"}}}
        }
    }
}
_ERRORS: dict[int | str, dict[str, Any]] = {
    401: {"description": "The password is missing or wrong", **_ERROR},
    408: {"description": "Nothing of the upload came for too long", **_ERROR},
    413: {"description": "The recording is larger or longer than this server takes", **_ERROR},
    422: {"description": "No recording, or an option that has no meaning", **_ERROR},
    503: {"description": "As many recordings wait as may; see Retry-After", **_ERROR},
}

_request = with_sampler_settings(given_request)
_live = with_sampler_settings(live_request)


@dataclass(frozen=True)
class AppSettings:
    """How a server is run."""

    limits: Limits = field(default_factory=Limits)
    password: str = ""
    """Needed for everything, by HTTP basic authentication with any user name; empty: none."""
    names: tuple[str, ...] = ()
    """Names besides ``localhost`` to which a server without a password answers."""


def create_app(settings: AppSettings, enhancer: Enhancer) -> FastAPI:
    """The application with one model; ``app.state.jobs`` is its queue (see `Jobs`).

    The queue ends, and deletes all files, when the application is shut down.
    """
    jobs = Jobs(enhancer, settings.limits)
    streams = Streams(enhancer, settings.limits)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        streams.close()
        await asyncio.to_thread(jobs.close)

    # The usual pages for documentation load scripts from another host.
    app = FastAPI(
        title="speechduet",
        summary="Speech enhancement",
        version=__version__,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    app.state.jobs = jobs
    app.add_exception_handler(SpeechduetError, _spoken)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(WebSocketRequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_exception_handler(Exception, _unforeseen)
    app.add_middleware(Protection, password=settings.password, names=settings.names)

    @app.get("/health")
    def health() -> dict[str, Any]:
        """Whether the server answers, and how much it has to do."""
        states = {state: jobs.count(state) for state in ("running", "waiting", "uploading")}
        return {"status": "ok", "version": __version__, **states, "live": streams.count}

    @app.get("/models")
    def models() -> list[dict[str, Any]]:
        """The model that enhances, with its modes."""
        pretrained = enhancer.pretrained
        return [
            {
                "name": pretrained.name,
                "modes": list(pretrained.modes),
                "sample_rate": enhancer.spectrogram.sample_rate,
                "backend": enhancer.backend,
            }
        ]

    @app.post(
        "/enhance",
        response_class=Response,
        responses={200: {"content": {"audio/*": {}}}, **_ERRORS},
        openapi_extra={"requestBody": _FORM},
    )
    async def enhance(
        http: Request, request: Annotated[asked.Request, Depends(_request)]
    ) -> Response:
        """The recording of a form, enhanced: what ``speechduet enhance`` writes, byte for byte."""
        check_query(http, _request)
        request.check(enhancer)
        job = jobs.begin("recording")
        try:
            await receive_upload(http, job, settings.limits)
            jobs.submit(job, request)
            stayed = await ended(http, job)
        except BaseException:
            jobs.discard(job)
            raise
        if stayed and job.state == "done":
            return Download(jobs, job)
        jobs.discard(job)
        if job.state == "failed":
            return _refusal(job.error_type, job.error)
        return refused(503, "the work was stopped")

    @app.websocket("/live")
    async def live(websocket: WebSocket, request: Annotated[LiveRequest, Depends(_live)]) -> None:
        check_query(websocket, _live)
        stream = streams.begin(request)
        try:
            await websocket.accept()
        except BaseException:
            streams.count -= 1
            raise
        await streams.run(websocket, request, stream)

    return app


def _refusal(kind: type[Exception] | None, text: str) -> JSONResponse:
    """What kind of error it is, in the numbers of HTTP."""
    if kind is None:
        return refused(500, text)
    by_kind = (
        (BusyError, 503),
        (TooMuchError, 413),
        (UploadError, 408),
        (AudioError, 422),
        (SettingError, 422),
    )
    status = next((status for known, status in by_kind if issubclass(kind, known)), 500)
    response = refused(status, text)
    if status == 503:
        response.headers["retry-after"] = str(BusyError.retry_after_s)
    return response


def _spoken(request: Request, error: Exception) -> JSONResponse:
    return _refusal(type(error), str(error))


def _invalid(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError | WebSocketRequestValidationError)
    wrong = error.errors()[0]
    return refused(422, f"{wrong['loc'][-1]} is {wrong.get('input')!r}", wrong["msg"])


def _plain(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    response = refused(error.status_code, str(error.detail))
    response.headers.update(error.headers or {})
    return response


def _gone(request: Request, error: Exception) -> JSONResponse:
    return refused(400, "the upload was broken off")  # which nobody reads


def _unforeseen(request: Request, error: Exception) -> JSONResponse:
    return refused(500, f"{type(error).__name__}: {error}")
