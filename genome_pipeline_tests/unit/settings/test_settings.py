import re
import secrets
import traceback
from datetime import date
from pathlib import Path

import pytest

from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import draft_of, load_draft, load_settings

GOOD = """
[source]
path = "landing/*.csv"
[source.columns]
customer_id = "Customer"
ordered_at = "Date"
[calendar]
start = 2020-01-01
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "genome.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("GENOME_HOME", "GENOME_CONFIG", "GENOME_SOURCE__PATH"):
        monkeypatch.delenv(name, raising=False)


def test_defaults(tmp_path: Path) -> None:
    settings = load_settings(write(tmp_path, GOOD))
    assert settings.home == tmp_path / ".genome"
    assert settings.source.path == str(tmp_path / "landing" / "*.csv")
    assert (settings.predict.horizon_days, settings.predict.interval_level) == (90, 0.8)
    assert settings.time.start == date(2020, 1, 1)


def test_the_first_of_several_horizons_is_the_main_one(tmp_path: Path) -> None:
    one = load_settings(write(tmp_path, GOOD + "[predict]\nhorizon_days = 28\n"))
    also_one = load_settings(write(tmp_path, GOOD + "[predict]\nhorizons_days = [28]\n"))
    three = load_settings(write(tmp_path, GOOD + "[predict]\nhorizons_days = [28, 365, 90]\n"))
    assert [found.predict.horizon_days for found in (one, also_one, three)] == [28, 28, 28]
    assert [found.predict.further_horizons_days for found in (one, also_one, three)] == [(), (), (90, 365)]
    assert one.results_hash == also_one.results_hash != three.results_hash


def test_a_home_may_be_below_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    config = write(tmp_path, 'home = "~/x"\n' + GOOD)
    assert load_settings(config).home == tmp_path / "x"
    monkeypatch.setenv("GENOME_HOME", "~/y")
    assert load_settings(config).home == tmp_path / "y"
    monkeypatch.setenv("GENOME_HOME", "~no_such_user/y")
    with pytest.raises(ConfigError, match="home: '~no_such_user/y' names a user of whom no home is known; write the"):
        load_settings(config)


@pytest.mark.parametrize(
    ("exchange", "expected"),
    [
        ("/mnt/shared/genome", "/mnt/shared/genome"),
        ("shared", str(Path("shared").absolute())),
        ("s3a://bucket/genome/", "s3a://bucket/genome"),
        (None, "FOLDER/.genome/exchange"),
    ],
)
def test_the_exchange_with_a_cluster_is_a_url_or_an_absolute_path(
    tmp_path: Path, exchange: str | None, expected: str
) -> None:
    given = f'[spark]\nexchange = "{exchange}"\n' if exchange else ""
    found = load_settings(write(tmp_path, GOOD + given)).spark_exchange
    assert found == expected.replace("FOLDER", str(tmp_path))


def test_the_environment_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENOME_HOME", "/elsewhere")
    monkeypatch.setenv("GENOME_SOURCE__PATH", "other.parquet")
    settings = load_settings(write(tmp_path, GOOD))
    assert (settings.home, settings.source.path) == (Path("/elsewhere"), "other.parquet")
    assert settings.source.columns.customer_id == "Customer"


@pytest.mark.parametrize(("home", "expected"), [(None, ".genome"), ("kept", "kept"), ("../kept", "")])
def test_the_home_is_beside_the_config_wherever_the_program_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None, expected: str
) -> None:
    config = write(tmp_path, (f'home = "{home}"\n' if home else "") + GOOD)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("GENOME_CONFIG", str(config))
    beside = tmp_path / expected if expected else tmp_path.parent / "kept"
    assert load_settings().home == beside
    assert load_settings(Path("../genome.toml")).home == beside


def test_a_home_in_the_environment_is_relative_to_where_the_program_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GENOME_HOME", "kept")
    assert load_settings(write(tmp_path, GOOD)).home == Path("kept")


def test_a_byte_order_mark_before_the_config_is_passed_over(tmp_path: Path) -> None:
    assert load_settings(write(tmp_path, "\ufeff" + GOOD)).source.columns.customer_id == "Customer"


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("GENOME_SOURCE", "x", "GENOME_SOURCE is not valid JSON: set GENOME_SOURCE__PATH and the like, or unset it"),
        (
            "GENOME_SOURCE__COLUMNS",
            "x",
            "GENOME_SOURCE__COLUMNS is not valid JSON: set GENOME_SOURCE__COLUMNS__CUSTOMER_ID and the like, or unset"
            " it",
        ),
        (
            "GENOME_RULES__DISABLED",
            "zero_amount",
            'GENOME_RULES__DISABLED is not valid JSON: write a list as ["a", "b"], or unset it',
        ),
        (
            "GENOME_PREDICT__HORIZON_DAYS",
            "abc",
            "GENOME_PREDICT__HORIZON_DAYS: predict.horizon_days = 'abc' is wrong: input should be a valid integer,"
            " unable to parse string as an integer",
        ),
        (
            "GENOME_PREDICT__HORIZON",
            "3",
            "GENOME_PREDICT__HORIZON: unknown key 'predict.horizon' (did you mean 'horizon_days'?); known here:"
            " horizon_days, horizons_days, interval_level, discount_rate, lifetime_years, seed",
        ),
        (
            "GENOME_CALENDAR__END",
            "2019-01-01",
            "CONFIG with GENOME_CALENDAR__END: calendar: end = 2019-01-01 is not after start = 2020-01-01; give a later"
            " end, or none",
        ),
        (
            "GENOME_SOURCE__PATH",
            "~nouser/x.csv",
            "GENOME_SOURCE__PATH: source.path: '~nouser/x.csv' names a user of whom no home is known; write the"
            " whole path",
        ),
        ("GENOME_HOME", "", "GENOME_HOME: home: no folder is named; name one, or leave it out"),
        (
            "GENOME_PREDICT",
            "5",
            "GENOME_PREDICT: predict is one value; it is a section, so give each of its settings by name",
        ),
    ],
)
def test_a_mistake_in_the_environment_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, sentence: str
) -> None:
    config = write(tmp_path, GOOD)
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as caught:
        load_settings(config)
    assert str(caught.value) == sentence.replace("CONFIG", str(config))


def test_a_secret_that_is_not_valid_json_is_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GENOME_PRIVACY", '{"key": "hunter2"')
    with pytest.raises(ConfigError, match=r"^GENOME_PRIVACY is not valid JSON") as caught:
        load_settings(write(tmp_path, GOOD))
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("2020-01-01", "20200101", "calendar.start: 20200101 is no date; write it as 2024-01-31"),
        ("2020-01-01", '"20200101"', "calendar.start: 20200101 is no date; write it as 2024-01-31"),
        ("2020-01-01", "0001-01-01", "0001-01-01 is not between 1900-01-01 and 2200-01-01; correct the year"),
        ("2020-01-01", "2020-01-01\nend = 9999-12-01", "calendar.end: 9999-12-01 is not between 1900-01-01 and 2200"),
        ("[calendar]", "[predict]\nhorizon_days = true\n[calendar]", "horizon_days: true is no number; write one"),
        ("[calendar]", "[predict]\nhorizons_days = [true]\n[calendar]", "horizons_days: true is no number; write one"),
        ("[calendar]", "[similarity]\nweights = {spend = inf}\n[calendar]", "weights.spend = inf is wrong: .* finite"),
        (
            "[calendar]",
            "[similarity]\nweights = {activity = 0, spend = 0, duration = 0, breadth = 0, rhythm = 0, momentum = 0,"
            " returns = 0}\n[calendar]",
            "but that of taste is 0",
        ),
        ("[calendar]", "[quality]\ndrift_error_psi = nan\n[calendar]", "drift_error_psi = nan is wrong: .* finite"),
        (
            "[calendar]",
            '[warehouse]\nmemory_limit = "99999999TB"\n[calendar]',
            "'99999999TB' is no amount of memory; write it as '4GB' or '500MB'",
        ),
        ("\n[source]", 'home = ""\n[source]', "home: no folder is named; name one, or leave it out"),
        ('"landing/*.csv"', '"~nouser/x"', "source.path: '~nouser/x' names a user of whom no home is known"),
        (
            "[calendar]",
            '[[actions.rules]]\nname = "a"\naction = "b"\nreason = "c"\nwhen = [{ column = "spend_amount", at_least ='
            " nan }]\n[calendar]",
            "at_least = nan is wrong: input should be a finite number",
        ),
        (
            "[calendar]",
            '[[actions.rules]]\nname = "a"\naction = "b"\nreason = "c"\nwhen = [{ column = "spend_amount", at_least ='
            " true }]\n[calendar]",
            "at_least = True is wrong: input should be a valid number",
        ),
        (
            "start = 2020",
            "begin = 2020",
            "unknown key 'calendar.begin'; known here: period, start, end; .*does not say calendar.start: `genome",
        ),
        ("\n[source]", 'engine = "spark"\n[source]', r"spark: engine = \"spark\" needs a cluster; set spark.master"),
        ("[calendar]", "[calender]", r"unknown key 'calender' \(did you mean 'calendar'\?\)"),
        (
            'customer_id = "Customer"',
            "",
            r"does not say source.columns.customer_id: `genome check --config .*genome.toml` looks",
        ),
        ("2020-01-01", "2020-01-15", "start = 2020-01-15 is not the start of a month; use 2020-01-01"),
        ("2020-01-01", '"soon"', "calendar.start = 'soon' is wrong"),
        ('ordered_at = "Date"', 'ordered_at = "Customer"', "column 'Customer' is mapped twice"),
        ("[calendar]", "[calendar", "is not valid TOML"),
        (
            "[source]",
            "[source]\ndate_format = 'DD/MM/YYYY'",
            r"'DD/MM/YYYY': there is no strptime code in it; .* \"%d/%m",
        ),
        ("[source]", "[source]\ndate_format = ['%d/%m/%Y', '%d.%N']", "'%d.%N': %N is no strptime code"),
        ("[source]", "[source]\ntime_zone = 'Europe/Londn'", r"no IANA time zone \(did you mean 'Europe/London'\?\)"),
        ("[source]", "[source]\nthousands = ' '\ndecimal = ';'", "source.decimal = ';' is wrong"),
        ("[source]", "[source]\nthousands = '.'", "decimal and thousands are both '.'; set source.decimal"),
        ("[calendar]", "[warehouse]\nmemory_limit = '4'\n[calendar]", "'4' is no amount of memory; write it as '4GB'"),
        ("[calendar]", "[predict]\nhorizon_days = 0\n[calendar]", "predict.horizon_days = 0 is wrong"),
        ("[calendar]", "[predict]\nhorizons_days = 28\n[calendar]", r"horizons_days is one value; write .*, as \[28\]"),
        ("[calendar]", "[predict]\nhorizons_days = [28, 0]\n[calendar]", "predict.horizons_days.1 = 0 is wrong"),
        ("[calendar]", "[predict]\nhorizons_days = [28, 90, 28]\n[calendar]", "a horizon is named twice"),
        (
            "[calendar]",
            "[predict]\nhorizon_days = 90\nhorizons_days = [28, 90]\n[calendar]",
            "horizon_days = 90 is not the first of horizons_days; leave horizon_days out",
        ),
        (
            "[calendar]",
            "[predict]\nhorizons_days = [28, 800]\nlifetime_years = 2\n[calendar]",
            "a horizon of 800 days is longer than lifetime_years = 2; give at least 3, or a shorter horizon",
        ),
        (
            "[calendar]",
            "[quality]\ndrift_error_psi = 0.1\n[calendar]",
            "quality: drift_error_psi = 0.1 is below drift_warning_psi = 0.25; raise the first or lower the second",
        ),
        (
            "[calendar]",
            '[rules]\ndisabled = ["zero_amounts"]\n[calendar]',
            r"no rule 'zero_amounts' can be switched off \(did you mean 'zero_amount'\?\)",
        ),
        ("[calendar]", '[contacts]\npath = "a.csv"\n[calendar]', "contacts.columns is missing; add it"),
        (
            "[calendar]",
            '[contacts]\npath = "a.csv"\ncolumns = { customer_id = "a", contacted_at = "b", chanel = "c" }\n[calendar]',
            r"unknown key 'contacts.columns.chanel' \(did you mean 'channel'\?\)",
        ),
        (
            "[calendar]",
            '[contacts]\npath = "a.csv"\ncolumns = { customer_id = "a", contacted_at = "a" }\n[calendar]',
            "contacts.columns: column 'a' is mapped twice",
        ),
        (
            "[calendar]",
            '[contacts]\npath = "s3://b/a.csv"\ncolumns = { customer_id = "a", contacted_at = "b" }\n[calendar]',
            "contacts.path: the contact log is a file on this machine; copy it there",
        ),
        (
            "[calendar]",
            '[contacts]\npath = ""\ncolumns = { customer_id = "a", contacted_at = "b" }\n[calendar]',
            "contacts.path: no file is named; name one, or take the section out",
        ),
    ],
)
def test_every_mistake_is_one_sentence(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(ConfigError, match=message) as caught:
        load_settings(path)
    assert str(path) in str(caught.value)


def test_a_missing_config_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no config file .*nowhere.toml: `genome check PATH` prints one"):
        load_settings(tmp_path / "nowhere.toml")


def test_a_contact_log_lies_beside_the_config_and_leaves_results_as_they_are(tmp_path: Path) -> None:
    without = load_settings(write(tmp_path, GOOD))
    assert without.contacts is None
    section = '[contacts]\npath = "c.csv"\n[contacts.columns]\ncustomer_id = "Who"\ncontacted_at = "When"\n'
    settings = load_settings(write(tmp_path, GOOD + section))
    assert settings.contacts is not None
    assert settings.contacts.path == str(tmp_path / "c.csv")
    assert settings.contacts.columns.mapped == {"customer_id": "Who", "contacted_at": "When"}
    assert settings.results_hash == without.results_hash


def test_what_results_depend_on_is_fingerprinted(tmp_path: Path) -> None:
    one = load_settings(write(tmp_path, GOOD))
    same = load_settings(write(tmp_path, GOOD.replace("landing", "inbox")))
    stops = load_settings(write(tmp_path, GOOD + "[quality]\ndrift_error_psi = 2.0\n"))
    warns = load_settings(write(tmp_path, GOOD + "[quality]\ndrift_warning_psi = 0.1\n"))
    other = load_settings(write(tmp_path, GOOD + "[predict]\nhorizon_days = 28\n"))
    assert one.results_hash == same.results_hash == stops.results_hash
    assert len({one.results_hash, warns.results_hash, other.results_hash}) == 3


@pytest.mark.parametrize(
    "example", sorted((Path(__file__).parents[3] / "examples").glob("*.toml")), ids=lambda p: p.name
)
def test_the_examples_are_valid(example: Path) -> None:
    load_settings(example)


def test_what_can_be_guessed_is_asked_for_in_one_sentence(tmp_path: Path) -> None:
    path = write(tmp_path, '[source]\npath = "a.csv"\n')
    with pytest.raises(ConfigError) as caught:
        load_settings(path)
    assert str(caught.value) == (
        f"{path} does not say source.columns and calendar.start: `genome check --config {path}` looks at the source"
        " and prints what to add"
    )
    assert load_draft(path).source.columns.mapped == {}


def test_one_date_format_or_several(tmp_path: Path) -> None:
    one = load_settings(write(tmp_path, GOOD.replace("[source]", '[source]\ndate_format = "%d/%m/%Y"')))
    two = load_settings(write(tmp_path, GOOD.replace("[source]", '[source]\ndate_format = ["%d/%m/%Y", "%Y"]')))
    assert one.source.formats.date_formats == ("%d/%m/%Y",)
    assert two.source.formats.date_formats == ("%d/%m/%Y", "%Y")


SECRET = "a secret of at least thirty-two characters"
MASKED = GOOD + "[privacy]\npseudonyms = true\n"


def test_pseudonyms_need_a_key_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write(tmp_path, MASKED)
    with pytest.raises(ConfigError, match=r"needs a key in the environment; make one with `python -c "):
        load_settings(config)
    monkeypatch.setenv("GENOME_PRIVACY__KEY", SECRET)
    settings = load_settings(config)
    assert len(settings.stored_id("c1")) == 32
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()} {settings.identity}"
    assert SECRET not in shown


def test_a_key_that_is_no_secret_is_refused_and_not_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"privacy.key is a secret; take it out, and set GENOME_PRIVACY__KEY$"):
        load_settings(write(tmp_path, f'{MASKED}key = "{SECRET}"\n'))
    monkeypatch.setenv("GENOME_PRIVACY__KEY", "hunter2")
    with pytest.raises(ConfigError, match="shorter than 32 characters") as caught:
        load_settings(write(tmp_path, GOOD))
    assert "hunter2" not in str(caught.value)


def test_a_key_alone_changes_no_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = load_settings(write(tmp_path, GOOD))
    monkeypatch.setenv("GENOME_PRIVACY__KEY", SECRET)
    after = load_settings(write(tmp_path, GOOD))
    assert (after.results_hash, after.identity) == (before.results_hash, before.identity)
    assert after.stored_id("c1") == "c1"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("GENOME_PRIVACY", '{"key": ["hunter2-hunter2"]}'),
        ("GENOME_PRIVACY", '"hunter2-hunter2"'),
        ("GENOME_PRIVACY", "hunter2-hunter2"),
        ("GENOME_PRIVACY__PSEUDONYMS", "hunter2-hunter2"),
        ("GENOME_DASHBOARD", '["hunter2-hunter2"]'),
        ("GENOME_SOURCE", '"postgresql://user:hunter2-hunter2@host/db"'),
        ("GENOME_SOURCE__PATH", "postgresql://user@host/db?pass%77ord=hunter2-hunter2"),
        ("GENOME_SOURCE__PATH", "https://bucket.example/log.csv?X-Amz-Signature=hunter2-hunter2"),
        ("GENOME_SOURCE__PATH", "az://bucket/log.csv?sv=1&sig=hunter2-hunter2"),
        ("GENOME_SPARK__EXCHANGE", "s3://bucket/exchange?sig=hunter2-hunter2"),
    ],
)
def test_no_secret_is_told_with_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError) as raised:
        load_settings(write(tmp_path, GOOD))
    assert "hunter2" not in str(raised.value)
    assert "hunter2" not in "".join(traceback.format_exception(raised.value))


def test_a_key_that_could_be_guessed_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = write(tmp_path, GOOD)
    monkeypatch.setenv("GENOME_PRIVACY__KEY", "a" * 64)
    with pytest.raises(ConfigError, match=r"privacy.key: the key has fewer than 8 different characters"):
        load_settings(config)
    monkeypatch.setenv("GENOME_PRIVACY__KEY", secrets.token_hex(32))
    assert load_settings(config).privacy_key is not None


def test_a_pattern_of_files_in_a_bucket_is_no_query() -> None:
    assert draft_of("s3://bucket/part-?.csv").source.path == "s3://bucket/part-?.csv"
    assert draft_of("s3://bucket/year=2020/*.parquet").source.path == "s3://bucket/year=2020/*.parquet"


def test_a_message_cites_files_that_are_there(tmp_path: Path) -> None:
    config = tmp_path / "genome.toml"
    config.write_text("[calendar]\nstart = 2024-01-01\n", encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_settings(config)
    (cited,) = re.findall(r"every setting stands in (\S+)\)", str(raised.value))
    assert "[source.columns]" in Path(cited).read_text(encoding="utf-8")
    rule = '[[actions.rules]]\nname = "a"\naction = "b"\nreason = "c"\nwhen = [{column = "nothing", at_least = 1}]\n'
    config.write_text(GOOD + rule, encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_settings(config)
    (cited,) = re.findall(r"which (\S+) lists", str(raised.value))
    assert "customer_genome" in Path(cited).read_text(encoding="utf-8")
