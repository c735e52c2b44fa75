"""The audit log: what the dashboard writes, and what `genome audit` reads."""

from __future__ import annotations

import json
import threading
from datetime import date
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from typer.testing import CliRunner

from genome_pipeline.command.cli import app
from genome_pipeline.dashboard.app import create_app
from genome_pipeline.dashboard.audit import AuditLog
from genome_pipeline.dashboard.security import Access
from genome_pipeline.errors import ConfigError
from genome_pipeline.privacy import PrivacyKey
from genome_pipeline_tests.support.published_file import HOSTILE_ID, build_published_file

PASSWORD, TOKEN = "correct horse battery", "token-of-32-characters-0123456789"
BASE = "https://localhost"


@pytest.fixture(scope="module")
def published_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_published_file(tmp_path_factory.mktemp("published") / "genome.duckdb", customer_count=20)


@pytest.fixture
def log(tmp_path: Path) -> AuditLog:
    made = AuditLog(tmp_path / "audit", None)
    made.prepare()
    return made


def _events(log: AuditLog) -> list[str]:
    return [entry["event"] for entry in log.entries()]


def test_who_saw_what_is_recorded_and_no_customer_is_named(published_path: Path, log: AuditLog) -> None:
    server = create_app(published_path, Access(PASSWORD, TOKEN), log).server
    client: FlaskClient = server.test_client()
    client.get("/", headers={"Authorization": "Bearer wrong"})
    client.post("/login", data={"secret": "wrong"}, base_url=BASE)
    client.post("/login", data={"secret": PASSWORD}, base_url=BASE, headers={"X-Forwarded-For": "10.0.0.7\x1b[2J"})
    client.get("/customer?customer_id=C0010", base_url=BASE)
    client.get("/similar?id=C0010&id=C0011", base_url=BASE)
    client.get("/audience?where=customer_id:in:C0010,C0011&where=spend_amount:ge:1", base_url=BASE)
    client.get("/export/audience.csv?where=customer_id:eq:C0012&columns=customer_id,action", base_url=BASE)
    client.post("/logout", base_url=BASE)
    entries = list(log.entries())
    events = ["wrong_secret", "wrong_secret", "log_in", "page", "page", "page", "export", "log_out"]
    assert [entry["event"] for entry in entries] == events
    assert [entry.get("secret") for entry in entries[:2]] == ["token", "password"]
    assert entries[2]["forwarded_for"] == "10.0.0.7[2J"
    session = entries[2]["who"]
    assert session.startswith("session ")
    assert {entry.get("who") for entry in entries[:2]} == {None}
    assert {entry["who"] for entry in entries[2:]} == {session}
    assert {entry["address"] for entry in entries} == {"127.0.0.1"}
    assert [entry.get("page") for entry in entries[3:6]] == ["/customer", "/similar", "/audience"]
    assert entries[4]["customers"][0] == entries[3]["customers"][0] != entries[4]["customers"][1]
    assert entries[5]["filters"] == ["customer_id", "spend_amount"]
    exported = {name: entries[6][name] for name in ("kind", "row_count", "columns", "filters")}
    assert exported == {
        "kind": "csv",
        "row_count": 1,
        "columns": ["customer_id", "action"],
        "filters": ["customer_id"],
    }
    written = next(log.folder.glob("*.jsonl")).read_text(encoding="utf-8")
    assert not any(text in written for text in ("C0010", "C0011", "C0012", PASSWORD, TOKEN, "wrong\n"))


def test_a_link_of_many_names_does_not_hide_whom_it_shows(published_path: Path, log: AuditLog) -> None:
    client: FlaskClient = create_app(published_path, audit=log).server.test_client()
    nobody = "&".join(["id=nobody"] * 500)
    for link in (f"/customer?{nobody}&customer_id=C0010", f"/customer?{nobody}&customer_id=x&customer_id=C0010"):
        assert "customer-name" in client.get(link).text
    assert "C0010" in client.get(f"/similar?{nobody}&id=C0010").text
    assert len(list(log.entries(customer_id="C0010"))) == 3
    # An id on a page that does not read it is of nobody shown.
    client.get("/risk?customer_id=C0010")
    assert len(list(log.entries(customer_id="C0010"))) == 3


