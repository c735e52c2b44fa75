"""Who is let in, what headers say, what parameters cannot do, and what the log does not tell."""

from __future__ import annotations

import json
import logging
import os
import shutil
import threading
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import quote, urlencode

import duckdb
import pytest
from flask.testing import FlaskClient

from genome_pipeline.command.cli import main
from genome_pipeline.dashboard import app, security
from genome_pipeline.dashboard.app import PAGES, create_app
from genome_pipeline.dashboard.kit.request import parameters_of
from genome_pipeline.dashboard.security import Access, Guesses, Sessions
from genome_pipeline.dashboard.server import MOST_BODY_BYTES, Server
from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import DashboardSettings, load_settings
from genome_pipeline_tests.support.published_file import HOSTILE_ID, SNAPSHOTS, build_published_file

PASSWORD, TOKEN = "correct horse battery", "token-of-32-characters-0123456789"
CONFIG = '[source]\npath = "x.csv"\ncolumns = {customer_id = "a", ordered_at = "b"}\n[calendar]\nstart = 2017-01-01\n'


@pytest.fixture
def guarded(published_path: Path) -> FlaskClient:
    client: FlaskClient = create_app(published_path, Access(PASSWORD, TOKEN)).server.test_client()
    return client


@pytest.fixture(scope="module")
def client(published_path: Path) -> FlaskClient:
    tested: FlaskClient = create_app(published_path).server.test_client()
    return tested


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("index.html", 200),
        ("customer_risk.html", 200),
        ("own-nothing.html", 404),
        ("notes.txt", 404),
        ("..%2Fsummary.json", 404),
        ("%2e%2e/summary.json", 404),
        ("link.html", 404),
    ],
)
def test_data_docs_are_served_to_whom_is_let_in_and_nothing_beside_them(
    published_path: Path, tmp_path: Path, path: str, status: int
) -> None:
    docs = tmp_path / "docs"
    docs.mkdir()
    (tmp_path / "summary.json").write_text("SECRET")
    (tmp_path / "secret.html").write_text("SECRET")
    (docs / "link.html").symlink_to(tmp_path / "secret.html")
    for name in ("index.html", "customer_risk.html", "notes.txt"):
        (docs / name).write_text("a page")
    open_to_all = create_app(published_path, data_docs_path=docs).server.test_client()
    answer = open_to_all.get(f"/data-docs/{path}")
    assert "SECRET" not in answer.text
    # A path with more parts is a link to a page of the dashboard, which does not exist.
    assert answer.status_code == status or "/" in answer.request.path.removeprefix("/data-docs/")
    guarded = create_app(published_path, Access(PASSWORD, TOKEN), data_docs_path=docs).server.test_client()
    assert guarded.get(f"/data-docs/{path}").status_code == 302
    assert guarded.get("/data-docs/index.html", headers={"Authorization": f"Bearer {TOKEN}"}).text == "a page"


def test_without_data_docs_a_sentence_says_what_writes_them(client: FlaskClient) -> None:
    answer = client.get("/data-docs/index.html")
    assert (answer.status_code, "the next `genome run` writes them" in answer.text) == (404, True)


def _page_request(client: FlaskClient, pathname: str, search: str = "", **arguments: Any) -> Any:
    outputs = [
        "page.children",
        "navigation.children",
        "snapshot-tools.children",
        "page-title.data",
        "shown-version.data",
    ]
    return client.post(
        "/_dash-update-component",
        json={
            "output": f"..{'...'.join([*outputs, 'publish-notice.hidden'])}..",
            "outputs": [
                {"id": name.split(".")[0], "property": name.split(".")[1]}
                for name in (*outputs, "publish-notice.hidden")
            ],
            "inputs": [
                {"id": "url", "property": "pathname", "value": pathname},
                {"id": "url", "property": "search", "value": search},
                {"id": "provider", "property": "forceColorScheme", "value": "light"},
                {"id": "show-publish", "property": "n_clicks", "value": 0},
            ],
            "changedPropIds": ["url.pathname"],
        },
        **arguments,
    )


