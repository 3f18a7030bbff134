"""A stand-in for the Hugging Face Hub on loopback: the calls that huggingface_hub makes.

Repositories are kept in memory. Files that end in .safetensors are stored as large files are:
by their SHA-256, apart from the repository, and given out by a redirection.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from urllib.parse import unquote, urlsplit

TOKEN = "hf_loopback"


@dataclass
class Repository:
    """Commits, each a whole tree of files, and what branches and tags name."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    names: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    private: bool = False

    def commit(self, files: dict[str, bytes], *names: str) -> str:
        """A new commit of these files; the branches and tags that are to name it."""
        oid = hashlib.sha1(repr((len(self.commits), sorted(files))).encode()).hexdigest()
        self.commits[oid] = files
        self.names |= dict.fromkeys(names or ("main",), oid)
        return oid

    def resolved(self, revision: str) -> str | None:
        return self.names.get(revision, revision if revision in self.commits else None)


@dataclass
class Hub:
    """All that the server knows, and what was asked of it."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)
    cards: list[str] = field(default_factory=list)
    cut: bool = False
    """Whether large files break off half-way."""
    address: str = ""
    store: str = ""
    """Where large files are: on another host, as far as its name goes."""


def is_large(name: str) -> bool:
    return name.endswith(".safetensors")


class Handler(BaseHTTPRequestHandler):
    hub: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None: ...

    def do_GET(self) -> None:
        self.hub.asked.append(f"{self.command} {self.path}")
        path = unquote(urlsplit(self.path).path)
        parts = path.strip("/").split("/")
        if path.startswith("/large/"):
            self.give(self.hub.large[parts[-1]], cut=self.hub.cut)
        elif path.startswith("/api/models/"):
            if (repository := self.allowed("/".join(parts[2:4]))) is not None:
                self.describe(repository, "/".join(parts[2:4]), parts[4:])
        elif len(parts) > 4 and parts[2] == "resolve":
            if (repository := self.allowed("/".join(parts[:2]))) is not None:
                self.resolve(repository, parts[3], "/".join(parts[4:]))
        else:
            self.refuse(404, "EntryNotFound")

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_PUT(self) -> None:
        content = self.body()
        self.hub.large[hashlib.sha256(content).hexdigest()] = content
        self.give(b"")

    def do_POST(self) -> None:
        self.hub.asked.append(f"{self.command} {self.path}")
        content = self.body()
        parts = unquote(urlsplit(self.path).path).strip("/").split("/")
        if parts[-1] == "validate-yaml":
            self.hub.cards.append(json.loads(content)["content"])
            return self.give_json({"errors": [], "warnings": []})
        if self.headers.get("authorization") != f"Bearer {TOKEN}":
            return self.refuse(401)
        if parts[-2:] == ["repos", "create"]:
            wanted = json.loads(content)
            name = f"{wanted['organization']}/{wanted['name']}"
            about = {"url": f"{self.hub.address}/{name}", "id": name}
            if name in self.hub.repositories:
                return self.give_json(about, 409)
            private = wanted.get("private") or wanted.get("visibility") == "private"
            self.hub.repositories[name] = Repository(private=bool(private))
            self.hub.repositories[name].commit({})
            return self.give_json(about)
        if parts[-2:] == ["objects", "batch"]:
            return self.give_json({"transfer": "basic", "objects": self.batch(json.loads(content))})
        repository = self.hub.repositories["/".join(parts[2:4])]
        if parts[4] == "preupload":
            files = json.loads(content)["files"]
            return self.give_json({"files": [self.mode(file["path"]) for file in files]})
        oid = self.commit(repository, content)
        address = f"{self.hub.address}/{'/'.join(parts[2:4])}/commit/{oid}"
        return self.give_json({"success": True, "commitUrl": address, "commitOid": oid})

    def mode(self, path: str) -> dict[str, Any]:
        kind = "lfs" if is_large(path) else "regular"
        return {"path": path, "uploadMode": kind, "shouldIgnore": False}

    def batch(self, wanted: dict[str, Any]) -> list[dict[str, Any]]:
        return [
            {**one, "actions": {"upload": {"href": f"{self.hub.address}/large/{one['oid']}"}}}
            for one in wanted["objects"]
        ]

    def commit(self, repository: Repository, content: bytes) -> str:
        files = dict(repository.commits[repository.names["main"]])
        for line in content.splitlines():
            entry = json.loads(line)
            key, value = entry["key"], entry["value"]
            if key == "header":
                self.hub.messages.append(value["summary"])
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                files[value["path"]] = self.hub.large[value["oid"]]
            elif key == "deletedFile":
                del files[value["path"]]
        return repository.commit(files)

    def allowed(self, name: str) -> Repository | None:
        repository = self.hub.repositories.get(name)
        known = self.headers.get("authorization") == f"Bearer {TOKEN}"
        if repository is None or (repository.private and not known):
            self.refuse(404 if known else 401, "RepoNotFound")
            return None
        if repository.gated and not known:
            self.refuse(403, "GatedRepo")
            return None
        return repository

    def describe(self, repository: Repository, name: str, rest: list[str]) -> None:
        revision = rest[1] if len(rest) > 1 else "main"
        if (oid := repository.resolved(revision)) is None:
            return self.refuse(404, "RevisionNotFound")
        files = repository.commits[oid]
        if rest[:1] == ["tree"]:
            return self.give_json([self.listed(path, files[path]) for path in sorted(files)])
        siblings = [{"rfilename": path} for path in sorted(files)]
        return self.give_json({"id": name, "sha": oid, "siblings": siblings, "tags": []})

    def listed(self, path: str, content: bytes) -> dict[str, Any]:
        blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        about = {"type": "file", "path": path, "size": len(content), "oid": blob}
        if is_large(path):
            digest = hashlib.sha256(content).hexdigest()
            about["lfs"] = {"oid": digest, "size": len(content), "pointerSize": 130}
        return about

    def resolve(self, repository: Repository, revision: str, path: str) -> None:
        if (oid := repository.resolved(revision)) is None:
            return self.refuse(404, "RevisionNotFound")
        content = repository.commits[oid].get(path)
        if content is None:
            return self.refuse(404, "EntryNotFound")
        about = self.listed(path, content)
        headers = {"X-Repo-Commit": oid, "ETag": f'"{about["oid"]}"'}
        if is_large(path):
            digest = about["lfs"]["oid"]
            self.hub.large.setdefault(digest, content)
            headers |= {"X-Linked-ETag": f'"{digest}"', "X-Linked-Size": str(len(content))}
            headers["Location"] = f"{self.hub.store}/large/{digest}"
            return self.give(b"", 302, headers)
        return self.give(content, headers=headers)

    def body(self) -> bytes:
        if "content-length" in self.headers:
            return self.rfile.read(int(self.headers["content-length"]))
        pieces = []
        while size := int(self.rfile.readline(), 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    def refuse(self, status: int, code: str = "") -> None:
        self.give(b"{}", status, {"X-Error-Code": code} if code else {})

    def give_json(self, value: Any, status: int = 200) -> None:
        self.give(json.dumps(value).encode(), status, {"Content-Type": "application/json"})

    def give(
        self,
        content: bytes,
        status: int = 200,
        headers: dict[str, str] | None = None,
        cut: bool = False,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content[: len(content) // 2] if cut else content)
        self.close_connection = cut


@contextmanager
def stand_in() -> Iterator[Hub]:
    """A running stand-in at ``Hub.address``."""
    hub = Hub()
    handler = type("Bound", (Handler,), {"hub": hub})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        hub.address = f"http://127.0.0.1:{server.server_port}"
        hub.store = f"http://localhost:{server.server_port}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