def test_whoever_is_at_the_machine_is_recorded_too_and_callbacks(published_path: Path, log: AuditLog) -> None:
    client: FlaskClient = create_app(published_path, audit=log).server.test_client()
    client.get("/customer?customer_id=C0010")
    client.get("/assets/favicon.svg")
    client.get("/no-such-page")
    body = {
        "output": "customer-search.data",
        "outputs": {"id": "customer-search", "property": "data"},
        "inputs": [{"id": "customer-search", "property": "searchValue", "value": "C00"}],
        "state": [{"id": "url", "property": "search", "value": ""}],
    }
    client.post("/_dash-update-component", json=body)
    assert _events(log) == ["page", "search"]
    assert {entry["who"] for entry in log.entries()} == {"this machine"}


def test_the_log_is_its_owners_alone(log: AuditLog) -> None:
    log.record("page", ["C0010"])
    assert log.folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in log.folder.iterdir()} == {0o600}


def test_entries_are_found_by_day_and_by_customer_whatever_key_marked_them(tmp_path: Path, log: AuditLog) -> None:
    log.record("page", [HOSTILE_ID, "C0010"], page="/similar")
    log.record("page", ["C0011"], page="/customer")
    keyed = AuditLog(log.folder, PrivacyKey("0123456789abcdef" * 4).audit_key)
    keyed.prepare()
    keyed.record("export", ["C0010"])
    assert [entry["event"] for entry in keyed.entries(customer_id="C0010")] == ["page", "export"]
    assert [entry["event"] for entry in log.entries(customer_id="C0010")] == ["page"]
    assert [entry["page"] for entry in log.entries(customer_id=HOSTILE_ID)] == ["/similar"]
    assert list(log.entries(customer_id="nobody")) == []
    (log.folder / "2024-02.jsonl").write_text('{"at": "2024-02-03T04:05:06+00:00", "event": "log_in"}\n{"at": "20')
    assert _events(log) == ["log_in", "page", "page", "export"]
    assert [entry["event"] for entry in log.entries(since=date(2024, 2, 4))] == ["page", "page", "export"]
    assert next(log.entries(since=date(2024, 2, 3)))["event"] == "log_in"


def test_lines_written_at_once_do_not_mix(log: AuditLog) -> None:
    def write(number: int) -> None:
        for turn in range(50):
            log.record("page", [f"C{turn}"] * 20, number=number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = next(log.folder.glob("*.jsonl")).read_text(encoding="utf-8").splitlines()
    assert len([json.loads(line) for line in lines]) == 400


def test_a_log_that_cannot_be_written_stops_the_start_and_no_page_later(published_path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(
        ConfigError, match=r"the audit log in .* cannot be written \(Not a directory\): make it writable"
    ):
        AuditLog(tmp_path / "file" / "audit", None).prepare()
    log = AuditLog(tmp_path / "audit", None)
    log.prepare()
    client: FlaskClient = create_app(published_path, audit=log).server.test_client()
    for path in log.folder.iterdir():
        path.unlink()
    log.folder.rmdir()
    assert client.get("/").status_code == 200
    assert not log.folder.exists()


def test_the_command_reads_it(tmp_path: Path) -> None:
    config = tmp_path / "genome.toml"
    config.write_text(
        '[source]\npath = "x.csv"\ncolumns = {customer_id = "a", ordered_at = "b"}\n[calendar]\nstart = 2017-01-01\n'
    )
    log = AuditLog(tmp_path / "home" / "audit", None)
    environment = {"GENOME_HOME": str(tmp_path / "home"), "COLUMNS": "200"}

    def told(*options: str) -> str:
        done = CliRunner().invoke(app, ["audit", "--config", str(config), *options], env=environment)
        assert done.exit_code == 0, done.output
        return done.output

    assert told().startswith("0 entries in ")
    log.prepare()
    log.record("page", ["C0010"], who="session 1f", address="10.0.0.1", forwarded_for="10.9.9.9", page="/customer")
    log.record("export", who="token", address="10.0.0.2", kind="csv", row_count=7, columns=["customer_id", "action"])
    assert "session 1f" in told()
    assert "10.0.0.1 for 10.9.9.9" in told()
    assert "kind csv, row_count 7, columns customer_id action" in told()
    found = json.loads(told("--customer", "C0010", "--json"))["entries"]
    assert [(entry["event"], entry["page"]) for entry in found] == [("page", "/customer")]
    assert json.loads(told("--since", "2999-01-01", "--json"))["entries"] == []