# Who is let in


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.3.2.1"])
def test_this_machine_needs_no_password(host: str) -> None:
    assert Access.to(host, DashboardSettings()).is_open


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_another_host_is_refused_without_a_password_or_a_token(host: str) -> None:
    with pytest.raises(ConfigError, match="GENOME_DASHBOARD__PASSWORD or"):
        Access.to(host, DashboardSettings())
    assert not Access.to(host, DashboardSettings(password=PASSWORD)).is_open
    assert not Access.to(host, DashboardSettings(token=TOKEN)).is_open


def test_the_command_refuses_it_in_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "genome.toml"
    config.write_text(CONFIG)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
        patch.setattr("sys.argv", ["genome", "dashboard", "--config", str(config), "--host", "0.0.0.0"])
        patch.setenv("GENOME_HOME", str(tmp_path))
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.strip().count("\n") == 0


def test_secrets_come_from_the_environment_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path / "genome.toml"
    config.write_text(CONFIG)
    monkeypatch.setenv("GENOME_DASHBOARD__PASSWORD", PASSWORD)
    settings = load_settings(config)
    assert settings.dashboard.password is not None
    assert settings.dashboard.password.get_secret_value() == PASSWORD
    assert PASSWORD not in repr(settings) + settings.model_dump_json()
    monkeypatch.setenv("GENOME_DASHBOARD__PASSWORD", "short")
    with pytest.raises(ConfigError, match=r"dashboard\.password: is shorter than 12") as refused:
        load_settings(config)
    assert "'short'" not in str(refused.value)
    monkeypatch.delenv("GENOME_DASHBOARD__PASSWORD")
    config.write_text(f'{CONFIG}[dashboard]\npassword = "{PASSWORD}"\n')
    with pytest.raises(ConfigError, match="not for the file"):
        load_settings(config)


@pytest.mark.parametrize("path", ["/", "/customer?customer_id=C0010", "/export/audience.csv", "/_dash-layout"])
def test_without_a_token_nothing_is_shown(guarded: FlaskClient, path: str) -> None:
    answer = guarded.get(path)
    assert answer.status_code == (401 if path.startswith("/_") else 302)
    assert b"C0010" not in answer.data.replace(b"customer_id%3DC0010", b"")
    assert _page_request(guarded, "/customer", "?customer_id=C0010").status_code == 401


@pytest.mark.parametrize("header", ["Bearer wrong", f"Bearer {TOKEN}x", f"Basic {TOKEN}", "Bearer ", "nonsense"])
def test_a_wrong_token_is_refused(guarded: FlaskClient, header: str) -> None:
    assert guarded.get("/export/audience.csv", headers={"Authorization": header}).status_code in (302, 401)
    assert _page_request(guarded, "/", headers={"Authorization": header}).status_code == 401


def test_the_token_opens_everything(guarded: FlaskClient) -> None:
    header = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.get("/export/audience.csv", headers=header).data.startswith(b"# snapshot")
    assert _page_request(guarded, "/", headers=header).status_code == 200


def test_the_password_opens_a_session_with_a_secure_cookie(guarded: FlaskClient) -> None:
    base = "https://localhost"
    assert "That is not the password" in guarded.post("/login", data={"secret": "wrong"}, base_url=base).text
    assert guarded.get("/", base_url=base).status_code == 302
    opened = guarded.post("/login?next=/audience%3Ftop%3D10", data={"secret": PASSWORD}, base_url=base)
    assert (opened.status_code, opened.headers["Location"]) == (302, "/audience?top=10")
    cookie = opened.headers["Set-Cookie"]
    assert all(part in cookie for part in ("Secure", "HttpOnly", "SameSite=Lax"))
    assert guarded.get("/", base_url=base).status_code == 200
    assert _page_request(guarded, "/", base_url=base).status_code == 200


