"""Keyed hashes of customer ids: pseudonyms, which replace ids in tables, and marks of forgotten customers.

Both are HMAC-SHA256 (RFC 2104) of the id in UTF-8, as hex digits. A pseudonym uses the key itself and is cut to 128
bits, so that others who have the key can compute it. A mark uses a key derived from it, so that it differs from the
pseudonym. Without the key, ids can neither be read from these hashes nor found by trying.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from functools import cached_property

KEY_VARIABLE = "GENOME_PRIVACY__KEY"
HOW_TO_MAKE_A_KEY = (
    f'make one with `python -c "import secrets; print(secrets.token_hex(32))"`, keep it safe, and set {KEY_VARIABLE}'
    " to it"
)
FORGOTTEN_FILE = "forgotten_customers.csv"
"""Name of the list of forgotten customers, in the home."""

LEAST_KEY_LENGTH = 32
"""Least length of a key in characters: 16 random bytes in hex."""

LEAST_KEY_CHARACTERS = 8
"""Least number of different characters; 32 random hex digits have fewer once in twenty million keys."""

_PSEUDONYM_LENGTH = 32
_BLOCK_BYTES = 64  # block size of SHA-256


_OTHERS_BITS = 0o077


def keep_to_owner() -> None:
    """Let every file and folder that this process and its children create be accessible to their owner only."""
    os.umask(_OTHERS_BITS)


class PrivacyKey:
    """The key from the environment. It has no text form, so that no message can show it."""

    def __init__(self, secret: str) -> None:
        self._key = secret.encode()
        self._marking_key = hmac.digest(self._key, b"\0forgotten customers", "sha256")

    @cached_property
    def fingerprint(self) -> str:
        """Eight hex digits by which a warehouse recognises its key."""
        return hmac.digest(self._key, b"\0fingerprint", "sha256").hex()[:8]

    def pseudonym(self, customer_id: str) -> str:
        """The customer's id in every table: 32 hex digits."""
        return hmac.digest(self._key, customer_id.encode(), "sha256").hex()[:_PSEUDONYM_LENGTH]

    def forgotten_mark(self, customer_id: str) -> str:
        """The mark that identifies a forgotten customer when the source brings them again: 64 hex digits."""
        return hmac.digest(self._marking_key, customer_id.encode(), "sha256").hex()

    @property
    def audit_key(self) -> bytes:
        """The key of customers' marks in the audit log, which are neither pseudonyms nor marks of forgotten ones."""
        return hmac.digest(self._key, b"\0audit log", "sha256")

    @property
    def query_values(self) -> dict[str, bytes]:
        """Parameters of :func:`pseudonym_sql` and :func:`forgotten_mark_sql`; bound, never part of a statement."""
        pads = {}
        for name, key in (("pseudonym", self._key), ("mark", self._marking_key)):
            block = (hashlib.sha256(key).digest() if len(key) > _BLOCK_BYTES else key).ljust(_BLOCK_BYTES, b"\0")
            pads[f"{name}_outer"] = bytes(byte ^ 0x5C for byte in block)
            pads[f"{name}_inner"] = bytes(byte ^ 0x36 for byte in block)
        return pads


def pseudonym_sql(customer_id: str) -> str:
    """SQL for :meth:`PrivacyKey.pseudonym` of a column, in DuckDB."""
    return f"left({_hmac_sql('pseudonym', customer_id)}, {_PSEUDONYM_LENGTH})"


def forgotten_mark_sql(customer_id: str) -> str:
    """SQL for :meth:`PrivacyKey.forgotten_mark` of a column, in DuckDB."""
    return _hmac_sql("mark", customer_id)


def _hmac_sql(name: str, text: str) -> str:
    return f"sha256(${name}_outer || unhex(sha256(${name}_inner || encode({text}))))"
