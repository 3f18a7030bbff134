"""The application: what it answers, at which addresses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI, Request, WebSocket
from fastapi.responses import Response

from speechduet import __version__
from speechduet.app import job as asked
from speechduet.app.disk_space import Space
from speechduet.app.intake import Intake
from speechduet.app.jobs import Jobs
from speechduet.app.limits import Limits
from speechduet.app.live import Streams
from speechduet.app.live_protocol import LiveRequest, live_request
from speechduet.app.protection import Protection
from speechduet.app.query import check_query, given_request, with_sampler_settings
from speechduet.app.refusals import HANDLERS, refusal, refused
from speechduet.app.uploads import Download, ended, receive_upload
from speechduet.enhancement.enhancer import Enhancer

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
    400: {"description": "No form, or one that is damaged", **_ERROR},
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

    ``app.state.space`` counts what it keeps. The queue ends, and deletes all files, when the
    application is shut down.
    """
    jobs = Jobs(enhancer, settings.limits)
    streams = Streams(enhancer, settings.limits)
    space = Space(settings.limits.max_kept_megabytes)
    space.folders.append(jobs.path)

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
    app.state.jobs, app.state.space = jobs, space
    for kind, handler in HANDLERS.items():
        app.add_exception_handler(kind, handler)
    app.add_middleware(Intake, limits=settings.limits, space=space)
    app.add_middleware(Protection, password=settings.password, names=settings.names)
    app.include_router(_about(jobs, streams))
    app.include_router(_recordings(jobs))
    app.include_router(_live_streams(streams))
    return app


def _about(jobs: Jobs, streams: Streams) -> APIRouter:
    router = APIRouter()
    enhancer = jobs.enhancer

    @router.get("/health")
    def health() -> dict[str, Any]:
        """Whether the server answers, and how much it has to do."""
        states = {state: jobs.count(state) for state in ("running", "waiting", "uploading")}
        return {"status": "ok", "version": __version__, **states, "live": streams.count}

    @router.get("/models")
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

    return router


def _recordings(jobs: Jobs) -> APIRouter:
    router = APIRouter()

    @router.post(
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
        request.check(jobs.enhancer, jobs.limits)
        job = jobs.begin("recording")
        try:
            await receive_upload(http, job)
            jobs.submit(job, request)
            stayed = await ended(http, job)
        except BaseException:
            jobs.discard(job)
            raise
        if stayed and job.state == "done":
            return Download(jobs, job)
        jobs.discard(job)
        if job.state == "failed":
            return refusal(job.error_type, job.error)
        return refused(503, "the work was stopped")

    return router


def _live_streams(streams: Streams) -> APIRouter:
    router = APIRouter()

    @router.websocket("/live")
    async def live(websocket: WebSocket, request: Annotated[LiveRequest, Depends(_live)]) -> None:
        check_query(websocket, _live)
        stream = streams.begin(request)
        try:
            await websocket.accept()
        except BaseException:
            streams.count -= 1
            raise
        await streams.run(websocket, request, stream)

    return router
