"""Section ``[audiences]``: the webhooks that are told who came into an audience, and who left it."""

from __future__ import annotations

import base64
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from genome_pipeline.settings.section import Section

_SHORTEST_KEY = 24  # bytes, as Standard Webhooks ask for

SECRET_VARIABLE = "GENOME_AUDIENCES__SECRET"  # noqa: S105
HOW_TO_MAKE_A_SECRET = (
    "make one with `python -c \"import base64, secrets; print('whsec_' +"
    f' base64.b64encode(secrets.token_bytes(32)).decode())"`, give it to the receiver, and set {SECRET_VARIABLE} to it'
)


class AudienceSettings(Section):
    """Where changes of audiences are sent after each publication. The secret comes from the environment only."""

    webhooks: dict[str, SecretStr] = Field(default={}, description="Rule of the playbook -> https URL.")
    secret: SecretStr | None = Field(default=None, description="Signs the messages, as Standard Webhooks have it.")

    @field_validator("webhooks")
    @classmethod
    def _over_tls(cls, webhooks: dict[str, SecretStr]) -> dict[str, SecretStr]:
        for rule, url in webhooks.items():
            parts = urlsplit(url.get_secret_value())
            if parts.scheme != "https" or not parts.hostname:
                raise ValueError(f"that of {rule} is no https:// URL; customer ids are sent over TLS only")
            if parts.username is not None:
                raise ValueError(f"that of {rule} holds a user; take it out, messages are signed instead")
        return webhooks

    @field_validator("secret")
    @classmethod
    def _as_standard_webhooks(cls, secret: SecretStr | None) -> SecretStr | None:
        if secret is not None:
            try:
                key = _signing_key(secret)
            except ValueError:
                raise ValueError(f"is no secret of Standard Webhooks; {HOW_TO_MAKE_A_SECRET}") from None
            if len(key) < _SHORTEST_KEY:
                raise ValueError(f"has fewer than {_SHORTEST_KEY} bytes; {HOW_TO_MAKE_A_SECRET}")
        return secret

    @model_validator(mode="after")
    def _signed(self) -> AudienceSettings:
        if self.webhooks and self.secret is None:
            raise ValueError(f"webhooks need a secret in the environment; {HOW_TO_MAKE_A_SECRET}")
        return self

    @property
    def signing_key(self) -> bytes:
        """The key of the signatures. Raises :class:`ValueError` without a secret."""
        if self.secret is None:
            raise ValueError("there is no secret")
        return _signing_key(self.secret)


def _signing_key(secret: SecretStr) -> bytes:
    return base64.b64decode(secret.get_secret_value().removeprefix("whsec_"), validate=True)