@pytest.mark.parametrize(
    "target",
    [
        *("https://example.org", "//example.org", "/\\example.org", "javascript:alert(1)"),
        *(
            "/\t/example.org",
            "/\n/example.org",
            "\t//example.org",
            "/\r\nSet-Cookie: a=b",
            "/ /example.org",
            "/\xa0x",
            "",
        ),
    ],
)
def test_a_login_leads_nowhere_else(guarded: FlaskClient, target: str) -> None:
    query = urlencode({"next": target})
    opened = guarded.post(f"/login?{query}", data={"secret": PASSWORD}, base_url="https://localhost")
    assert opened.headers["Location"] == "/"
    assert "example.org" not in guarded.get(f"/login?{query}", base_url="https://localhost").text


@pytest.mark.parametrize("path", ["/%0a", "/login%0a", "/login?next=/%0a", "/%09/example.org", "/export/%0a", "/%ff"])
def test_no_address_is_a_failure_of_the_server(guarded: FlaskClient, client: FlaskClient, path: str) -> None:
    assert guarded.get(path, base_url="https://localhost").status_code in (200, 302, 404)
    assert guarded.post(path, data={"secret": PASSWORD}, base_url="https://localhost").status_code in (302, 401, 405)
    assert client.get(path).status_code in (200, 404)


