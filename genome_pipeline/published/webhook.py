"""Posting to a webhook: over verified TLS only, and to no other address than the one given."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Mapping
from typing import Any

from genome_pipeline.errors import ConfigError

TIMEOUT_SECONDS = 30


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """Follow no redirect: it may lead to somebody else, or to a connection without TLS."""

    def redirect_request(self, *_: Any) -> None:
        raise ConfigError("it answers with a redirect, which is not followed: give the address it leads to")


def post(url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Post JSON. Raises :class:`ConfigError` for a URL without TLS or a redirect, and :class:`OSError` otherwise."""
    if not url.startswith("https://"):
        raise ConfigError("it is no https:// URL")
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", **headers})  # noqa: S310
    verified = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    urllib.request.build_opener(verified, _NoRedirects).open(request, timeout=TIMEOUT_SECONDS).close()
