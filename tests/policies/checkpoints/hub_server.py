"""A Hugging Face Hub of one checkpoint, on this machine, for a process whose `HF_ENDPOINT` is its address."""

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@contextmanager
def hub(repo: str, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """Serves the files in `folder` as the model `repo`, at main; gives the address, and what is asked for."""
    asked: list[str] = []
    files = {path.name: path for path in folder.iterdir()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.split("?")[0].strip("/")
            asked.append(path)
            if path == f"api/models/{repo}/revision/main":
                told = {"id": repo, "sha": COMMIT, "siblings": [{"rfilename": name} for name in files], "tags": []}
                self._answer(200, json.dumps(told).encode())
            elif path.startswith(f"api/models/{repo}/tree/{COMMIT}"):
                tree = [
                    {"type": "file", "path": name, "size": each.stat().st_size, "oid": COMMIT}
                    for name, each in files.items()
                ]
                self._answer(200, json.dumps(tree).encode())
            elif path.startswith(f"{repo}/resolve/") and (name := path.rsplit("/", 1)[1]) in files:
                self._answer(200, files[name].read_bytes())
            elif path.startswith(f"api/models/{repo}/"):
                self._answer(404, b"{}", {"X-Error-Code": "RevisionNotFound"})
            else:
                self._answer(401, b"{}", {"X-Error-Code": "RepoNotFound"})

        do_HEAD = do_GET

        def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            own = {"X-Repo-Commit": COMMIT, "ETag": f'"{hashlib.sha1(body).hexdigest()}"'}
            for name, value in {**own, "Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def log_message(self, *words: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
