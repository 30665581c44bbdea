"""A real HTTP server on a free port that records requests and gives prepared answers."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import HTTP
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, cast


@dataclass
class Request:
    """A request as it arrived."""

    method: str
    path: str
    content_type: str
    body: bytes

    def json(self) -> Any:
        """Decode the body."""
        return json.loads(self.body)

    def parts(self) -> dict[str, Part]:
        """Decode a multipart body, by the names of its parts."""
        head = f"Content-Type: {self.content_type}\r\n\r\n".encode()
        message = BytesParser(policy=HTTP).parsebytes(head + self.body)
        parts = [cast(EmailMessage, part) for part in message.iter_parts()]
        return {
            str(part.get_param("name", header="content-disposition")): Part(
                part.get_filename(),
                part.get_content_type() if "content-type" in part else None,
                cast(bytes, part.get_payload(decode=True)),
            )
            for part in parts
        }


@dataclass
class Part:
    """One part of a multipart body."""

    filename: str | None
    content_type: str | None
    content: bytes


class Recorder:
    """The server. Answers are given in their order, the last one again and again.

    Attributes:
        url: Its address.
        requests: What has arrived so far.
        answers: What to answer: HTTP status and body, JSON unless it is ``bytes``.
    """

    def __init__(self) -> None:
        """Start to listen."""
        self.requests: list[Request] = []
        self.answers: list[tuple[int, Any]] = []
        self._server = HTTPServer(("127.0.0.1", 0), self._make_handler())
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Stop listening and wait for the thread."""
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                content_type = self.headers.get("Content-Type", "")
                recorder.requests.append(Request(self.command, self.path, content_type, body))
                status, answer = recorder.answers.pop(0) if len(recorder.answers) > 1 else recorder.answers[0]
                payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(payload)))
                self.end_headers()
                self.wfile.write(payload)

            do_GET = do_POST = do_DELETE = answer

            def log_message(self, format: str, *args: Any) -> None:
                pass

        return Handler
