"""Webhooks of audiences: who came in, who went out, signed, and told once."""

from __future__ import annotations

import base64
import hashlib
import hmac
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import pytest
from typer.testing import CliRunner

from genome_pipeline.command.cli import app
from genome_pipeline.command.notices import tell_webhooks
from genome_pipeline.errors import ConfigError
from genome_pipeline.published import delivery
from genome_pipeline.published.delivery import send_changes, sending_alone
from genome_pipeline.published.reader import PublishedFileMissing
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline.warehouse.audience_record import AudienceRecord
from genome_pipeline.warehouse.erasure import rewrite_without
from genome_pipeline_tests.support.published_file import LATEST
from genome_pipeline_tests.support.webhooks import Posted, hook, make_certificate

KEY = bytes(range(32))
RULE = "win_back"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


class Shop:
    """A home with a published file, whose latest snapshot has chosen customers in the audience of a rule."""

    def __init__(self, folder: Path, built: Path) -> None:
        self.folder, self.published = folder, folder / "home" / "published" / "genome.duckdb"
        self.published.parent.mkdir(parents=True)
        shutil.copyfile(built, self.published)
        with duckdb.connect(self.published, read_only=True) as connection:
            rows = connection.execute("SELECT customer_id FROM customer_genome ORDER BY 1").fetchall()
        self.ids = [customer_id for (customer_id,) in rows]

    def config(self, url: str, rule: str = RULE) -> Path:
        path = self.folder / "genome.toml"
        path.write_text(
            'home = "home"\n[source]\npath = "log.csv"\n[source.columns]\ncustomer_id = "a"\nordered_at = "b"\n'
            f'[calendar]\nstart = 2017-01-01\n[audiences]\nwebhooks = {{ {rule} = "{url}" }}\n',
            encoding="utf-8",
        )
        return path

    def settings(self, url: str) -> Settings:
        return load_settings(self.config(url))

    def audience(self, ids: list[str], others: str = "keep_in_contact") -> None:
        """Let the rule pick these customers, and ``others`` the rest."""
        with duckdb.connect(self.published) as connection:
            connection.execute(
                "UPDATE customer_genome_history SET is_for_review = false, action_rule ="
                " if(customer_id IN (SELECT unnest(?)), ?, ?) WHERE as_of = ?",
                [ids, RULE, others, LATEST],
            )
            connection.execute("UPDATE action_audiences_history SET action_rule = ? WHERE rule_position = 1", [RULE])


