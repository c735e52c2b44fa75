import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from genome_pipeline.alerts import WEBHOOK_VARIABLE, send_alert
from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import AlertSettings


def test_nobody_is_told_until_someone_is_named() -> None:
    send_alert(AlertSettings(), "subject", "text")


def test_a_command_gets_the_message_as_its_input(tmp_path: Path) -> None:
    told = tmp_path / "told"
    send_alert(AlertSettings(command=("tee", str(told))), "refresh failed", "check contract failed")
    assert told.read_text(encoding="utf-8") == "refresh failed\ncheck contract failed\n"


def test_a_webhook_gets_text_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    bodies: list[dict[str, str]] = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    monkeypatch.setenv(WEBHOOK_VARIABLE, f"http://127.0.0.1:{server.server_port}/secret")
    send_alert(AlertSettings(), "refresh failed", "why")
    thread.join()
    server.server_close()
    assert bodies == [{"text": "refresh failed\nwhy"}]


def test_what_did_not_work_is_named_without_its_secret_and_the_others_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = tmp_path / "told"
    monkeypatch.setenv(WEBHOOK_VARIABLE, "http://127.0.0.1:1/secret")
    with pytest.raises(ConfigError, match=r"not taken by GENOME_ALERT_WEBHOOK \(URLError\)") as raised:
        send_alert(AlertSettings(command=("tee", str(told))), "subject", "text")
    assert "secret" not in str(raised.value)
    assert told.exists()
