"""The HTTP server of the dashboard: waitress, with limits to what anyone may ask of it, before and after a login.

Its main thread reads requests and sends answers, so that a slow visitor holds no thread of those that make pages.
"""

from __future__ import annotations

import ctypes
import logging
from contextlib import suppress
from typing import Any

import flask
from waitress import create_server
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer

from genome_pipeline.errors import ConfigError

MOST_BODY_BYTES = 1_000_000
"""Of a request: callbacks send a link and a few choices."""

_MOST_HEADER_BYTES = 100_000
_MOST_CONNECTIONS = 500
_REQUEST_SECONDS = 30
"""How long a request may take to arrive, or an answer may stand still on its way."""

_CLEANUP_SECONDS = 5
_THREADS = 16  # more than exports can wait in: see exports.HELD_AT_ONCE


_M_MMAP_THRESHOLD = -3
_BLOCK_BYTES = 131_072


def return_freed_memory() -> None:
    """Have memory that DuckDB frees returned to the system at once, for this process.

    DuckDB allocates blocks of 256 kB. Once one was freed, glibc takes more from heaps that it keeps: the peak of
    an export and of the pages beside it was 100 MB higher. Elsewhere than on glibc this does nothing.
    """
    with suppress(AttributeError, OSError, TypeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _BLOCK_BYTES)


class _Channel(HTTPChannel):  # type: ignore[misc]
    """A connection on which a request that arrives bit by bit does not count as activity."""

    last_activity: float

    def handle_read(self) -> None:
        """Read what has come; the time a request may take starts with its first byte."""
        began = self.last_activity if self.request is not None else None
        super().handle_read()
        if began is not None and self.request is not None:
            self.last_activity = began


class Server:
    """``application`` at ``host`` and ``port`` (0: any free one), until interrupted.

    Raises :class:`ConfigError` where it cannot listen there.
    """

    def __init__(self, application: flask.Flask, host: str, port: int) -> None:
        # It tells of requests that failed by their URLs, which name customers.
        logging.getLogger("waitress").setLevel(logging.CRITICAL)
        sockets: dict[int, Any] = {}
        try:
            self._server = create_server(
                application,
                map=sockets,
                host=host,
                port=port,
                ident=None,
                threads=_THREADS,
                connection_limit=_MOST_CONNECTIONS,
                channel_timeout=_REQUEST_SECONDS,
                cleanup_interval=_CLEANUP_SECONDS,
                max_request_body_size=MOST_BODY_BYTES,
                max_request_header_size=_MOST_HEADER_BYTES,
                asyncore_use_poll=True,
                # What a proxy says of the visitor's side is read by the application, where it asks for a login.
                clear_untrusted_proxy_headers=False,
            )
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"the dashboard cannot listen on {host}, port {port} ({error}): end what does, or name another --port"
            ) from None
        for listening in list(sockets.values()):
            if isinstance(listening, TcpWSGIServer):
                listening.channel_class = _Channel
                self.port = int(listening.effective_port)

    def run(self) -> None:
        """Serve until :class:`KeyboardInterrupt` or :class:`SystemExit`; waits some seconds for what is being made."""
        self._server.run()
