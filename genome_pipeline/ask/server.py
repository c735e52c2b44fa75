"""The Model Context Protocol server on the published file: read-only tools, over standard input and output.

The list of tools, with their descriptions and schemas, is the same whatever the data say. A mistake of the asker is one
sentence; what is unforeseen stays in the server's own log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import Annotated, Any

import duckdb
from mcp.server import MCPServer
from mcp.server.mcpserver import Context
from mcp.server.mcpserver.exceptions import ToolError, UnexpectedToolError
from mcp.types import CallToolResult, InputRequiredResult, ToolAnnotations
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genome_pipeline import __version__
from genome_pipeline.ask import customers, questions
from genome_pipeline.ask.answers import (
    READING,
    Audiences,
    Customer,
    Customers,
    DataQuality,
    Description,
    Experiments,
    Groups,
    Segments,
    Totals,
    TrackRecords,
    quoted,
)
from genome_pipeline.ask.disclosure import LEAST_GROUP
from genome_pipeline.ask.groups import Question
from genome_pipeline.ask.measures import DIMENSIONS, MEASURES
from genome_pipeline.ask.records import SLICES, TARGETS
from genome_pipeline.errors import ConfigError, not_found
from genome_pipeline.published.reader import Reader
from genome_pipeline.published.versions import PublishedFile

INSTRUCTIONS = (
    "Customer Genome: what a shop's customers did, and what is expected of them. Ask describe first: it lists the"
    f" measures and columns. {READING} Where an answer refuses something, say so and why; do not work it out from other"
    " answers."
)
Seen = Callable[[str, Sequence[str]], None]
"""Told of every tool that answers on single customers, and of which, before it does."""


def _named(description: str, names: Sequence[str]) -> Any:
    # The schema lists the names; the server says of another one which it may mean.
    return Field(description=description, json_schema_extra={"enum": [*names]})


class Filter(BaseModel):
    """Customers with one value of a column."""

    model_config = ConfigDict(extra="forbid")

    column: Annotated[str, _named("Column, as describe lists it.", [*DIMENSIONS])]
    value: str | None = Field(description="Its value, as describe or an earlier answer shows it; null: not known.")


_Measure = Annotated[str, _named("Measure, as describe lists it.", [*MEASURES])]
_Column = Annotated[str, _named("Column, as describe lists it.", [*DIMENSIONS])]
_AsOf = Annotated[date | None, Field(description="Snapshot; the latest if left out.")]
_Filters = Annotated[list[Filter], Field(max_length=3, description="All of them hold.")]


class Tools:
    """The tools. Each opens the file anew where another version was published, and answers from one version."""

    def __init__(self, file: PublishedFile, seen: Seen | None) -> None:
        """``seen`` is None where single customers are not told."""
        self._file = file
        self._seen = seen
        self._least = LEAST_GROUP if seen is None else 1

    @contextmanager
    def _published(self) -> Iterator[Reader]:
        with self._file.connect() as connection:
            yield Reader(connection)

    def describe(self) -> Description:
        """What may be asked: measures, columns to group and filter by with their values, snapshots. Ask this first."""
        with self._published() as published:
            return questions.described(published, self._least)

    def measure(
        self,
        measures: Annotated[list[_Measure], Field(min_length=1, max_length=8)],
        group_by: Annotated[list[_Column], Field(max_length=2, description="None: all customers in one.")] = [],  # noqa: B006
        filters: _Filters = [],  # noqa: B006
        as_of: _AsOf = None,
    ) -> Groups:
        """Measures of groups of customers: counts, spend, and forecasts with the interval of exactly this group."""
        question = Question(tuple(measures), tuple(group_by), _pairs(filters))
        with self._published() as published:
            return questions.measured(published, question, as_of, self._least)

    def segments(self) -> Segments:
        """The behavioural segments: size, spend, what is expected and at stake, what sets each apart, what changed."""
        with self._published() as published:
            return questions.segments(published, self._least)

    def audiences(self) -> Audiences:
        """Whom each rule of the playbook picks, what is expected of them, and what became of those it picked before."""
        with self._published() as published:
            return questions.audiences(published, self._least)

    def forecast(
        self,
        group: Annotated[
            str, _named("All customers, every segment or every cohort.", questions.TOTAL_KINDS)
        ] = "company",
        horizon_days: Annotated[int | None, Field(description="Horizon; all of them if left out.")] = None,
    ) -> Totals:
        """What today's customers together will bring over each horizon, with intervals of the total."""
        with self._published() as published:
            return questions.totals(published, group, horizon_days, self._least)

    def track_record(
        self,
        about: Annotated[str | None, _named("What was forecast; all if left out.", TARGETS)] = None,
        by: Annotated[str, _named("Slice of the customers.", SLICES)] = "all",
    ) -> TrackRecords:
        """How forecasts turned out beside the naive baseline: of all customers at every snapshot, of slices lately."""
        with self._published() as published:
            return questions.track_record(published, about, by, self._least)

    def data_quality(self) -> DataQuality:
        """Rows kept and set aside, with reasons; checks that failed; genes that drifted."""
        with self._published() as published:
            return questions.data_quality(published)

    def experiments(
        self, experiment_id: Annotated[str | None, Field(description="One of them, with every look.")] = None
    ) -> Experiments:
        """What acting on customers brought, against customers left alone by chance: effects, intervals, verdicts."""
        with self._published() as published:
            return questions.experiments(published, experiment_id)

    def customers(
        self,
        filters: _Filters = [],  # noqa: B006
        order_by: Annotated[str, _named("Largest first.", customers.ORDERS)] = customers.ORDERS[0],
        count: Annotated[int, Field(ge=1, le=customers.MOST_CUSTOMERS)] = 10,
    ) -> Customers:
        """Single customers of a group, with their forecasts. Refused unless the operator has allowed it."""
        with self._published() as published:
            if self._seen is None:
                return customers.no_customers(published)
            answer = customers.customers(published, _pairs(filters), order_by, count)
            self._seen("customers", [_id(each["customer_id"]) for each in answer.customers])
            return answer

    def customer(
        self,
        customer_id: Annotated[str, Field(description="As published: a pseudonym, where pseudonyms are switched on.")],
        as_of: _AsOf = None,
    ) -> Customer:
        """Every published fact about one customer. Refused unless the operator has allowed it."""
        with self._published() as published:
            if self._seen is None:
                return customers.no_customer(published)
            self._seen("customer", [customer_id])
            return customers.customer(published, customer_id, as_of)


