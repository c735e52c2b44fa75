"""What is installed in production is what was tested, and nothing more."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def pinned(lock: str) -> dict[str, str]:
    """Version, with its condition, of each package; all lines must carry hashes."""
    lines = re.findall(r"^([a-z0-9-]+)==([^\\\n]+?)(?: \\)?$", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE)
    return {name: version.partition(" ;")[0] for name, version in lines}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=,; ]", requirement)[0] for requirement in requirements}


def test_the_runtime_lock_pins_what_the_tests_run_on() -> None:
    everything, runtime = pinned("requirements.lock"), pinned("requirements.runtime.lock")
    assert len(runtime) > 100
    assert {name: version for name, version in runtime.items() if everything.get(name) != version} == {}


def test_the_runtime_lock_has_what_runs_and_no_development_tools() -> None:
    extras = PROJECT["optional-dependencies"]
    needed, runtime = (
        names([*PROJECT["dependencies"], *extras["production"]]),
        pinned("requirements.runtime.lock").keys(),
    )
    assert needed - runtime == set()
    assert (names(extras["dev"]) - needed) & runtime <= {"jsonschema", "uv"}
    assert {"pytest", "ruff", "mypy", "playwright"} & runtime == set()


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements.runtime.lock"])
def test_every_line_of_a_lock_has_a_hash_and_none_names_a_server(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]
    assert [block.splitlines()[0] for block in blocks if "--hash=sha256:" not in block] == []
    assert "://" not in text


def test_compose_starts_commands_that_there_are() -> None:
    compose: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    scripts = {script.name for script in entry_points(group="console_scripts")}
    commands = {name: service["command"] for name, service in compose["services"].items() if "command" in service}
    assert commands.keys() == {"first", "daemon", "webserver", "dashboard"}
    for command in commands.values():
        assert command[0] in scripts or (command[:2] == ["python", "-m"] and find_spec(command[2])), command
    published = [port for service in compose["services"].values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_image_is_built_from_the_runtime_lock_with_hashes() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes --requirement requirements.runtime.lock" in lines
    assert re.findall(r"^USER (\S+)$", lines, re.MULTILINE) == ["10001"]
