"""`genome mcp`, started and asked as an MCP client does it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anyio
import pytest
from mcp import Client, StdioServerParameters, stdio_client

from genome_pipeline.command.cli import main

BIN = Path(sys.executable).parent
CONFIG = """
[source]
path = "log.csv"
[source.columns]
customer_id = "customer"
ordered_at = "day"
[calendar]
period = "month"
start = 2017-01-01
"""


@pytest.fixture
def config(tmp_path: Path, published_path: Path) -> Path:
    """The config of a home with a published file."""
    path = tmp_path / "genome.toml"
    path.write_text(f'home = "{tmp_path / "home"}"\n{CONFIG}\n[mcp]\nsingle_customers = true\n', encoding="utf-8")
    (tmp_path / "home" / "published").mkdir(parents=True)
    shutil.copy(published_path, tmp_path / "home" / "published" / "genome.duckdb")
    return path


def test_a_client_asks_over_standard_input_and_output(config: Path, tmp_path: Path) -> None:
    server = StdioServerParameters(command=str(BIN / "genome"), args=["mcp", "--config", str(config)])

    async def session(log: Any) -> tuple[list[str], dict[str, Any], str, str]:
        async with Client(stdio_client(server, errlog=log), mode="legacy") as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            total = await client.call_tool("measure", {"measures": ["expected_spend_amount"], "group_by": ["country"]})
            wrong = await client.call_tool("measure", {"measures": ["expected_spending"]})
            card = await client.call_tool("customer", {"customer_id": "C0010"})
            assert wrong.is_error
            assert not card.is_error
            return tools, total.structured_content or {}, wrong.content[0].text, client.server_info.name  # type: ignore[union-attr]

    with (tmp_path / "log").open("w+", encoding="utf-8") as log:
        tools, total, wrong, name = anyio.run(session, log)
        log.seek(0)
        assert log.read() == ""
    assert name == "customer-genome"
    assert "measure" in tools
    assert {group["customer_count"] for group in total["groups"]} == {100}
    assert wrong.startswith("there is no measure 'expected_spending' (did you mean 'expected_spend_amount'?)")
    (line,) = [json.loads(line) for path in (tmp_path / "home" / "audit").glob("*.jsonl") for line in path.open()]
    assert (line["event"], line["tool"], len(line["customers"])) == ("mcp", "customer", 1)
    assert "C0010" not in json.dumps(line)


@pytest.fixture
def started(config: Path, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A server that has answered once; ``TMPDIR`` is a folder of its own."""
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    with subprocess.Popen(
        [BIN / "genome", "mcp", "--config", config],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "ping"}) + "\n")
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["id"] == 1
        yield process
        process.kill()
    assert [*temporary.iterdir()] == []


@pytest.mark.slow
def test_it_ends_when_its_input_does_and_writes_nothing_else(started: subprocess.Popen[str]) -> None:
    assert started.communicate(timeout=60) == ("", "")
    assert started.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once(started: subprocess.Popen[str], number: signal.Signals) -> None:
    started.send_signal(number)
    assert started.wait(timeout=60) == 128 + number


def test_without_the_extra_it_says_how_to_install_it(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "mcp", None)
    monkeypatch.setattr(sys, "argv", ["genome", "mcp", "--config", str(config)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err == (
        "genome: `genome mcp` needs an extra that is not installed: pip install 'genome-pipeline[mcp]'\n"
    )


def test_what_cannot_be_recorded_is_not_told(
    config: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (config.parent / "home" / "audit").write_text("in the way", encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["genome", "mcp", "--config", str(config)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert "the audit log in" in capsys.readouterr().err