@pytest.fixture
def shop(tmp_path: Path, published_path: Path, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    monkeypatch.setenv("GENOME_AUDIENCES__SECRET", f"whsec_{base64.b64encode(KEY).decode()}")
    monkeypatch.setattr(delivery, "_PAUSES_SECONDS", (0.0, 0.0))
    yield Shop(tmp_path, published_path)


def told(posted: Posted) -> tuple[list[str], list[str]]:
    return tuple([each["customer_id"] for each in posted.message[way]] for way in ("in", "out"))  # type: ignore[return-value]


def signature(posted: Posted) -> str:
    signed = f"{posted.headers['webhook-id']}.{posted.headers['webhook-timestamp']}.".encode() + posted.body
    return f"v1,{base64.b64encode(hmac.new(KEY, signed, hashlib.sha256).digest()).decode()}"


def test_a_webhook_is_told_the_whole_audience_first_and_then_what_has_changed(shop: Shop, certificate: Path) -> None:
    a, b, c, *_ = shop.ids
    shop.audience([a, b])
    with hook(certificate) as (url, posted):
        settings = shop.settings(url)
        assert send_changes(settings) == [{"audience": RULE, "in_count": 2, "out_count": 0, "message_count": 1}]
        assert send_changes(settings)[0]["message_count"] == 0
        shop.audience([b, c])
        assert send_changes(settings) == [{"audience": RULE, "in_count": 1, "out_count": 1, "message_count": 1}]
        shop.audience([a, b])
        send_changes(settings)
        shop.audience([b, c])
        send_changes(settings)
    assert [told(each) for each in posted[:2]] == [([a, b], []), ([c], [a])]
    assert posted[0].message == {
        "type": "audience.changed",
        "audience": RULE,
        "action": "Win back with a standard offer",
        "as_of": str(LATEST),
        "number": 1,
        "in": [{"customer_id": a, "is_for_review": False}, {"customer_id": b, "is_for_review": False}],
        "out": [],
    }
    assert [each.headers["webhook-signature"] for each in posted] == [signature(each) for each in posted]
    # What is told twice of the same snapshot is two messages: a receiver that drops repeated ones drops neither.
    assert told(posted[1]) == told(posted[3])
    assert len({each.headers["webhook-id"] for each in posted}) == 4


def test_a_message_that_fails_is_repeated_under_its_id_and_nobody_is_lost(shop: Shop, certificate: Path) -> None:
    shop.audience(shop.ids[:2])
    with hook(certificate, answers=[503, 429]) as (url, posted):
        send_changes(shop.settings(url))
    assert len(posted) == 3
    assert len({(each.headers["webhook-id"], each.body) for each in posted}) == 1
    shop.audience([])
    with hook(certificate, answers=[500, 500, 500]) as (url, posted):
        settings = shop.settings(url)
        with pytest.raises(ConfigError) as raised:
            send_changes(settings)
        assert str(raised.value) == (
            "not all changes of audiences were taken by the webhook of win_back (HTTP 500): what is left is sent with"
            " the next publication, or by `genome audience --send`"
        )
        assert send_changes(settings)[0]["out_count"] == 2
    assert len({(each.headers["webhook-id"], each.body) for each in posted}) == 1


def test_what_may_have_arrived_is_taken_back(shop: Shop, certificate: Path) -> None:
    a, b, *_ = shop.ids
    shop.audience([a])
    with hook(certificate, answers=[400]) as (url, posted):
        settings = shop.settings(url)
        with pytest.raises(ConfigError, match=r"win_back \(HTTP 400\)"):
            send_changes(settings)
        shop.audience([b])
        send_changes(settings)
    assert [told(each) for each in posted] == [([a], []), ([b], [a])]


def test_an_audience_is_sent_in_batches_and_goes_on_where_it_broke_off(
    shop: Shop, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "_MOST_CUSTOMERS", 2)
    shop.audience(shop.ids[:5])
    with hook(certificate, answers=[200, 404]) as (url, posted):
        settings = shop.settings(url)
        with pytest.raises(ConfigError, match="HTTP 404"):
            send_changes(settings)
        assert send_changes(settings) == [{"audience": RULE, "in_count": 3, "out_count": 0, "message_count": 2}]
    ids = shop.ids[:5]
    assert [told(each)[0] for each in posted] == [ids[:2], ids[2:4], ids[2:4], ids[4:]]
    assert [each.message["number"] for each in posted] == [1, 2, 2, 3]


def test_whom_an_experiment_leaves_alone_goes_out_and_is_never_sent_as_treated(shop: Shop, certificate: Path) -> None:
    treated, *controls = shop.ids[:4]
    shop.audience([treated, *controls])
    with hook(certificate) as (url, posted):
        settings = shop.settings(url)
        send_changes(settings)
        shop.audience([treated], others="left_alone")
        assert send_changes(settings) == [{"audience": RULE, "in_count": 0, "out_count": 3, "message_count": 1}]
    assert told(posted[1]) == ([], controls)


def test_a_draw_that_is_not_published_yet_stops_the_sending(
    shop: Shop, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def not_published(_: Settings) -> None:
        raise ConfigError("experiment x was drawn, and whom it leaves alone is not published yet")

    monkeypatch.setattr(delivery, "check_draws_are_published", not_published)
    with hook(certificate) as (url, posted), pytest.raises(ConfigError, match="not published yet"):
        send_changes(shop.settings(url))
    assert posted == []


def test_nothing_is_sent_to_where_a_webhook_redirects_or_without_a_trusted_certificate(
    shop: Shop, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.audience(shop.ids[:1])
    with hook(certificate) as (other, others), hook(certificate, moved_to=other) as (url, _):
        with pytest.raises(ConfigError, match=r"win_back \(it answers with a redirect, which is not followed"):
            send_changes(shop.settings(url))
        assert others == []
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(ConfigError, match=r"win_back \(SSLCertVerificationError\)") as raised:
            send_changes(shop.settings(other))
        assert "secret" not in str(raised.value)
    assert others == []


def test_a_receiver_is_told_when_a_customer_is_to_be_looked_at(shop: Shop, certificate: Path) -> None:
    a, b, *_ = shop.ids
    shop.audience([a, b])
    with hook(certificate) as (url, posted):
        settings = shop.settings(url)
        send_changes(settings)
        with duckdb.connect(shop.published) as connection:
            connection.execute("UPDATE customer_genome_history SET is_for_review = true WHERE customer_id = ?", [a])
        send_changes(settings)
        assert posted[1].message["in"] == [{"customer_id": a, "is_for_review": True}]
        assert send_changes(settings)[0]["message_count"] == 0


def test_nothing_is_sent_while_customers_are_forgotten(shop: Shop, certificate: Path) -> None:
    shop.audience(shop.ids[:2])
    with hook(certificate) as (url, posted):
        settings = shop.settings(url)
        with ThreadPoolExecutor() as pool:
            with sending_alone(settings.home):
                sent = pool.submit(send_changes, settings)
                time.sleep(0.2)
                assert posted == []
            assert sent.result()[0]["in_count"] == 2


def test_a_forgotten_customer_is_not_in_the_record(shop: Shop, certificate: Path) -> None:
    a, b, *_ = shop.ids
    shop.audience([a, b])
    with hook(certificate) as (url, posted):
        settings = shop.settings(url)
        send_changes(settings)
        record = AudienceRecord.beside(settings.warehouse_path).path
        assert rewrite_without(record, [a]) == {"told_customers": 1}
        assert a.encode() not in record.read_bytes()
        shop.audience([b])
        assert send_changes(settings)[0]["message_count"] == 0
    assert len(posted) == 1


def test_the_command_sends_and_a_run_that_cannot_only_tells(
    shop: Shop, certificate: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.audience(shop.ids[:2])
    with hook(certificate, answers=[200, 404]) as (url, _):
        arguments = ["audience", RULE, "--send", "--config", str(shop.config(url))]
        done = CliRunner().invoke(app, arguments)
        assert (done.exit_code, done.output) == (0, "win_back: 2 in, 0 out (1 message)\n")
        done = CliRunner().invoke(app, arguments)
        assert (done.exit_code, done.output) == (0, "win_back: nothing has changed\n")
        wrong = CliRunner().invoke(app, [*arguments, "--to", str(tmp_path / "a.csv")])
        assert str(wrong.exception) == "--send and --to are two things: write the file and send in two commands"
        shop.audience([])
        tell_webhooks(shop.settings(url))
        assert "win_back (HTTP 404)" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("rule", "url", "sentence"),
    [
        ("winback", "https://x", "no rule is called 'winback' (did you mean 'win_back'?)"),
        ("left_alone", "https://x", "no rule is called 'left_alone'"),
        (RULE, "http://x/token", "that of win_back is no https:// URL; customer ids are sent over TLS only"),
        (RULE, "https://me:pw@x", "that of win_back holds a user; take it out, messages are signed instead"),
    ],
)
def test_a_wrong_webhook_is_named_without_its_url(shop: Shop, rule: str, url: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings(shop.config(url, rule))
    assert sentence in str(raised.value)
    assert "token" not in str(raised.value)
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize(
    ("secret", "sentence"),
    [
        (None, "webhooks need a secret in the environment; make one with `python -c"),
        ("whsec_!", "is no secret of Standard Webhooks"),
        ("whsec_c2hvcnQ=", "has fewer than 24 bytes"),
    ],
)
def test_a_wrong_secret_is_told_of_and_not_shown(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, secret: str | None, sentence: str
) -> None:
    monkeypatch.delenv("GENOME_AUDIENCES__SECRET")
    if secret:
        monkeypatch.setenv("GENOME_AUDIENCES__SECRET", secret)
    with pytest.raises(ConfigError) as raised:
        load_settings(shop.config("https://x"))
    assert sentence in str(raised.value)
    assert secret is None or secret not in str(raised.value)


def test_a_secret_does_not_belong_in_the_file(shop: Shop) -> None:
    config = shop.config("https://x")
    config.write_text(config.read_text(encoding="utf-8") + 'secret = "whsec_abc"\n', encoding="utf-8")
    with pytest.raises(
        ConfigError, match=r"audiences.secret is a secret; take it out, and set GENOME_AUDIENCES__SECRET"
    ):
        load_settings(config)


def test_urls_may_come_from_the_environment(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENOME_AUDIENCES__WEBHOOKS", '{"nudge": "https://x/?token=abc"}')
    found = load_settings(shop.config("https://y")).audiences.webhooks
    assert {name: url.get_secret_value() for name, url in found.items()}["nudge"] == "https://x/?token=abc"
    monkeypatch.setenv("GENOME_AUDIENCES__WEBHOOKS", "https://x")
    with pytest.raises(
        ConfigError, match=r'GENOME_AUDIENCES__WEBHOOKS is not valid JSON: write a table as \{"name": value\}'
    ):
        load_settings(shop.config("https://y"))


def test_nothing_configured_or_published_is_one_sentence(shop: Shop) -> None:
    config = shop.config("https://x")
    settings: Any = load_settings(config)
    with pytest.raises(ConfigError, match=r"there is no webhook 'nudge'; webhooks there are: win_back"):
        send_changes(settings, "nudge")
    shop.published.unlink()
    with pytest.raises(PublishedFileMissing):
        send_changes(settings)
    config.write_text(config.read_text(encoding="utf-8").partition("[audiences]")[0], encoding="utf-8")
    with pytest.raises(ConfigError, match=r"no audience has a webhook: name one under \[audiences\]"):
        send_changes(load_settings(config))
