"""Telling webhooks who came into an audience and who left it, as [audiences] of the config says.

Messages follow Standard Webhooks (standardwebhooks.com): ``webhook-id`` is the same however often one message is sent,
``webhook-signature`` is ``v1,`` and the HMAC-SHA256, in base64, of ``id.timestamp.body``.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError

from filelock import FileLock, Timeout

from genome_pipeline.errors import ConfigError, TransientError, not_found
from genome_pipeline.published.experiments import check_draws_are_published
from genome_pipeline.published.reader import Published
from genome_pipeline.published.webhook import post
from genome_pipeline.settings import Settings
from genome_pipeline.warehouse.audience_record import AudienceRecord, Changes

_MOST_CUSTOMERS = 1_000
"""Of one message."""

_PAUSES_SECONDS = (1.0, 5.0, 25.0)
_WORTH_ANOTHER_TRY = (408, 425, 429)  # and every fault of the server's own, from 500 on
_WAIT_SECONDS = 600.0


def send_changes(settings: Settings, rule: str | None = None) -> list[dict[str, Any]]:
    """Tell the webhooks, or that of one rule, how the published audiences differ from what they were told before.

    A first message has the whole audience. Whoever an experiment leaves alone is in no audience, and is told of as gone
    if they were in one before. A message counts as told once the webhook has taken it, so that what it does not take is
    sent by the next call. Returns for each audience its name, ``in_count``, ``out_count`` and ``message_count``. Raises
    :class:`ConfigError` where nothing is configured or published, for a rule that is not in the published file, and,
    after all were tried, naming the webhooks that did not take a message.
    """
    webhooks = settings.audiences.webhooks
    if not webhooks:
        raise ConfigError("no audience has a webhook: name one under [audiences], as in examples/genome.toml")
    if rule is not None and rule not in webhooks:
        raise not_found("webhook", rule, [*webhooks])
    check_draws_are_published(settings)
    with Published(settings.published_path) as published:
        rules = {row["action_rule"] for row in published.rows("SELECT action_rule FROM action_audiences")}
    facts, failures = [], []
    with sending_alone(settings.home):
        for name in webhooks if rule is None else [rule]:
            told: dict[str, Any] = {"audience": name, "in_count": 0, "out_count": 0, "message_count": 0}
            facts.append(told)
            try:
                if name not in rules:
                    raise ConfigError("what is published has no such rule yet: use `genome run` first")
                for changes in _sent(settings, name):
                    came = sum(change.is_in for change in changes.customers)
                    told["in_count"] += came
                    told["out_count"] += len(changes.customers) - came
                    told["message_count"] += 1
            except ConfigError as error:
                failures.append(f"{name} ({error})")
    if failures:
        raise ConfigError(
            f"not all changes of audiences were taken by the webhook of {' and '.join(failures)}: what is left is sent"
            " with the next publication, or by `genome audience --send`"
        )
    return facts


def _sent(settings: Settings, rule: str) -> Iterator[Changes]:
    """Messages about the audience, as they are taken; each says how it stands in the file published by then."""
    action = next(each.action for each in settings.actions.rules if each.name == rule)
    record = AudienceRecord.beside(settings.warehouse_path)
    while (changes := record.next_changes(settings.published_path, rule, _MOST_CUSTOMERS)).customers:
        _deliver(settings, rule, _body(rule, action, changes))
        record.confirm(rule, changes)
        yield changes


def _body(rule: str, action: str, changes: Changes) -> bytes:
    message = {
        "type": "audience.changed",
        "audience": rule,
        "action": action,
        "as_of": str(changes.as_of),
        "number": changes.number,
        "in": [
            {"customer_id": change.customer_id, "is_for_review": change.is_for_review}
            for change in changes.customers
            if change.is_in
        ],
        "out": [{"customer_id": change.customer_id} for change in changes.customers if not change.is_in],
    }
    return json.dumps(message, ensure_ascii=False).encode()


def _deliver(settings: Settings, rule: str, body: bytes) -> None:
    """Post until it is taken. Raises :class:`ConfigError`, without the URL, which may be a secret."""
    url, secret = settings.audiences.webhooks[rule].get_secret_value(), settings.audiences.signing_key
    message_id = f"msg_{hashlib.sha256(body).hexdigest()[:32]}"
    for pause in (*_PAUSES_SECONDS, None):
        try:
            post(url, body, _signed(secret, message_id, body))
        except HTTPError as error:
            reason, is_final = f"HTTP {error.code}", error.code < 500 and error.code not in _WORTH_ANOTHER_TRY
        except (OSError, HTTPException) as error:
            cause = error.reason if isinstance(error, URLError) else error
            reason, is_final = type(cause).__name__, False
        else:
            return
        if is_final or pause is None:
            raise ConfigError(reason)
        time.sleep(pause)


def _signed(secret: bytes, message_id: str, body: bytes) -> dict[str, str]:
    moment = str(int(time.time()))
    signature = hmac.digest(secret, b".".join([message_id.encode(), moment.encode(), body]), "sha256")
    return {
        "webhook-id": message_id,
        "webhook-timestamp": moment,
        "webhook-signature": f"v1,{base64.b64encode(signature).decode()}",
    }


@contextmanager
def sending_alone(home: Path) -> Iterator[None]:
    """Meanwhile no other process tells webhooks. Raises :class:`TransientError` if one does for over ten minutes."""
    try:
        with FileLock(home / "audiences.lock", timeout=_WAIT_SECONDS):
            yield
    except Timeout:
        raise TransientError("another process is still sending audiences: let it end, then send again") from None
