"""An old API of another shape than the classic one: a library that lends books, as a process of its own.

``http://host/<log-in>/<paging>`` serves the same books and loans by each way to log in and each kind of pages, and
misbehaves as ``POST /control`` tells it: ``[{"kind": ..., "path": a part of the request's, "times": ...}]``.
"""

from __future__ import annotations

import base64
import json
import socket
import struct
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

from tests.support.site import ROOT

UID, PASSWORD = "mira", "p w&=ü"
BOOKS = [
    {
        "isbn": f"978-{number}",
        "id": number,
        "title": f"Loops {number} é",
        "tags": None if number % 3 else ["a", {"b": 1.50}],
        "timesLent": number % 7,
        "copies": [{"id": 100 * number + copy, "shelf": f"B{copy}"} for copy in range(number % 3)],
    }
    for number in range(1, 26)
]
LOANS = [
    {
        "id": number,
        "isbn": f"978-{3 * (number % 8) + 1}",
        "title": "repeated",
        "copy": 100 * (3 * (number % 8) + 1),
        "lentOn": f"2024-05-{1 + number % 28:02}T13:45:00",
        "reader": None if number % 5 else f"reader {number}",
    }
    for number in range(1, 48)
]
SIZE = 10


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    faults: ClassVar[list[dict[str, Any]]] = []
    asked: ClassVar[list[str]] = []
    tokens: ClassVar[set[str]] = set()

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.path == "/control":
            Handler.faults, Handler.asked = json.loads(body), []
            return self.send([])
        Handler.asked.append(f"POST {self.path}")
        if self.misbehaves():
            return None
        style = self.path.split("/")[1]
        if not self.path.endswith("/login") or style not in ("json", "form", "bearer"):
            return self.send({"message": "no such place"}, 404)
        kind = self.headers["Content-Type"]
        if style == "form":
            fields = dict(parse_qsl(body.decode())) if kind == "application/x-www-form-urlencoded" else {}
        else:
            fields = json.loads(body) if kind == "application/json" else {}
        right = fields == {"user": UID, "pass": PASSWORD}
        token = f"t{len(Handler.tokens) + 1}"
        if style == "form":
            # As browsers are answered: the page of the log-in again, or the way to another one.
            if not right:
                return self.send("<form>", 200, {"Content-Type": "text/html", "Set-Cookie": "session=nobody; Path=/"})
            Handler.tokens.add(token)
            return self.send("", 302, {"Location": "/home", "Set-Cookie": f"session={token}; HttpOnly; Secure"})
        if not right:
            return self.send({"error": "no"}, 401)
        Handler.tokens.add(token)
        if style == "bearer":
            return self.send({"token": {"value": token, "type": "Bearer"}}, 201)
        return self.send({"ok": True}, 200, {"Set-Cookie": f"session={token}; Domain=old.example; Secure"})

    def is_known(self, style: str) -> bool:
        match style:
            case "open":
                return True
            case "basic":
                pair = base64.b64encode(f"{UID}:{PASSWORD}".encode()).decode()
                return self.headers["Authorization"] == f"Basic {pair}"
            case "key":
                return self.headers["X-Library-Key"] == "k-1"
            case "static":
                return self.headers["Authorization"] == "Bearer k-1"
            case "bearer":
                return (self.headers["Authorization"] or "").removeprefix("Bearer ") in Handler.tokens
        return (self.headers["Cookie"] or "").removeprefix("session=") in Handler.tokens

    def do_GET(self) -> None:
        if self.path == "/control":
            return self.send(Handler.asked)
        Handler.asked.append(f"GET {self.path}")
        if self.misbehaves():
            return None
        parts = urlsplit(self.path)
        _, style, *rest = parts.path.split("/")
        if not self.is_known(style):
            if style in ("form", "home"):
                return self.send("<form>", 200, {"Content-Type": "text/html"})
            return self.send({"error": "who?"}, 401)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        match rest:
            case [paging, "books"]:
                return self.page(paging, BOOKS, query)
            case [paging, "loans"]:
                return self.page(paging, sorted(LOANS, key=lambda loan: query["sort"] == "id" and loan["id"]), query)
            case [_, "books", number, "copies"] if number.isdigit() and int(number) <= len(BOOKS):
                copies = BOOKS[int(number) - 1]["copies"]
                return self.send({"copies": copies, "count": len(copies)})
            case [_, "books", number] if number.isdigit() and int(number) <= len(BOOKS):
                return self.send(BOOKS[int(number) - 1])
        return self.send({"message": "no such place"}, 404)

    def page(self, paging: str, rows: list[dict[str, Any]], query: dict[str, str]) -> None:
        size = min(int(query.get("size", SIZE)), 20)
        start = {
            "number": lambda: (int(query.get("page", 1)) - 1) * size,
            "offset": lambda: int(query.get("offset", 0)),
        }.get(paging, lambda: int(query.get("after", "c0")[1:]))()
        shown, total = [dict(row) for row in rows[start : start + size]], len(rows)
        if self.is_fault("repeat") and start:
            shown = [dict(row) for row in rows[:size]]
        if self.is_fault("differ"):
            shown = [*shown, {**shown[0], "title": "another"}]
        if self.is_fault("key"):
            shown = [{name: value for name, value in row.items() if name != "id"} for row in shown]
        if self.is_fault("field"):
            shown = [{name: value for name, value in row.items() if name != "title"} for row in shown]
        if self.is_fault("surprise"):
            shown = [{**row, "surprise": 1} for row in shown]
        if start and self.is_fault("total"):
            total += 1
        more = start + size < total
        if self.is_fault("empty"):
            shown, more = [], True
        if self.is_fault("endless"):
            more, total = True, 10**6
        after = f"c{0 if self.is_fault('loop') else start + size}" if more else None
        self.answer(paging, shown, total, after, {**query, "after": after or ""})

    def answer(self, paging: str, shown: list[Any], total: int, after: str | None, query: dict[str, str]) -> None:
        host = "elsewhere.example" if self.is_fault("elsewhere") else self.headers["Host"]
        url = f"http://{host}{urlsplit(self.path).path}?{urlencode(query)}" if after else None
        match paging:
            case "number":
                number = int(query.get("page", 1))
                self.send({"items": shown, "total": total, "page": number, "more": after is not None})
            case "offset":
                self.send({"data": {"rows": shown}, "meta": {"total": total}})
            case "cursor":
                self.send({"data": {"items": shown, "next": after}, "total": total})
            case "unproved":
                self.send({"data": {"items": shown, "next": after}})
            case "body":
                self.send({"results": shown, "count": total, "next": url})
            case "link":
                links = f'<{url}&x=a,b>; title="a, b"; rel="next", </>; rel=first' if url else '</>; rel="first"'
                kind = "application/vnd.library+json; charset=utf-8"
                self.send(shown, 200, {"Content-Type": kind, "Link": links, "X-Total-Count": str(total)})
            case "single":
                everything = LOANS if "loans" in self.path else BOOKS
                self.send({"items": shown if self.is_fault("key") else everything, "count": len(everything)})
            case "limit":
                everything = LOANS if "loans" in self.path else BOOKS
                self.send(everything[: int(query.get("limit", SIZE))])

    def is_fault(self, kind: str) -> bool:
        """Whether this request is to be answered so; counted."""
        for fault in Handler.faults:
            if fault["kind"] == kind and fault.get("path", "") in self.path and fault.get("times", 1):
                fault["times"] = fault.get("times", 1) - 1
                return True
        return False

    def misbehaves(self) -> bool:
        """Answer in a way that has nothing to do with what was asked; returns whether it did."""
        if self.is_fault("500"):
            self.send({"error": "oh"}, 500)
        elif self.is_fault("429"):
            self.send({"error": "slowly"}, 429, {"Retry-After": "0"})
        elif self.is_fault("expire"):
            Handler.tokens.clear()
            return False
        elif self.is_fault("403"):
            self.send({"error": "no"}, 403)
        elif self.is_fault("404"):
            self.send("<h1>", 404, {"Content-Type": "text/html"})
        elif self.is_fault("html"):
            self.send("<form>", 200, {"Content-Type": "text/html"})
        elif self.is_fault("redirect"):
            self.send("", 302, {"Location": "http://elsewhere.example/books"})
        elif self.is_fault("drop"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
        else:
            return False
        return True

    def send(self, body: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
        content = (body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A connection that was dropped on purpose is no error."""


class Library:
    """The process; use as a context manager."""

    def __enter__(self) -> Library:
        command = [sys.executable, "-m", __name__]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=30)

    def control(self, *faults: dict[str, Any]) -> None:
        """Misbehave so from now on, and forget what was asked."""
        body = json.dumps(faults).encode()
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/control", body), timeout=30).close()

    @property
    def asked(self) -> list[str]:
        """The requests since the last :meth:`control`."""
        with urllib.request.urlopen(f"{self.url}/control", timeout=30) as answer:
            return list(json.load(answer))


def main() -> None:
    """Serve until somebody ends this process, or who started it is gone."""
    server = Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_address[1], flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
