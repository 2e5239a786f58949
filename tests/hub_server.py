"""A stand-in for the HTTP API of the Hugging Face Hub, as far as huggingface_hub uses it for models.

with HubServer(token) as hub: ...      # hub.environment, hub.repositories, hub.requests
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit


@dataclass
class Repository:
    """A model: its commits, oldest first, each a hash and all files."""

    private: bool = False
    commits: list[tuple[str, dict[str, bytes]]] = field(default_factory=list)
    messages: list[str] = field(default_factory=list)

    @property
    def files(self) -> dict[str, bytes]:
        """Of the newest commit."""
        return self.commits[-1][1] if self.commits else {}

    def commit(self, files: dict[str, bytes], message: str = "") -> str:
        """Add a commit of these files on top of those that are there; returns its hash."""
        oid = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()
        self.commits.append((oid, {**self.files, **files}))
        self.messages.append(message)
        return oid

    def at(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        """Hash and files of a revision: `main`, or a commit."""
        if revision == "main":
            return self.commits[-1] if self.commits else None
        return next((each for each in self.commits if each[0] == revision), None)


class HubServer:
    """The server; `token` may write, and read private models."""

    def __init__(self, token: str, *, lfs: tuple[str, ...] = (".onnx", ".safetensors", ".npz")) -> None:
        self.token, self.lfs = token, lfs
        self.repositories: dict[str, Repository] = {}
        self.blobs: dict[str, bytes] = {}
        self.requests: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"hub": self}))
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> HubServer:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def environment(self, home: Path, token: str | None = None) -> dict[str, str]:
        """Variables that make huggingface_hub use this server, with a cache of its own."""
        variables = {"HF_ENDPOINT": self.address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1"}
        return variables | ({} if token is None else {"HF_TOKEN": token})


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def do_PUT(self) -> None:
        self._answer()

    def _answer(self) -> None:
        body = self._body()
        path = unquote(urlsplit(self.path).path)
        if path != "/api/agent-harnesses":  # which the library asks for on its own account
            self.hub.requests.append(f"{self.command} {path}")
        parts = path.strip("/").split("/")
        if parts[:1] == ["blobs"]:
            self.hub.blobs[parts[1]] = body
            self._send(200)
        elif path == "/api/validate-yaml":
            self._send(200, {"errors": [], "warnings": []})
        elif not self._authorised() and (self.command != "GET" and self.command != "HEAD"):
            self._send(401, {"error": "Invalid credentials"}, {"X-Error-Message": "Invalid credentials"})
        elif path == "/api/repos/create":
            self._create(json.loads(body))
        elif parts[:2] == ["api", "models"] and len(parts) >= 4:
            self._model("/".join(parts[2:4]), parts[4:], body)
        elif parts[-3:] == ["lfs", "objects", "batch"]:
            self._lfs(json.loads(body))
        elif len(parts) > 4 and parts[2] == "resolve":
            self._resolve("/".join(parts[:2]), parts[3], "/".join(parts[4:]))
        else:
            self._send(404, {"error": f"the stand-in does not know {self.command} {path}"})

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def _authorised(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.hub.token}"

    def _create(self, request: dict[str, Any]) -> None:
        name = f"{request['organization']}/{request['name']}"
        known = name in self.hub.repositories
        private = bool(request.get("private")) or request.get("visibility") == "private"
        self.hub.repositories.setdefault(name, Repository(private))
        self._send(409 if known else 200, {"url": f"{self.hub.address}/{name}"})

    def _model(self, name: str, rest: list[str], body: bytes) -> None:
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and not self._authorised()):
            self._send(404, {"error": "Repository not found"}, {"X-Error-Code": "RepoNotFound"})
        elif rest[:1] == ["preupload"]:
            files = [{"path": f["path"], "shouldIgnore": False, "uploadMode": self._mode(f["path"])}
                     for f in json.loads(body)["files"]]  # fmt: skip
            self._send(200, {"files": files})
        elif rest[:1] == ["commit"]:
            self._commit(repository, name, [json.loads(line) for line in body.splitlines()])
        elif (found := repository.at(rest[1] if len(rest) > 1 else "main")) is None:
            self._send(404, {"error": "Revision not found"}, {"X-Error-Code": "RevisionNotFound"})
        elif rest[:1] == ["tree"]:
            entries = [{"type": "file", "path": p, "size": len(c), "oid": hashlib.sha1(c).hexdigest()}
                       for p, c in found[1].items()]  # fmt: skip
            self._send(200, entries)
        else:
            siblings = [{"rfilename": path} for path in found[1]]
            self._send(200, {"id": name, "sha": found[0], "siblings": siblings, "private": repository.private})

    def _mode(self, path: str) -> str:
        return "lfs" if path.endswith(self.hub.lfs) else "regular"

    def _commit(self, repository: Repository, name: str, lines: list[dict[str, Any]]) -> None:
        files, message = {}, ""
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                message = value["summary"]
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
        oid = repository.commit(files, message)
        address = f"{self.hub.address}/{name}/commit/{oid}"
        self._send(200, {"success": True, "commitOid": oid, "commitUrl": address, "hookOutput": ""})

    def _lfs(self, request: dict[str, Any]) -> None:
        objects = [
            {**each, "authenticated": True, "actions": {"upload": {"href": f"{self.hub.address}/blobs/{each['oid']}"}}}
            for each in request["objects"]
        ]
        self._send(200, {"transfer": "basic", "objects": objects})

    def _resolve(self, name: str, revision: str, file: str) -> None:
        repository = self.hub.repositories.get(name)
        found = repository and repository.at(revision)
        if not repository or not found or file not in found[1] or (repository.private and not self._authorised()):
            self._send(404, {"error": "Entry not found"}, {"X-Error-Code": "EntryNotFound"})
            return
        content = found[1][file]
        headers = {"X-Repo-Commit": found[0], "ETag": f'"{hashlib.sha1(content).hexdigest()}"'}
        self._send(200, content, headers)

    def _send(self, status: int, content: Any = b"", headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        if not isinstance(content, bytes):
            self.send_header("Content-Type", "application/json")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
