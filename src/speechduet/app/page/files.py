"""The addresses of what the page loads: its own script and style, and the files of a job.

A job's address cannot be guessed, so nobody reaches what is another's.
"""

import re
from mimetypes import guess_type
from pathlib import Path
from secrets import token_hex
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from speechduet.app.job import Job
from speechduet.app.jobs import Jobs
from speechduet.app.page.listening import PICTURES, SOUND, UNSURE, page_folder
from speechduet.app.page.steps import PARTS
from speechduet.enhancement.files import mix_file

_OWN = ("page.js", "page.css")
_STEP = re.compile(rf"step-\d{{1,3}}-({'|'.join(PARTS)})\.png")


class _JobFile(FileResponse):
    """A file of a job, which is not deleted while it is being sent."""

    def __init__(self, jobs: Jobs, job: Job, path: Path, name: str = "") -> None:
        kind = guess_type(path.name)[0] or "application/octet-stream"
        super().__init__(path, media_type=kind, filename=name or None)
        self.headers["cache-control"] = "private, no-store"
        self._jobs, self._job = jobs, job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        with self._jobs.held(self._job):
            await super().__call__(scope, receive, send)


class _Passing(_JobFile):
    """One that is deleted when it has been sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            Path(self.path).unlink(missing_ok=True)


def page_files(jobs: Jobs) -> APIRouter:
    """The routes under ``/page/``; not part of the interface that OpenAPI describes."""
    router = APIRouter(prefix="/page", include_in_schema=False)

    def found(identifier: str) -> Job:
        job = jobs.get(identifier)
        if job is None or job.state != "done":
            raise HTTPException(404, "this recording has been deleted")
        return job

    @router.get("/own/{name}")
    def own(name: str) -> Response:
        if name not in _OWN:
            raise HTTPException(404)
        return FileResponse(Path(__file__).with_name(name), headers={"cache-control": "no-cache"})

    @router.get("/{identifier}/download")
    def download(identifier: str, strength: Annotated[float, Query(ge=0, le=1)] = 1) -> Response:
        job = found(identifier)
        assert job.result is not None
        name = f"{Path(job.name).stem}-enhanced{job.result.suffix}"
        if strength == 1:
            return _JobFile(jobs, job, job.result, name)
        assert job.unmixed is not None
        with jobs.held(job), job.unmixed.open("rb") as unmixed:
            target = page_folder(job) / f"{token_hex(8)}{job.result.suffix}"
            mix_file(job.source, target, unmixed, strength, salvage=job.request.salvage)
        return _Passing(jobs, job, target, name)

    @router.get("/{identifier}/{name}")
    def shown(identifier: str, name: str) -> Response:
        job = found(identifier)
        path = page_folder(job) / name
        known = name in (SOUND, UNSURE, *PICTURES) or _STEP.fullmatch(name)
        if not known or not path.is_file():
            raise HTTPException(404)
        return _JobFile(jobs, job, path)

    return router


def address(job: Job) -> str:
    """Where the files of a job are, relative to the page, with a slash at the end."""
    return f"page/{quote(job.id)}/"
