"""What users of the page have sent, in a private folder, and nothing else of this machine."""

import asyncio
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import gradio as gr
from fastapi import APIRouter, HTTPException
from fastapi.responses import FileResponse, Response
from starlette.concurrency import run_in_threadpool

from speechduet.app.page import markup

_LONGEST_PAUSE_S = 30.0


class Uploads:
    """The folder into which Gradio writes what it receives, each file by the hash of its content.

    Files are deleted ``keep_seconds`` after they were written, whatever has become of them since:
    a queue has a copy of what it is to enhance.
    """

    def __init__(self, keep_seconds: float) -> None:
        self._folder = TemporaryDirectory(prefix="speechduet-page-", ignore_cleanup_errors=True)
        self._keep_seconds = keep_seconds
        self.path = Path(self._folder.name).resolve()
        # The only way to tell Gradio, which looks whenever it needs it.
        os.environ["GRADIO_TEMP_DIR"] = str(self.path)

    def guard(self, blocks: gr.Blocks) -> None:
        """Let no input of a page be anything but an upload.

        Gradio, mounted in another application, would copy any file of this machine that a request
        names to where it can be downloaded, and fetch whatever address it names.
        """
        for block in blocks.blocks.values():
            setattr(block, "async_move_resource_to_block_cache", self._only_uploaded)  # noqa: B010

    def routes(self) -> APIRouter:
        """The uploads for whoever knows the hash of one; has to come before Gradio's own routes.

        Theirs would pass on what is at any public address.
        """
        router = APIRouter(include_in_schema=False)

        @router.api_route("/gradio_api/file={path:path}", methods=["GET", "HEAD"])
        def uploaded(path: str) -> Response:
            found = self._found(path)
            if found is None:
                raise HTTPException(404, "there is no such upload, or no longer")
            return FileResponse(found, headers={"cache-control": "private, no-store"})

        return router

    async def expire(self) -> None:
        """Delete what is old enough, for ever."""
        while True:
            await asyncio.sleep(min(self._keep_seconds / 2, _LONGEST_PAUSE_S))
            await run_in_threadpool(self.sweep)

    def sweep(self) -> None:
        """Delete what was written long enough ago."""
        oldest = time.time() - self._keep_seconds
        for folder, _, names in os.walk(self.path, topdown=False):
            try:
                for path in (Path(folder, name) for name in names):
                    if path.stat().st_mtime <= oldest:
                        path.unlink()
                if names and Path(folder) != self.path:
                    Path(folder).rmdir()
            except OSError:  # Somebody was quicker, or not all in the folder is old.
                continue

    def close(self) -> None:
        """Delete everything."""
        self._folder.cleanup()

    def _found(self, path: str) -> Path | None:
        try:
            resolved = Path(path).resolve()
            inside = resolved.is_relative_to(self.path) and resolved.is_file()
        except (OSError, ValueError):
            return None
        return resolved if inside else None

    async def _only_uploaded(self, path: str | Path | None) -> str | None:
        found = None if path is None else self._found(str(path))
        if found is None:
            raise gr.Error(
                "The upload is not there, or has been deleted after "
                f"{markup.spoken(self._keep_seconds)}; choose it again.",
                print_exception=False,
            )
        return str(found)
