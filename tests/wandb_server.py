"""A W&B server that says just enough for a run to be online, and can be taken away."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ENTITY = {"id": "e", "name": "someone"}
BUCKET = {"id": "b", "name": "x", "config": "{}", "historyLineCount": 0}
ANSWERS = {
    "RunResumeStatus": {"model": {"id": "p", "name": "mtal", "entity": ENTITY, "bucket": None}},
    "UpsertBucket": {
        "upsertBucket": {
            "bucket": BUCKET | {"project": {"id": "p", "name": "mtal", "entity": ENTITY}},
            "inserted": True,
        }
    },
    "Viewer": {
        "viewer": {"id": "u", "entity": "someone", "username": "someone", "flags": "{}", "teams": {"edges": []}}
    },
    "ArtifactType": {"project": {"artifactType": None, "artifact": None}},
    "CreateArtifact": {
        "createArtifact": {
            "artifact": {"id": "a", "state": "COMMITTED", "artifactSequence": {"id": "s", "latestArtifact": None}}
        }
    },
}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        query, answer = b"", {}
        if self.path == "/graphql":
            query = json.loads(body)["query"]
            answer = {
                "data": next((a for name, a in ANSWERS.items() if f" {name}(" in query or f" {name} " in query), {})
            }
        if "createRunFiles" in str(query):
            files = json.loads(body)["variables"]["files"]
            upload = [
                {"name": file, "uploadUrl": f"http://localhost:{self.server.server_port}/{file}"} for file in files
            ]
            answer = {"data": {"createRunFiles": {"runID": "b", "uploadHeaders": [], "files": upload}}}
        self._answer(answer)

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer({})

    def _answer(self, content: object) -> None:
        encoded = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(encoded)))
        self.end_headers()
        self.wfile.write(encoded)

    def handle(self) -> None:
        try:
            super().handle()
        except OSError:
            self.close_connection = True  # the client was ended

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("localhost", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def vanish(self) -> None:
        self.shutdown()
        self.server_close()
