"""A server that answers as Label Studio does, as far as an oracle asks it, and that a test can break.

What it answers was compared with the real one; see ``tests/annotation/label_studio/test_real_server.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

TOKEN = "c0ffee00c0ffee00"


class FakeLabelStudio:
    """Projects, tasks and annotations in memory.

    ``before`` is called with method and path of each call, and may raise: :class:`Cut` breaks the connection, a
    number is the status that is answered. ``after`` is the same once the call has been carried out. To an ``outsider``,
    whom somebody has taken out of the organisation, the server looks empty.
    """

    def __init__(self) -> None:
        self.projects: dict[int, dict[str, Any]] = {}
        self.tasks: dict[int, dict[str, Any]] = {}
        self.files: dict[int, dict[str, Any]] = {}
        self.users = {1: "boss@example.org", 2: "anna@example.org", 3: "ben@example.org"}
        self.calls: list[tuple[str, str]] = []
        self.before: Callable[[str, str], None] = lambda method, path: None
        self.after: Callable[[str, str], None] = lambda method, path: None
        self.legacy = True
        self.outsider = False
        self.lock = Lock()
        self._numbers = count(1)
        self._clock = datetime(2031, 5, 17, 9, 30, tzinfo=UTC)

    # what people do in the web page

    def annotate(self, task: int, results: list[dict[str, Any]], user: int = 2, **more: Any) -> dict[str, Any]:
        """Submit an annotation; ``was_cancelled=True`` skips the task."""
        now = self._now()
        annotation = {
            "id": next(self._numbers),
            "completed_by": user,
            "result": results,
            "was_cancelled": False,
            "lead_time": 12.0,
            "created_at": now,
            "updated_at": now,
            **more,
        }
        self.tasks[task]["annotations"].append(annotation)
        self.tasks[task]["updated_at"] = now
        return annotation

    def update(self, task: int, annotation: dict[str, Any], **change: Any) -> None:
        """Change an annotation that was submitted."""
        annotation |= {**change, "updated_at": self._now()}
        self.tasks[task]["updated_at"] = annotation["updated_at"]

    def take_back(self, task: int, annotation: dict[str, Any]) -> None:
        """Delete an annotation."""
        self.tasks[task]["annotations"].remove(annotation)
        self.tasks[task]["updated_at"] = self._now()

    def _now(self) -> str:
        self._clock += timedelta(seconds=1)
        return self._clock.isoformat().replace("+00:00", "Z")

    # what programs ask

    def answer(self, method: str, path: str, query: dict[str, str], headers: Any, body: bytes) -> tuple[int, Any]:
        """Status and content."""
        if path == "/api/token/refresh/":
            known = json.loads(body)["refresh"] == f"a.{TOKEN}.z"
            return (200, {"access": f"short.{TOKEN}"}) if known else (401, {"detail": "Token is invalid"})
        if headers["Authorization"] not in (f"Token {TOKEN}" if self.legacy else None, f"Bearer short.{TOKEN}"):
            return 401, {"detail": "Invalid token."}
        if self.outsider:
            return self._empty(method, path)
        for pattern, call in self._routes().items():
            verb, _, where = pattern.partition(" ")
            if verb == method and (match := re.fullmatch(where, path)):
                numbers = [int(n) for n in match.groups()]
                return call(*numbers, query=query, headers=headers, body=body)
        return 404, {"detail": "Not found."}

    @staticmethod
    def _empty(method: str, path: str) -> tuple[int, Any]:
        found = {
            "/api/projects/": {"count": 0, "next": None, "previous": None, "results": []},
            "/api/tasks": {"total": 0, "tasks": []},
            "/api/users/": [],
        }
        return (200, found[path]) if method == "GET" and path in found else (404, {"detail": "Not found."})

    def _routes(self) -> dict[str, Callable[..., tuple[int, Any]]]:
        return {
            r"GET /api/projects/": self._list_projects,
            r"POST /api/projects/": self._make_project,
            r"GET /api/projects/(\d+)/": self._project,
            r"POST /api/projects/(\d+)/import": self._import,
            r"GET /api/projects/(\d+)/file-uploads": self._uploads,
            r"GET /api/tasks": self._tasks,
            r"DELETE /api/tasks/(\d+)/": self._delete,
            r"GET /api/users/": lambda **_: (200, [{"id": n, "email": name} for n, name in self.users.items()]),
        }

    def _list_projects(self, query: dict[str, str], **_: Any) -> tuple[int, Any]:
        found = [p for p in self.projects.values() if query.get("title", "").lower() in p["title"].lower()]
        return 200, {"count": len(found), "next": None, "previous": None, "results": found[::-1]}

    def _make_project(self, body: bytes, **_: Any) -> tuple[int, Any]:
        about = json.loads(body)
        number = next(self._numbers)
        self.projects[number] = {**about, "id": number}
        self.draw(number, about["label_config"])
        return 201, self.projects[number]

    def draw(self, number: int, config: str) -> None:
        """Give a project another labelling interface."""
        parsed = {}
        for node in ET.fromstring(config).iter():
            if "toName" in node.attrib:
                parsed[node.attrib["name"]] = {"type": node.tag, "labels": [child.attrib["value"] for child in node]}
        self.projects[number] |= {"label_config": config, "parsed_label_config": parsed}

    def _project(self, number: int, **_: Any) -> tuple[int, Any]:
        return (200, self.projects[number]) if number in self.projects else (404, {})

    def _import(self, number: int, headers: Any, body: bytes, **_: Any) -> tuple[int, Any]:
        if "multipart" in headers["Content-Type"]:
            config = ET.fromstring(self.projects[number]["label_config"])
            keys = {n.attrib["value"] for n in config.iter() if "name" in n.attrib and "$" in n.attrib.get("value", "")}
            if len(keys) > 1:
                return 400, {"detail": "Your label config has more than one data key"}
            message = message_from_bytes(f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode() + body)
            for part in message.get_payload():
                upload, name = next(self._numbers), part.get_filename()
                content = part.get_payload(decode=True)
                self.files[upload] = {"id": upload, "file": f"upload/{number}/{upload:08x}-{name}", "content": content}
            return 201, {"task_count": 0}
        for task in json.loads(body):
            task_id = next(self._numbers)
            self.tasks[task_id] = {"annotations": [], "predictions": [], **task, "id": task_id, "project": number}
            self.tasks[task_id]["updated_at"] = self._now()
        return 201, {"task_count": len(json.loads(body))}

    def _uploads(self, number: int, **_: Any) -> tuple[int, Any]:
        return 200, [{"id": f["id"], "file": f["file"]} for f in self.files.values()]

    def _tasks(self, query: dict[str, str], **_: Any) -> tuple[int, Any]:
        if int(query["project"]) not in self.projects:
            return 404, {"detail": "No Project matches the given query."}
        found = [t for t in self.tasks.values() if t["project"] == int(query["project"])]
        if "query" in query:
            chosen = json.loads(query["query"])["selectedItems"]["included"]
            found = [t for t in found if t["id"] in chosen]
        size, page = int(query["page_size"]), int(query["page"])
        if found and (page - 1) * size >= len(found):
            return 404, {"detail": "Invalid page."}
        shown = [self._shown(t, whole=query.get("fields") == "all") for t in found[(page - 1) * size : page * size]]
        return 200, {"total": len(found), "tasks": shown}

    def _shown(self, task: dict[str, Any], *, whole: bool) -> dict[str, Any]:
        cancelled = sum(a["was_cancelled"] for a in task["annotations"])
        counts = {"cancelled_annotations": cancelled, "total_annotations": len(task["annotations"]) - cancelled}
        hidden = () if whole else ("annotations", "predictions")
        return {k: v for k, v in task.items() if k not in hidden} | counts

    def _delete(self, number: int, **_: Any) -> tuple[int, Any]:
        return (204, None) if self.tasks.pop(number, None) else (404, {})


class Cut(Exception):
    """The connection breaks."""


@contextmanager
def serving(fake: FakeLabelStudio) -> Iterator[str]:
    """The address at which it answers."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 1 << 16  # in one piece: two would wait for each other, 40 ms a call

        def _do(self) -> None:
            url = urlsplit(self.path)
            query = {k: v[0] for k, v in parse_qs(url.query).items()}
            length = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(length)
            if len(body) < length:  # whoever calls was killed in the middle
                self.close_connection = True
                return
            with fake.lock:
                fake.calls.append((self.command, url.path))
                try:
                    fake.before(self.command, url.path)
                    status, content = fake.answer(self.command, url.path, query, self.headers, body)
                    fake.after(self.command, url.path)
                except Cut:
                    self.close_connection = True
                    return
                except StatusError as answered:
                    status, content = answered.status, {"detail": "as the test has it"}
            text = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_DELETE = do_PATCH = _do

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = Thread(target=lambda: server.serve_forever(poll_interval=0.01), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class StatusError(Exception):
    """The server answers with a status of its own."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(status)


def choices(control: str, *names: str) -> dict[str, Any]:
    """A result of ticking."""
    return {"from_name": control, "to_name": "image", "type": "choices", "value": {"choices": list(names)}}
