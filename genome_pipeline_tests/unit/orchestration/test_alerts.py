import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from genome_pipeline.errors import ConfigError
from genome_pipeline.orchestration.alerts import SMTP_PASSWORD_VARIABLE, WEBHOOK_VARIABLE, digest, send_alert
from genome_pipeline.settings import AlertSettings
from genome_pipeline_tests.support.webhooks import context_of, hook, make_certificate


def test_nobody_is_told_until_someone_is_named() -> None:
    send_alert(AlertSettings(), "subject", "text")


def test_a_command_gets_the_message_as_its_input(tmp_path: Path) -> None:
    told = tmp_path / "told"
    send_alert(AlertSettings(command=("tee", str(told))), "refresh failed", "check contract failed")
    assert told.read_text(encoding="utf-8") == "refresh failed\ncheck contract failed\n"


def test_a_command_is_not_handed_the_secrets_of_the_pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = tmp_path / "told"
    for name in ("GENOME_PRIVACY__KEY", SMTP_PASSWORD_VARIABLE, "GENOME_HOME", "DAGSTER_POSTGRES_URL", "PGPASSWORD"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("OWN_TOKEN", "mine")
    show = f"import os; open({str(told)!r}, 'w').write(' '.join(os.environ))"
    send_alert(AlertSettings(command=(sys.executable, "-c", show)), "subject", "text")
    handed = told.read_text(encoding="utf-8").split()
    assert {"PATH", "GENOME_HOME", "OWN_TOKEN"} <= set(handed)
    assert not {"GENOME_PRIVACY__KEY", SMTP_PASSWORD_VARIABLE, "DAGSTER_POSTGRES_URL", "PGPASSWORD"} & set(handed)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def test_a_webhook_gets_text_as_json(monkeypatch: pytest.MonkeyPatch, certificate: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with hook(certificate) as (url, posted):
        monkeypatch.setenv(WEBHOOK_VARIABLE, url)
        send_alert(AlertSettings(), "refresh failed", "why")
    assert [each.message for each in posted] == [{"text": "refresh failed\nwhy"}]


def test_a_webhook_whose_certificate_nobody_vouches_for_is_not_posted_to(
    monkeypatch: pytest.MonkeyPatch, certificate: Path
) -> None:
    with hook(certificate) as (url, posted):
        monkeypatch.setenv(WEBHOOK_VARIABLE, url)
        with pytest.raises(ConfigError, match=r"not taken by GENOME_ALERT_WEBHOOK \(URLError\)"):
            send_alert(AlertSettings(), "subject", "text")
    assert posted == []


def test_a_webhook_that_redirects_is_not_followed(monkeypatch: pytest.MonkeyPatch, certificate: Path) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with hook(certificate) as (other, others), hook(certificate, moved_to=other) as (url, _):
        monkeypatch.setenv(WEBHOOK_VARIABLE, url)
        with pytest.raises(ConfigError, match="answers with a redirect, which is not followed"):
            send_alert(AlertSettings(), "subject", "text")
    assert others == []


def test_a_webhook_without_tls_is_named_without_its_secret_and_the_others_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    monkeypatch.setenv(WEBHOOK_VARIABLE, "http://127.0.0.1:1/secret")
    with pytest.raises(ConfigError, match=r"not taken by GENOME_ALERT_WEBHOOK \(it is no https:// URL\)") as raised:
        send_alert(AlertSettings(command=("tee", str(told))), "subject", "text")
    assert "secret" not in str(raised.value)
    assert told.exists()


@contextmanager
def mail_server(certificate: Path) -> Iterator[tuple[int, list[str]]]:
    """The port of a mail server with its own certificate, and all that it was told."""
    lines: list[str] = []
    listener = socket.create_server(("localhost", 0))

    def serve() -> None:
        connection, _ = listener.accept()
        stream = connection.makefile("rwb")

        def say(text: str) -> None:
            stream.write(f"{text}\r\n".encode())
            stream.flush()

        say("220 localhost")
        try:
            while line := stream.readline().decode().strip():
                lines.append(line)
                match line.split()[0].upper():
                    case "EHLO":
                        say("250-localhost\r\n250-STARTTLS\r\n250 AUTH PLAIN")
                    case "STARTTLS":
                        say("220 go on")
                        connection = context_of(certificate).wrap_socket(connection, server_side=True)
                        stream = connection.makefile("rwb")
                    case "AUTH":
                        say("235 ok")
                    case "DATA":
                        say("354 go on")
                        while (text := stream.readline().decode().strip()) != ".":
                            lines.append(text)
                        say("250 ok")
                    case "QUIT":
                        say("221 bye")
                        return
                    case _:
                        say("250 ok")
        except OSError:
            pass  # the client does not trust the certificate
        finally:
            connection.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listener.getsockname()[1], lines
    finally:
        listener.close()
        thread.join()


@pytest.mark.parametrize("is_trusted", [True, False])
def test_mail_goes_to_a_server_that_someone_vouches_for_and_no_password_to_another(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, is_trusted: bool
) -> None:
    monkeypatch.setenv(SMTP_PASSWORD_VARIABLE, "secret")
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with mail_server(certificate) as (port, lines):
        mail = AlertSettings(mail_to="team@example.com", smtp_port=port, smtp_user="genome")
        if is_trusted:
            send_alert(mail, "refresh failed", "why")
            assert "why" in lines
        else:
            with pytest.raises(ConfigError, match=r"not taken by alerts.mail_to \(SSLCertVerificationError\)"):
                send_alert(mail, "refresh failed", "why")
    assert any(line.startswith("AUTH") for line in lines) is is_trusted


def test_a_digest_names_what_a_person_should_know() -> None:
    warnings = [{"table_name": "customer_activity", "observed": f"warning {number}"} for number in range(25)]
    assert digest([], None) is None
    assert digest(warnings[:1], "check drift failed") == (
        "published by force, although check drift failed\ncustomer_activity: warning 0"
    )
    assert (digest(warnings, None) or "").endswith("customer_activity: warning 19\nand 5 more warnings")
