"""The process's streams and signals, as the command line uses them."""

import os
import signal
import subprocess
import sys

import pytest

_SHOWN = "✓ José paid … 5 € to 田中"
_PRINT = (
    "from genome_pipeline.command.console import use_plain_characters; use_plain_characters();"
    f"from rich.console import Console; Console().print({_SHOWN!r})"
)
_WAIT = (
    "import time; from genome_pipeline.command import cli, console;"
    "cli.app = lambda: (print('ready', flush=True), time.sleep(60)); cli.main()"
)


@pytest.mark.parametrize(
    ("encoding", "shown"),
    [
        ("utf-8", _SHOWN),
        ("latin-1", r"+ José paid ... 5 \u20ac to \u7530\u4e2d"),
        ("ascii", r"+ Jos\xe9 paid ... 5 \u20ac to \u7530\u4e2d"),
    ],
)
def test_what_a_terminal_cannot_show_is_shown_in_plain_characters(encoding: str, shown: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding}
    done = subprocess.run([sys.executable, "-c", _PRINT], capture_output=True, env=environment, check=True)
    assert done.stdout.decode(encoding) == f"{shown}\n"


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interruption_is_told_in_a_sentence(number: signal.Signals, code: int) -> None:
    process = subprocess.Popen([sys.executable, "-c", _WAIT], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    _, told = process.communicate(timeout=30)
    assert told == ("genome: interrupted; what was published before stays, and the same command takes up from here\n")
    assert process.returncode == code
