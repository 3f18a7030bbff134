"""Recordings as they come from the network and go back to it."""

import asyncio
import json
import shutil
from mimetypes import guess_type
from pathlib import Path
from typing import BinaryIO

from fastapi import Request
from fastapi.responses import FileResponse
from starlette.datastructures import UploadFile
from starlette.types import Receive, Scope, Send

from speechduet.app.job import Job
from speechduet.app.jobs import Jobs
from speechduet.errors import SettingError

_FIELDS = 100
_LONGEST_NAME = 200
"""Bytes that every file system has room for, with a suffix that may be added."""


async def receive_upload(request: Request, job: Job) -> None:
    """Write the file of a form to ``job.source``, whose name is the file's.

    Raises SettingError for a form that is none, and what `Intake` does.
    """
    async with request.form(max_files=1, max_fields=_FIELDS) as form:
        files = [value for value in form.values() if isinstance(value, UploadFile)]
        fields = [name for name, value in form.multi_items() if not isinstance(value, UploadFile)]
        if fields == ["file"] and not files:
            raise SettingError("a file without a name in the form", 'filename="..." in its header')
        if fields:
            raise SettingError(f"{fields[0]!r} in the form", "options in the query, behind a ?")
        if not files:
            raise SettingError(
                "no file in the request", "a form with one, as of curl -F file=@noisy.wav"
            )
        job.name = _plain(files[0].filename or "") or job.name
        await asyncio.to_thread(_copy, files[0].file, job.source)


async def ended(request: Request, job: Job) -> bool:
    """Wait for a job whose upload has been read; False if the client has gone before its end."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    watching = asyncio.create_task(gone())
    ending = asyncio.wrap_future(job.ended)
    try:
        await asyncio.wait({watching, ending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        watching.cancel()
    return ending.done()


class Download(FileResponse):
    """The result of a job, which is deleted once it has been sent, or cannot be."""

    def __init__(self, jobs: Jobs, job: Job) -> None:
        assert job.result is not None
        name = job.result_name
        super().__init__(
            job.result, media_type=guess_type(name)[0] or "application/octet-stream", filename=name
        )
        self.headers["cache-control"] = "no-store"
        if job.notices:
            self.headers["x-speechduet-notices"] = json.dumps(job.notices)
        self._jobs = jobs
        self._job = job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            with self._jobs.held(self._job):
                await super().__call__(scope, receive, send)
        finally:
            self._jobs.discard(self._job)


def _plain(name: str) -> str:
    """The last part of a name, without what could end a line of a message or hide the file."""
    last = name.replace("\\", "/").rpartition("/")[2]
    printable = "".join(letter for letter in last if letter.isprintable()).lstrip(". ")
    return printable.encode()[-_LONGEST_NAME:].decode(errors="ignore")


def _copy(file: BinaryIO, path: Path) -> None:
    with path.open("wb") as copy:
        shutil.copyfileobj(file, copy)