class _Clock:
    """A clock that is put on by hand."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_wrong_secrets_are_looked_at_ever_so_often_whoever_sends_them() -> None:
    clock = _Clock()
    guesses = Guesses(clock)
    assert [guesses.check(lambda: False) for _ in range(7)] == [False] * 5 + [None] * 2
    assert guesses.seconds_to_wait == 30
    # Not even the right one: it would tell that it is.
    assert guesses.check(lambda: True) is None
    clock.now += 29
    assert (guesses.check(lambda: True), guesses.seconds_to_wait) == (None, 1)
    clock.now += 1
    # A right one costs nothing, and gives none back.
    assert [guesses.check(lambda: True), guesses.check(lambda: True)] == [True, True]
    assert [guesses.check(lambda: False), guesses.check(lambda: False)] == [False, None]
    clock.now += 10_000
    assert [guesses.check(lambda: False) for _ in range(6)] == [False] * 5 + [None]


def test_many_wrong_secrets_at_once_are_counted_one_by_one() -> None:
    guesses = Guesses(_Clock())
    looked_at: list[bool | None] = []
    threads = [threading.Thread(target=lambda: looked_at.append(guesses.check(lambda: False))) for _ in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert looked_at.count(False) == 5


def test_guessing_a_token_keeps_nobody_from_the_form_nor_out_of_a_session(
    guarded: FlaskClient, caplog: pytest.LogCaptureFixture
) -> None:
    base = "https://localhost"
    assert guarded.post("/login", data={"secret": PASSWORD}, base_url=base).status_code == 302
    stranger = guarded.application.test_client()
    with caplog.at_level(logging.WARNING):
        answers = [stranger.get("/", headers={"Authorization": f"Bearer guess-{turn}"}) for turn in range(8)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 3
    assert 0 < int(answers[-1].headers["Retry-After"]) <= 30
    assert "Too many wrong secrets were tried lately" in answers[-1].text
    assert caplog.messages == ["a wrong token was given from 127.0.0.1"] * 5
    assert stranger.get("/", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 429
    assert guarded.get("/", base_url=base).status_code == 200
    assert stranger.post("/login", data={"secret": PASSWORD}, base_url=base).status_code == 302


def test_guesses_in_the_form_are_limited_too(guarded: FlaskClient) -> None:
    base = "https://localhost"
    tried = [guarded.post("/login", data={"secret": f"guess-{turn}"}, base_url=base) for turn in range(6)]
    assert [answer.status_code for answer in tried] == [401] * 5 + [429]
    assert "Too many wrong secrets" in tried[-1].text
    assert guarded.post("/login", data={"secret": PASSWORD}, base_url=base).status_code == 429


def test_a_session_ends_by_itself_and_by_logging_out_wherever_its_cookie_is() -> None:
    clock = _Clock()
    sessions = Sessions(clock)
    name, other = sessions.begin(), sessions.begin()
    assert sessions.holds(name)
    assert not sessions.holds(None)
    assert not sessions.holds("made-up")
    clock.now += security.SESSION_SECONDS - 1
    assert sessions.holds(name)
    sessions.end(name)
    assert (sessions.holds(name), sessions.holds(other)) == (False, True)
    clock.now += 1
    assert not sessions.holds(other)


def test_logging_out_ends_the_session(guarded: FlaskClient, client: FlaskClient) -> None:
    base = "https://localhost"
    guarded.post("/login", data={"secret": PASSWORD}, base_url=base)
    assert "Log out" in guarded.get("/_dash-layout", base_url=base).text
    assert "Log out" not in client.get("/_dash-layout").text
    copied = guarded.get_cookie("genome_session")
    assert copied is not None
    assert guarded.get("/logout", base_url=base).status_code in (200, 405)
    assert guarded.get("/", base_url=base).status_code == 200
    left = guarded.post("/logout", base_url=base)
    assert (left.status_code, left.headers["Location"]) == (302, "/login")
    assert guarded.get("/", base_url=base).status_code == 302
    guarded.set_cookie("genome_session", copied.value, secure=True)
    assert guarded.get("/", base_url=base).status_code == 302


def test_no_password_is_taken_on_a_way_that_can_be_read(guarded: FlaskClient) -> None:
    for answer in (
        guarded.get("/login", base_url="http://genome.example.org"),
        guarded.post("/login", data={"secret": PASSWORD}, base_url="http://genome.example.org"),
    ):
        assert answer.status_code == 400
        assert "HTTPS" in answer.text
        assert "Set-Cookie" not in answer.headers
    behind_proxy = guarded.post(
        "/login",
        data={"secret": PASSWORD},
        base_url="http://genome.example.org",
        headers={"X-Forwarded-Proto": "https"},
    )
    assert behind_proxy.status_code == 302


def test_on_loopback_other_names_are_refused(client: FlaskClient) -> None:
    assert client.get("/", base_url="http://127.0.0.1:8050").status_code == 200
    assert client.get("/", base_url="http://rebound.example.org").status_code == 400


# Headers


@pytest.mark.parametrize("path", ["/", "/export/audience.csv", "/assets/genome.js", "/_dash-layout"])
def test_every_answer_carries_the_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    policy = dict(part.split(" ", 1) for part in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'self'"
    assert "unsafe" not in policy["script-src"]
    assert policy["frame-ancestors"] == "'none'"
    assert (headers.get("Cache-Control") == "no-store") == (not path.startswith("/assets"))


# What parameters cannot do


HOSTILE_TEXTS = (
    "' OR 1=1 --",
    "'; DROP TABLE customer_genome_history; --",
    "\" UNION SELECT content FROM read_text('/etc/passwd') --",
    "../../../../etc/passwd",
    "read_csv('/etc/passwd')",
    HOSTILE_ID,
    "<img src=x onerror=alert(1)>",
    "\x00",
    "%00%0d%0aSet-Cookie: a=b",
    "A" * 2_500,
    "\udcff",
)
_SELECTION_PARAMETERS = ("rule", "where", "sort", "top", "first", "columns")
PARAMETERS = (
    "as_of",
    "customer_id",
    "id",
    "rule",
    "where",
    "sort",
    "top",
    "first",
    "columns",
    "since",
    "gene",
    "cutoff",
    "by",
    "target",
    "reason",
    "baseline",
    "cohort",
    "experiment",
    "where=customer_id:eq:",
    "where=segment_name:in:",
    "where=confidence:ge:",
)


class _Recorded(dict[str, str]):
    """Parameters that remember which of them were asked for."""

    asked: ClassVar[set[str]] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return super().__getitem__(name)

    def __contains__(self, name: object) -> bool:
        self.asked.add(str(name))
        return super().__contains__(name)


def test_every_parameter_that_a_page_reads_is_attacked(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "parameters_of", lambda search: _Recorded(parameters_of(search)))
    for pathname in PAGES:
        assert _page_request(client, pathname, "?customer_id=C0010").status_code == 200
    assert {
        "as_of",
        "customer_id",
        "since",
        "gene",
        "cutoff",
        "by",
        "target",
        "reason",
        "baseline",
        "cohort",
        "experiment",
    } <= _Recorded.asked
    # Pages that read the whole query string themselves: Similar its ids, Audience its selection.
    assert _Recorded.asked | {"id", *_SELECTION_PARAMETERS} <= set(PARAMETERS)


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_no_callback_reaches_sql_or_the_disk(client: FlaskClient, text: str) -> None:
    search = f"?as_of={quote(text, errors='surrogatepass')}"
    order = {"colId": text, "sort": text}
    for output, inputs in (
        ("customer-search.data", {"customer-search.searchValue": text}),
        ("audience-grid.getRowsResponse", {"audience-grid.getRowsRequest": _rows(text, text, [order])}),
        ("audience-grid.getRowsResponse", {"audience-grid.getRowsRequest": _rows(0, 10, [order])}),
        ("audience-grid.getRowsResponse", {"audience-grid.getRowsRequest": _rows(-5, 10**30, [])}),
    ):
        answer = _callback(client, output, inputs, search)
        assert answer.status_code in (200, 204)
        assert "root:x:" not in answer.text


def _rows(first: Any, last: Any, order: Any) -> dict[str, Any]:
    return {"startRow": first, "endRow": last, "sortModel": order}


def _page_body(**changed: Any) -> dict[str, Any]:
    return {
        "output": "customer-search.data",
        "outputs": {"id": "customer-search", "property": "data"},
        "inputs": [{"id": "customer-search", "property": "searchValue", "value": "C00"}],
        "state": [{"id": "url", "property": "search", "value": ""}],
        "changedPropIds": ["customer-search.searchValue"],
        **changed,
    }


def _input(value: Any) -> list[dict[str, Any]]:
    return [{"id": "customer-search", "property": "searchValue", "value": value}]


_WRONG_OUTPUTS: tuple[Any, ...] = (None, 5, [], {}, [{"id": "x"}])
_WRONG_INPUTS: tuple[Any, ...] = (None, 5, [], {}, ["x"], [5], [{}], _input(5), _input(["x"]))
MALFORMED = (
    *("", "no json", "[]", "{}", "null", "1", '"x"', '{"output": 5}', '{"output": {}}', "[" * 5_000),
    *(
        json.dumps(_page_body(output=output))
        for output in ("nothing.children", ["x"], None, "..x..", "saved-views.data")
    ),
    *(json.dumps(_page_body(outputs=outputs)) for outputs in _WRONG_OUTPUTS),
    *(json.dumps(_page_body(inputs=inputs)) for inputs in _WRONG_INPUTS),
    *(json.dumps(_page_body(state=state)) for state in (None, 5, [], ["x"], [{"id": "url", "property": "search"}] * 2)),
    *(json.dumps(_page_body(changedPropIds=changed)) for changed in (None, 5, [5], [["x"]])),
)


@pytest.mark.parametrize("body", MALFORMED, ids=range(len(MALFORMED)))
def test_a_malformed_call_is_the_callers_fault(
    client: FlaskClient, caplog: pytest.LogCaptureFixture, body: str
) -> None:
    answer = client.post("/_dash-update-component", data=body, content_type="application/json")
    assert (answer.status_code, answer.text) == (
        400,
        "That is no request of this dashboard's pages: open the page again.",
    )
    assert caplog.text == ""
    whole = client.post("/_dash-update-component", json=_page_body())
    assert whole.get_json()["response"]["customer-search"]["data"][0] == "C0001"


@pytest.mark.parametrize(
    "wanted",
    [{}, {"startRow": None}, _rows(None, [], []), _rows(0, 5, [5]), _rows(0, 1e999, []), _rows(0, 5, {"a": 1})],
)
def test_rows_that_cannot_be_given_are_none(client: FlaskClient, wanted: dict[str, Any]) -> None:
    answer = _callback(client, "audience-grid.getRowsResponse", {"audience-grid.getRowsRequest": wanted}, "")
    assert answer.get_json()["response"]["audience-grid"]["getRowsResponse"] == {"rowData": [], "rowCount": 0}


@pytest.mark.parametrize("path", ["os/etc/passwd", "genome_pipeline/command/cli.py", "dash/../../etc/passwd"])
def test_a_script_that_is_none_of_the_pages_is_not_found(
    client: FlaskClient, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert client.get(f"/_dash-component-suites/{path}").status_code == 404
    assert caplog.text == ""


def test_a_large_body_is_refused(client: FlaskClient, guarded: FlaskClient) -> None:
    large = b"x" * (MOST_BODY_BYTES + 1)
    for tested, path in ((client, "/_dash-update-component"), (guarded, "/login")):
        answer = tested.post(path, data=large, content_type="application/json", base_url="https://localhost")
        assert answer.status_code in (400, 413)


def _callback(client: FlaskClient, output: str, inputs: dict[str, Any], search: str) -> Any:
    def split(name: str) -> dict[str, str]:
        return dict(zip(("id", "property"), name.split("."), strict=True))

    return client.post(
        "/_dash-update-component",
        json={
            "output": output,
            "outputs": split(output),
            "inputs": [{**split(name), "value": value} for name, value in inputs.items()],
            "state": [{"id": "url", "property": "search", "value": search}],
            "changedPropIds": list(inputs),
        },
    )


@pytest.mark.parametrize("text", HOSTILE_TEXTS, ids=range(len(HOSTILE_TEXTS)))
def test_no_parameter_reaches_sql_or_the_disk(client: FlaskClient, text: str) -> None:
    written = quote(text, errors="surrogatepass")
    search = "?" + "&".join(f"{name}{'' if '=' in name else '='}{written}" for name in PARAMETERS)
    for pathname in PAGES:
        answer = _page_request(client, pathname, search)
        assert answer.status_code == 200
        assert answer.get_json()["response"]["page-title"]["data"] == PAGES[pathname].TITLE
        assert "root:x:" not in answer.text
    assert client.get(f"/export/audience.csv?where=customer_id:eq:{written}").status_code == 200


def test_a_script_in_an_id_or_a_product_name_stays_text(tmp_path: Path, published_path: Path) -> None:
    path = tmp_path / "genome.duckdb"
    shutil.copy(published_path, path)
    script = "<script>alert('product')</script>"
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE customer_drivers_history SET explanation = ?", [script])
        connection.execute("UPDATE customer_genome_history SET segment_name = ?, action = ?", [script, script])
    client = create_app(path).server.test_client()
    for pathname, search in (
        ("/customer", f"?customer_id={quote(HOSTILE_ID)}"),
        ("/similar", f"?id={quote(HOSTILE_ID)}&id=C0001"),
        ("/audience", f"?where=segment_name:eq:{quote(script)}"),
    ):
        answer = _page_request(client, pathname, search)
        assert answer.mimetype == "application/json"
        for figure in _figures(answer.get_json()):
            # React escapes text; Plotly reads tags, so that its texts are escaped here.
            assert "<script" not in json.dumps(figure)
        for word in ("dangerously_allow_html", "DangerouslySetInnerHTML", "dangerously_allow_code"):
            assert word not in answer.text


def _figures(node: Any) -> list[Any]:
    if isinstance(node, dict):
        found = [node["figure"]] if "figure" in node else []
        return found + [figure for value in node.values() for figure in _figures(value)]
    return [figure for value in node for figure in _figures(value)] if isinstance(node, list) else []


# What the log does not tell


def test_no_customer_is_named_in_the_log(
    published_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    app = create_app(published_path)
    monkeypatch.setattr(PAGES["/customer"], "layout", _fails)
    server = Server(app.server, "127.0.0.1", 0)
    threading.Thread(target=server.run, daemon=True).start()
    from urllib.request import urlopen

    with caplog.at_level(logging.DEBUG):
        with urlopen(f"http://127.0.0.1:{server.port}/customer?customer_id=C0010") as answer:
            assert answer.status == 200
        shown = _page_request(app.server.test_client(), "/customer", "?customer_id=C0010").get_json()["response"]
    assert shown["page-title"]["data"] == "Unreadable file"
    captured = capfd.readouterr()
    said = caplog.text + captured.out + captured.err
    assert "KeyError" in said
    assert "_fails" in said
    assert "C0010" not in said


def _fails(request: Any) -> Any:
    raise KeyError(request.parameters["customer_id"])


# Steady


def test_no_request_fails_during_fifty_publishes_in_a_row(tmp_path: Path, published_path: Path) -> None:
    path = tmp_path / "genome.duckdb"
    shutil.copy(published_path, path)
    versions = [
        published_path,
        build_published_file(tmp_path / "earlier.duckdb", customer_count=20, as_of=SNAPSHOTS[1]),
    ]
    app = create_app(path)
    is_done = threading.Event()
    titles: list[str] = []
    failures: list[str] = []

    def look(pathname: str, search: str) -> None:
        client = app.server.test_client()
        while not is_done.is_set():
            answer = _page_request(client, pathname, search)
            if answer.status_code == 200:
                titles.append(answer.get_json()["response"]["page-title"]["data"])
            else:
                failures.append(f"{pathname} {answer.status_code}")

    threads = [
        threading.Thread(target=look, args=page) for page in (("/audience", ""), ("/customer", "?customer_id=C0010"))
    ]
    for thread in threads:
        thread.start()
    for turn in range(50):
        building = tmp_path / "building.duckdb"
        shutil.copy(versions[turn % len(versions)], building)
        os.replace(building, path)
        is_done.wait(0.02)
    is_done.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(titles) > 4
    assert set(titles) <= {"Audience", "Customer"}


def test_a_publish_is_noticed_by_the_open_page(tmp_path: Path, published_path: Path) -> None:
    path = tmp_path / "genome.duckdb"
    shutil.copy(published_path, path)
    client = create_app(path).server.test_client()
    shown = _page_request(client, "/").get_json()["response"]
    assert shown["publish-notice"]["hidden"] is True

    def is_hidden() -> bool:
        answer = client.post(
            "/_dash-update-component",
            json={
                "output": _notice_output(client),
                "outputs": {"id": "publish-notice", "property": _notice_output(client).split(".", 1)[1]},
                "inputs": [{"id": "publish-watch", "property": "n_intervals", "value": 1}],
                "state": [{"id": "shown-version", "property": "data", "value": shown["shown-version"]["data"]}],
                "changedPropIds": ["publish-watch.n_intervals"],
            },
        )
        hidden: bool = answer.get_json()["response"]["publish-notice"]["hidden"]
        return hidden

    assert is_hidden()
    shutil.copy(published_path, tmp_path / "newer.duckdb")
    os.replace(tmp_path / "newer.duckdb", path)
    assert not is_hidden()
    path.unlink()
    assert is_hidden()


def _notice_output(client: FlaskClient) -> str:
    """Outputs that two callbacks share carry a mark of the second."""
    outputs: list[str] = [callback["output"] for callback in client.get("/_dash-dependencies").get_json()]
    return next(output for output in outputs if output.startswith("publish-notice.hidden@"))