class GenomeServer(MCPServer[Any]):
    """A server whose errors are one sentence each."""

    async def call_tool(
        self, name: str, arguments: dict[str, Any], context: Context[Any, Any] | None = None
    ) -> CallToolResult | InputRequiredResult:
        """As the base class; raises :class:`ToolError` with the sentence."""
        tools = {tool.name: tool.input_schema["properties"] for tool in await self.list_tools()}
        if name not in tools:
            raise ToolError(str(not_found("tool", quoted(name), [*tools])))
        for argument in arguments:
            if argument not in tools[name]:
                raise ToolError(str(not_found(f"argument of {name}", quoted(argument), [*tools[name]])))
        try:
            return await super().call_tool(name, arguments, context)
        except ToolError as error:
            cause = error.__cause__
            if isinstance(cause, ConfigError):
                raise ToolError(str(cause)) from None
            if isinstance(cause, ValidationError):
                raise ToolError(_sentence(cause)) from None
            if isinstance(cause, duckdb.InterruptException):
                raise ToolError("the answer takes too long: ask for fewer columns") from None
            if isinstance(error, UnexpectedToolError):
                raise
            raise ToolError(str(error)) from None


def genome_server(file: PublishedFile, seen: Seen | None) -> GenomeServer:
    """The server on a published file; ``seen`` is None where single customers are not told."""
    server = GenomeServer("customer-genome", version=__version__, instructions=INSTRUCTIONS, log_level="ERROR")
    tools = Tools(file, seen)
    reads_only = ToolAnnotations(
        read_only_hint=True, destructive_hint=False, idempotent_hint=True, open_world_hint=False
    )
    for tool in (
        tools.describe,
        tools.measure,
        tools.segments,
        tools.audiences,
        tools.forecast,
        tools.track_record,
        tools.data_quality,
        tools.experiments,
        tools.customers,
        tools.customer,
    ):
        server.add_tool(tool, annotations=reads_only)
    return server


def _pairs(filters: Sequence[Filter]) -> tuple[tuple[str, str | None], ...]:
    return tuple((each.column, each.value) for each in filters)


def _id(value: Any) -> str:
    return value.from_data if hasattr(value, "from_data") else str(value)


def _sentence(error: ValidationError) -> str:
    """The first mistake in the arguments, in one sentence."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"])) or "the arguments"
    return f"{quoted(place)}: {first['msg'][:1].lower()}{first['msg'][1:]}"
