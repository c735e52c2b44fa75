"""The HTTP server: how it ends, what it refuses before anyone has logged in, and what it does not tell."""

from __future__ import annotations

import platform
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from urllib.request import urlopen

import pytest

from genome_pipeline.dashboard import server
from genome_pipeline.dashboard.app import create_app
from genome_pipeline.dashboard.security import Access
from genome_pipeline.dashboard.server import MOST_BODY_BYTES, Server
from genome_pipeline.errors import ConfigError

_PROGRAM = """
import signal
import sys
from pathlib import Path
from genome_pipeline.dashboard.audit import AuditLog
from genome_pipeline.dashboard.app import serve
from genome_pipeline.dashboard.security import Access
# A shell starts what it runs in the background with Ctrl-C ignored, and so do these tests where they run there.
signal.signal(signal.SIGINT, signal.default_int_handler)
log = AuditLog(Path(sys.argv[2]), None)
log.prepare()
serve(Path(sys.argv[1]), Access(), log, "127.0.0.1", int(sys.argv[3]))
"""


@contextmanager
def served(path: Path, access: Access = Access(), seconds: int | None = None) -> Iterator[int]:  # noqa: B008
    """The port of a server in a thread of its own, which goes with the process."""
    with pytest.MonkeyPatch.context() as patch:
        if seconds is not None:
            patch.setattr(server, "_REQUEST_SECONDS", seconds)
            patch.setattr(server, "_CLEANUP_SECONDS", 1)
        running = Server(create_app(path, access).server, "127.0.0.1", 0)
    threading.Thread(target=running.run, daemon=True).start()
    yield running.port


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_server_ends_in_order_while_it_prepares(published_path: Path, tmp_path: Path, number: int) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    spill = tmp_path / "spill"
    spill.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, str(published_path), str(tmp_path / "audit"), str(port)],
        stderr=subprocess.PIPE,
        text=True,
        env={"TMPDIR": str(spill)},
    )
    for _ in range(600):
        try:
            urlopen(f"http://127.0.0.1:{port}/").close()
            break
        except OSError:
            time.sleep(0.1)
    assert list(spill.iterdir()) != []
    process.send_signal(number)
    _, problems = process.communicate(timeout=60)
    assert (process.returncode, problems) == (0, "")
    assert list(spill.iterdir()) == []


def test_a_port_that_is_taken_is_one_sentence(published_path: Path) -> None:
    with served(published_path) as port, pytest.raises(ConfigError, match=f"127.0.0.1, port {port} .*name another"):
        Server(create_app(published_path).server, "127.0.0.1", port)


def test_no_answer_says_what_serves_it(published_path: Path) -> None:
    with served(published_path) as port:
        for path in ("/assets/favicon.svg", "/nowhere/else.txt", "/export/audience.csv?first=3"):
            connection = HTTPConnection("127.0.0.1", port)
            connection.request("GET", path)
            answer = connection.getresponse()
            answer.read()
            assert answer.getheader("Server") is None
            assert answer.getheader("Date") is not None
            connection.close()


def test_a_large_body_is_refused_before_it_is_read(published_path: Path) -> None:
    with served(published_path, Access("correct horse battery")) as port:
        for headers in (f"Content-Length: {400_000_000}", "Transfer-Encoding: chunked"):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as visitor:
                visitor.sendall(f"POST /login HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n\r\n".encode())
                sent = 0
                try:
                    for _ in range(400):
                        visitor.sendall(b"%x\r\n" % 1_000_000 + b"x" * 1_000_000 + b"\r\n")
                        sent += 1_000_000
                    answer = visitor.recv(1_000)
                except ConnectionError:
                    answer = b"closed"
                assert answer == b"closed" or answer.startswith(b"HTTP/1.1 413")
                # What the system holds on the way is sent, too.
                assert sent < MOST_BODY_BYTES + 30_000_000


def test_a_request_that_never_ends_is_closed_and_others_are_served(published_path: Path) -> None:
    with served(published_path, seconds=2) as port:
        silent, dripping = (socket.create_connection(("127.0.0.1", port), timeout=30) for _ in range(2))
        dripping.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: ")
        started = time.monotonic()
        is_open = True
        while is_open and time.monotonic() - started < 30:
            urlopen(f"http://127.0.0.1:{port}/assets/favicon.svg").close()
            try:
                dripping.sendall(b"x")
            except ConnectionError:
                is_open = False
            time.sleep(0.3)
        assert not is_open
        assert silent.recv(1) == b""
        silent.close()
        dripping.close()


_FREEING = """
import os
import sys
from pathlib import Path
from genome_pipeline.dashboard.server import return_freed_memory

def resident_megabytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

if sys.argv[1] == "returned":
    return_freed_memory()
bytearray(16_000_000)  # freed at once, which has glibc take later blocks from its heap
before = resident_megabytes()
blocks = [bytearray(b"x") * 262_144 for _ in range(800)]
last = bytearray(b"x") * 262_144  # at the heap's end, where it keeps the rest from being returned
del blocks
print(resident_megabytes() - before)
"""


# The memory of the process is read from Linux's /proc, and other C libraries neither keep what was freed nor have
# mallopt: the next test shows that nothing happens there.
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="other C libraries return what was freed by themselves")
def test_memory_that_was_freed_is_returned_to_the_system() -> None:
    kept, returned = (
        float(subprocess.run([sys.executable, "-c", _FREEING, how], check=True, capture_output=True, text=True).stdout)
        for how in ("kept", "returned")
    )
    assert kept > 150
    assert returned < 50


def test_where_the_c_library_cannot_be_told_nothing_happens(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on musl, whose library has no mallopt."""

    class WithoutMallopt:
        """A C library of which nothing is known."""

    monkeypatch.setattr("ctypes.CDLL", lambda _: WithoutMallopt())
    server.return_freed_memory()
