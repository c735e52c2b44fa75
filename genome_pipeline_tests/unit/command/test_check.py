"""`genome check`, from a bare export to a config that is ready."""

import json
import re
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from genome_pipeline.command import cli
from genome_pipeline.settings import load_settings

GERMAN_ROWS = [
    "InvoiceNo;StockCode;Text;Quantity;InvoiceDate;UnitPrice;CustomerID",
    *(
        f"{500 + number // 2};A{number % 7};Crème [bold];2;{number % 28 + 1:02}/03/2019 10:00;1.2{number % 10}4,50 €;"
        + (f"c{number % 11}" if number % 10 else "")
        for number in range(60)
    ),
    "600;A1;Crème;2;01/04/2019 10:00;1.244,50 F;c1",
]


class Command:
    """The `genome` command in a folder."""

    def __init__(self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self._capsys = capsys
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("COLUMNS", "80")

    def run(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output and standard error."""
        self._monkeypatch.setattr("sys.argv", ["genome", *arguments])
        with pytest.raises(SystemExit) as left:
            cli.main()
        out, err = self._capsys.readouterr()
        return int(left.value.code or 0), out, err

    def facts(self, *arguments: str) -> dict[str, Any]:
        code, out, err = self.run("check", "--json", *arguments)
        assert (code, err) == (0, "")
        found = json.loads(out)
        assert isinstance(found, dict)
        return found


@pytest.fixture
def genome(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.chdir(tmp_path)
    return Command(capsys, monkeypatch)


def write(path: Path, lines: Sequence[str], encoding: str = "utf-8") -> None:
    path.write_text("\n".join(lines) + "\n", encoding=encoding)


def test_an_export_without_a_config_gives_a_config_that_runs(
    tmp_path: Path, genome: Command, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path / "export.csv", GERMAN_ROWS, "cp1252")
    code, out, err = genome.run("check", "export.csv")
    assert (code, err) == (0, "")
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "fields separated by semicolons, cp1252" in out
    assert "Not mapped: Text" in out
    assert re.search(r"missing_customer +6  row 1: CustomerID = nothing", out)
    assert re.search(r"unreadable_number +1  row 61: Quantity = '2', UnitPrice = '1.244,50 F'", out)
    assert max(map(len, out.splitlines())) <= 80

    text = out[out.index("[source]") :]
    (tmp_path / "genome.toml").write_text(text, encoding="utf-8")
    settings = load_settings(tmp_path / "genome.toml")
    assert settings.source.columns.mapped == {
        "customer_id": "CustomerID",
        "ordered_at": "InvoiceDate",
        "order_id": "InvoiceNo",
        "product_id": "StockCode",
        "quantity": "Quantity",
        "unit_price": "UnitPrice",
    }
    formats = settings.source.formats
    assert (formats.decimal, formats.thousands, formats.currency) == (",", ".", "EUR")
    assert formats.date_formats == ("%d/%m/%Y %H:%M",)
    assert settings.calendar.start == date(2019, 3, 1)

    facts = genome.facts()
    assert (facts["config"], facts["missing"], facts["quarantined_rows"]) == (None, [], 7)
    assert facts["first_rows"][1]["amount"] == "2429.00"
    assert "ready: `genome run` takes it from here" in genome.run("check")[1]


def test_facts_as_data(tmp_path: Path, genome: Command) -> None:
    write(tmp_path / "a.csv", ["customer,date,total", *(f"c{n % 5},2020-02-{n % 28 + 1:02},5.00" for n in range(40))])
    facts = genome.facts("a.csv")
    assert facts["columns"][0] == {
        "ours": "customer_id",
        "theirs": "customer",
        "type": "VARCHAR",
        "examples": ["c0", "c1", "c2"],
        "guessed_by": "known name",
    }
    assert facts["first_rows"][0] == {
        "customer_id": "c0",
        "ordered_at": "2020-02-01 00:00:00",
        "amount": "5.00",
        "reasons": [],
    }
    assert (facts["sample_rows"], facts["quarantine"], facts["warnings"]) == (40, [], [])
    assert (facts["first_ordered_at"], facts["last_ordered_at"]) == ("2020-02-01 00:00:00", "2020-02-28 00:00:00")


def test_ambiguous_dates_are_left_to_the_user(tmp_path: Path, genome: Command) -> None:
    write(tmp_path / "a.csv", ["customer,date,total", *(f"c{n % 5},0{n % 9 + 1}/02/2020,5.00" for n in range(40))])
    code, out, err = genome.run("check", "a.csv")
    assert code == 2
    assert "'%d/%m/%Y' or '%m/%d/%Y'" in " ".join(out.split())
    assert "# date_format =" in out
    assert err == (
        "genome: source.date_format could not be guessed: write it in genome.toml, and check again with"
        " `genome check`\n"
    )


def test_the_whole_log_tells_day_from_month(tmp_path: Path, genome: Command) -> None:
    days = [f"{number // 150 % 28 + 1:02}/02/2020" for number in range(4_000)]
    write(tmp_path / "a.csv", ["customer,date,total", *(f"c{n % 5},{day},5.00" for n, day in enumerate(days))])
    assert 'date_format = "%d/%m/%Y"' in genome.facts("a.csv")["config"]


def test_what_cannot_be_guessed_is_named(tmp_path: Path, genome: Command) -> None:
    write(tmp_path / "a.csv", ["x,y", "1,2"])
    code, out, err = genome.run("check", "a.csv")
    assert code == 2
    assert "# customer_id =" in out
    assert err.startswith("genome: source.columns.customer_id and source.columns.ordered_at could not be guessed:")


def test_a_half_written_config_is_completed(tmp_path: Path, genome: Command) -> None:
    write(tmp_path / "a.csv", ["account,customer,date,total", "a1,c1,2020-02-03,5", "a1,c2,2020-02-04,5"])
    write(tmp_path / "g.toml", ['[source]\npath = "a.csv"\n[source.columns]\ncustomer_id = "account"'])
    code, _, err = genome.run("run", "--config", "g.toml")
    assert (code, err) == (
        2,
        "genome: g.toml does not say source.columns.ordered_at and calendar.start: `genome check --config g.toml` looks"
        " at the source and prints what to add\n",
    )
    config = genome.facts("--config", "g.toml")["config"]
    write(tmp_path / "g.toml", [config])
    settings = load_settings(Path("g.toml"))
    assert settings.source.columns.mapped == {"customer_id": "account", "ordered_at": "date", "amount": "total"}
    assert settings.source.path == str(tmp_path / "a.csv")


def test_a_whole_config_is_held_against_the_values(tmp_path: Path, genome: Command) -> None:
    write(tmp_path / "a.csv", ["customer,date,total,country", *['c1,2020-02-03,"5,50",FR'] * 3])
    write(
        tmp_path / "genome.toml",
        [
            '[source]\npath = "a.csv"\n[source.columns]\ncustomer_id = "customer"\nordered_at = "date"',
            'amount = "total"\n[calendar]\nstart = 2020-01-01',
        ],
    )
    assert genome.facts()["warnings"] == [
        "column 'country' looks like country, and is not mapped",
        'judging by the values, set source.decimal = ","',
        "100% of the sampled rows would be quarantined: unreadable_number",
    ]


def test_a_whole_config_whose_dates_are_not_read_is_refused(tmp_path: Path, genome: Command) -> None:
    write(tmp_path / "a.csv", ["customer,date", "c1,31/01/2020"])
    columns = '[source.columns]\ncustomer_id = "customer"\nordered_at = "date"'
    write(tmp_path / "genome.toml", [f'[source]\npath = "a.csv"\n{columns}\n[calendar]\nstart = 2020-01-01'])
    assert genome.run("check") == (
        2,
        "",
        "genome: a.csv: no value in column 'date' can be read as a date, such as '31/01/2020': judging by the values,"
        ' set source.date_format = "%d/%m/%Y"\n',
    )


def test_another_file_can_be_held_against_a_config(tmp_path: Path, genome: Command) -> None:
    write(tmp_path / "a.csv", ["customer,date", "c1,2020-02-03"])
    write(tmp_path / "b.csv", ["client,date", "c1,2020-02-03"])
    columns = '[source.columns]\ncustomer_id = "customer"\nordered_at = "date"'
    write(tmp_path / "genome.toml", [f'[source]\npath = "a.csv"\n{columns}\n[calendar]\nstart = 2020-01-01'])
    assert genome.facts("b.csv")["columns"][0]["theirs"] == "client"
    code, _, err = genome.run("check", "b.csv", "--config", "genome.toml")
    assert code == 2
    assert err.startswith("genome: b.csv has no column 'customer' (source.columns.customer_id)")


def test_data_do_not_command_the_terminal(tmp_path: Path, genome: Command) -> None:
    rows = (f"[red]\x1b[31m{n % 3},2020-02-03,5" for n in range(6))
    write(tmp_path / "a.csv", ["customer [/bold],date,total", *rows])
    write(tmp_path / "g.toml", ['[source]\npath = "a.csv"\n[source.columns]\ncustomer_id = "customer [/bold]"'])
    code, out, _ = genome.run("check", "--config", "g.toml")
    assert code == 0
    assert "[red]\ufffd[31m" in out
    assert "\x1b[31m" not in out
    assert 'customer_id = "customer [/bold]"' in out


def test_a_file_without_column_names(tmp_path: Path, genome: Command) -> None:
    write(tmp_path / "a.csv", ["00001,19970101,11.77", "00001,19970102,12.77"])
    assert genome.run("check", "a.csv") == (
        2,
        "",
        "genome: a.csv: the first line holds values (00001, 19970101, 11.77), not the names of the columns: write the"
        " names above it, or save a config with source.header = false and name the columns by number (customer_id ="
        " 1)\n",
    )


def test_columns_without_names_are_guessed_by_their_values(tmp_path: Path, genome: Command) -> None:
    write(tmp_path / "a.csv", [f"{n % 9:05},2020-02-{n % 28 + 1:02},{n}.77" for n in range(60)])
    write(tmp_path / "g.toml", ['[source]\npath = "a.csv"\nheader = false'])
    code, out, _ = genome.run("check", "--config", "g.toml")
    assert code == 0
    assert 'customer_id = "1"' in out
    assert 'ordered_at = "2"' in out
    assert "header = false" in out


def test_a_lone_early_date_does_not_set_the_calendar(tmp_path: Path, genome: Command) -> None:
    rows = ["customer,date,total", "c1,1900-01-01,5", *(f"c{n % 50},2020-02-{n % 28 + 1:02},5" for n in range(2_000))]
    write(tmp_path / "a.csv", rows)
    facts = genome.facts("a.csv")
    assert "start = 2020-02-01" in facts["config"]
    assert facts["warnings"][0].startswith("some dates are long before the others, the first 1900-01-01")


def test_an_order_total_is_left_out_where_prices_are_there(tmp_path: Path, genome: Command) -> None:
    rows = [f"c{n % 5},o{n // 2},2020-02-03,1,{n + 1}.00,{(n // 2) * 4 + 3}.00" for n in range(20)]
    write(tmp_path / "a.csv", ["customer,order,date,qty,price,total", *rows])
    facts = genome.facts("a.csv")
    assert "amount" not in [column["ours"] for column in facts["columns"]]
    assert facts["warnings"] == [
        "'total' is left out: it is the same on all lines of an order, so it is the order's total"
    ]


def test_orders_after_this_moment_may_be_of_another_zone(tmp_path: Path, genome: Command) -> None:
    write(tmp_path / "a.csv", ["customer,date,total", *["c1,2020-02-03,5"] * 20, "c1,2999-01-01,5"])
    assert genome.facts("a.csv")["warnings"] == [
        "some orders are dated after this moment in UTC: where the log's clock is another, set source.time_zone"
    ]


def test_a_column_of_currencies_is_no_typed_one(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("customer_id,order_date,amount,currency\n1,2024-01-05,5.00,EUR\n1,2024-01-06,6.00,EUR\n", "utf-8")
    done = CliRunner().invoke(cli.app, ["check", str(log), "--json"])
    assert done.exit_code == 0, done.output
    facts = json.loads(done.stdout)
    assert {"ours": "currency", "theirs": "currency"}.items() <= facts["columns"][-1].items()
    assert [row["amount"] for row in facts["first_rows"]] == ["5.00", "6.00"]


def test_the_config_and_its_schema_are_written_where_there_are_none(genome: Command, tmp_path: Path) -> None:
    write(tmp_path / "export.csv", ["customer,date,amount", "c1,2024-01-15,2.50", "c2,2024-02-03,4.00"])
    code, out, _ = genome.run("check", "export.csv", "--write")
    assert (code, out.splitlines()[-1]) == (0, "genome.toml and genome.schema.json written")
    assert (tmp_path / "genome.toml").read_text(encoding="utf-8").startswith("#:schema ./genome.schema.json\n")
    assert load_settings().source.columns.customer_id == "customer"
    assert '"horizon_days"' in (tmp_path / "genome.schema.json").read_text(encoding="utf-8")


def test_a_config_that_is_there_is_not_written_over(genome: Command, tmp_path: Path) -> None:
    write(tmp_path / "export.csv", ["customer,date,amount", "c1,2024-01-15,2.50"])
    (tmp_path / "genome.toml").write_text("# mine\n", encoding="utf-8")
    code, _, err = genome.run("check", "export.csv", "--write")
    assert (code, "genome.toml is there, and was left as it is" in err) == (2, True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export.csv", "genome.toml"]
    assert (tmp_path / "genome.toml").read_text(encoding="utf-8") == "# mine\n"


def test_the_schema_of_a_config_is_made_anew(genome: Command, tmp_path: Path) -> None:
    write(tmp_path / "export.csv", ["customer,date,amount", "c1,2024-01-15,2.50"])
    genome.run("check", "export.csv", "--write")
    (tmp_path / "genome.schema.json").write_text("of an older version", encoding="utf-8")
    before = (tmp_path / "genome.toml").read_bytes()
    assert json.loads(genome.run("check", "--write", "--json")[1])["written"] == ["genome.schema.json"]
    assert json.loads((tmp_path / "genome.schema.json").read_text(encoding="utf-8"))["title"] == "genome.toml"
    assert (tmp_path / "genome.toml").read_bytes() == before
