"""Where notifications go in tests."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any


class Sink:
    """A local HTTP server that takes notifications: `url` is apprise's, `webhook` the address."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.is_up = True
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if sink.is_up:
                    sink.received.append(json.loads(body))
                self.send_response(200 if sink.is_up else 500)
                self.end_headers()

            def log_message(self, *arguments: object) -> None:
                """Nothing."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        address = f"127.0.0.1:{self._server.server_port}/alerts"
        self.url = f"json://user:s3cret@{address}"
        self.webhook = f"http://{address}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def take(self) -> list[str]:
        """The texts that came since last time."""
        texts = [f"{one['title']}\n{one['message']}" for one in self.received]
        self.received.clear()
        return texts

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@contextmanager
def a_sink() -> Iterator[Sink]:
    """A sink, as long as the block lasts."""
    sink = Sink()
    try:
        yield sink
    finally:
        sink.stop()
