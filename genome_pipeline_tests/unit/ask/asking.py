"""A server in this process, and what it answers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
from mcp.server.mcpserver.exceptions import ToolError
from mcp.types import CallToolResult

from genome_pipeline.ask.server import Seen, genome_server
from genome_pipeline.published.versions import PublishedFile

Ask = Callable[..., dict[str, Any]]


def asking(path: Path, seen: Seen | None = None) -> Ask:
    """Calls a tool of a server on the file, by name and arguments, and gives its structured answer."""
    server = genome_server(PublishedFile(path), seen)

    def ask(tool: str, **arguments: Any) -> dict[str, Any]:
        result = anyio.run(server.call_tool, tool, arguments)
        assert isinstance(result, CallToolResult)
        assert result.structured_content is not None
        return dict(result.structured_content)

    return ask


def mistake(ask: Ask, tool: str, **arguments: Any) -> str:
    """The sentence with which the server refuses a call."""
    try:
        ask(tool, **arguments)
    except ToolError as error:
        return str(error)
    raise AssertionError(f"{tool} answered")


def plain(value: Any) -> Any:
    """A value without the mark of a text of the data."""
    return value["from_data"] if isinstance(value, dict) and [*value] == ["from_data"] else value
