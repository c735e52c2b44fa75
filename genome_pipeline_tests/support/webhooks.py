"""An https server on the loopback with a certificate of its own, and what is posted to it."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest


class Posted(NamedTuple):
    """One request: its headers, with names in lower case, and its body."""

    headers: dict[str, str]
    body: bytes

    @property
    def message(self) -> Any:
        return json.loads(self.body)


def make_certificate(folder: Path) -> Path:
    """A file with a certificate of localhost, signed by itself, and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl makes the certificate, and is not installed")
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    command += ["-addext", "subjectAltName=DNS:localhost", "-keyout", "key.pem", "-out", "certificate.pem"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    both = folder / "both.pem"
    both.write_text((folder / "key.pem").read_text() + (folder / "certificate.pem").read_text())
    return both


def context_of(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@contextmanager
def hook(
    certificate: Path, *, moved_to: str | None = None, answers: Sequence[int] = ()
) -> Iterator[tuple[str, list[Posted]]]:
    """The URL of an https server, which moves on where it is told to, and what was posted to it.

    It answers with the codes of ``answers`` first, then with 200.
    """
    posted: list[Posted] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append(Posted({name.lower(): value for name, value in self.headers.items()}, body))
            code = answers[len(posted) - 1] if len(posted) <= len(answers) else 200
            self.send_response(302 if moved_to else code)
            if moved_to:
                self.send_header("Location", moved_to)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("localhost", 0), Hook)
    server.socket = context_of(certificate).wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"https://localhost:{server.server_port}/secret", posted
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
