"""What the published file says, for the terminal: the summary of a run and the card of one customer."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from genome_pipeline.contracts.published import not_ours, unreadable_because, version_in
from genome_pipeline.duckdb_connection import connect
from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import Settings
from genome_pipeline.sources.rows import literal

_QUALITY = {"orders": ("mae", "rmse"), "spend": ("mae", "gini"), "churn": ("brier", "auc")}

LATEST_CHECKS = """
    SELECT * FROM data_quality
    WHERE table_name <> 'published_genome' AND checked_at > coalesce(
        (SELECT max(published_at) FROM pipeline_runs WHERE published_at <
            (SELECT max(checked_at) FROM data_quality WHERE table_name <> 'published_genome')),
        TIMESTAMP '-infinity')
    QUALIFY rank() OVER (PARTITION BY table_name, check_name, period_start_date ORDER BY checked_at DESC) = 1
"""
"""The checks of what was published last, in the published file: by whichever runs, the latest of each.

They are those since the publication before; where it was published again with nothing checked, those of the first.
"""


class Published:
    """The published file, read-only."""

    def __init__(self, path: Path) -> None:
        if not path.exists():
            raise ConfigError(f"nothing is published at {path} yet: use `genome run` first")
        # A folder of its own for what does not fit in memory: DuckDB's beside the file would be every reader's.
        self._spilled = TemporaryDirectory(prefix="genome-")
        self.connection = connect(config={"temp_directory": f"{self._spilled.name}/spilled"})
        try:
            self.connection.execute(f"ATTACH {literal(str(path))} AS published (READ_ONLY)")
            self.connection.execute("USE published")
            reason = unreadable_because(version_in(self.connection))
        except duckdb.CatalogException:
            self.close()
            raise ConfigError(not_ours(path)) from None
        except duckdb.Error as error:
            self.close()
            raise ConfigError(
                f"{path} cannot be read ({str(error).strip().splitlines()[0]}): publish it again with `genome run`"
            ) from None
        if reason is not None:
            self.close()
            raise ConfigError(f"{path} cannot be read: {reason}")

    def __enter__(self) -> Published:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file free."""
        self.connection.close()
        self._spilled.cleanup()

    def latest(self) -> date:
        """The latest snapshot."""
        found: date = self.row("SELECT max(as_of) AS as_of FROM customer_genome_history")["as_of"]
        return found

    def names(self) -> list[str]:
        """Its tables and views."""
        return [row["table_name"] for row in self.rows("SELECT table_name FROM information_schema.tables ORDER BY 1")]

    def rows(self, query: str, values: list[Any] | None = None) -> list[dict[str, Any]]:
        """What the query finds: column -> value of each row."""
        cursor = self.connection.execute(query, values or [])
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def row(self, query: str, values: list[Any] | None = None) -> dict[str, Any]:
        """The first row of what the query finds; empty where it finds none."""
        found = self.rows(query, values)
        return found[0] if found else {}

    def genome(self, customer_id: str, as_of: date) -> dict[str, Any]:
        """The customer's row of ``customer_genome``.

        Raises :class:`ConfigError`, with close ids where there are some, when the customer is unknown.
        """
        found = self.row(
            "SELECT * FROM customer_genome_history WHERE as_of = ? AND customer_id = ?", [as_of, customer_id]
        )
        if not found:
            close = self.rows(
                "SELECT customer_id FROM customer_genome_history WHERE as_of = ? AND starts_with(customer_id, ?)"
                " ORDER BY 1 LIMIT 5",
                [as_of, customer_id],
            )
            ids = ", ".join(row["customer_id"] for row in close)
            raise ConfigError(
                f"no customer {customer_id!r} in the snapshot of {as_of}"
                + (f"; ids that start so: {ids}" if ids else ": ids are as in the source, with leading zeros")
            )
        return found


def summarise(settings: Settings) -> dict[str, Any]:
    """The latest snapshot in numbers: rows, customers, segments, model quality beside naive, checks, places.

    Raises :class:`ConfigError` when nothing was published yet.
    """
    with Published(settings.published_path) as published:
        latest = published.row("SELECT * FROM pipeline_runs ORDER BY published_at DESC LIMIT 1")
        parameters = json.loads(latest["parameters"])
        quarantine = published.rows(
            "SELECT reason, sum(row_count)::BIGINT AS row_count FROM quarantine_reasons GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        segments = published.rows(
            "SELECT segment_name, customer_count, customer_share, spend_share FROM segment_profiles"
            " ORDER BY customer_count DESC, segment_name"
        )
        totals = published.row(
            "SELECT count(*) AS customers, sum(expected_spend) AS expected_spend,"
            " sum(revenue_at_stake_amount) FILTER (risk_band IN ('medium', 'high')) AS revenue_at_risk,"
            " avg(churn_probability) AS churn_probability,"
            " avg(confidence) AS confidence, bool_or(is_provisional) AS is_provisional FROM customer_genome"
        )
        abstentions = published.rows(
            "SELECT reason, count(*) AS customers FROM (SELECT unnest([value_abstain_reason, risk_abstain_reason]) AS"
            " reason FROM customer_genome) WHERE reason IS NOT NULL GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        quality = published.rows(
            "SELECT as_of, target, metric, max(metric_value) FILTER (predictor = 'model') AS model,"
            " max(metric_value) FILTER (predictor = 'naive') AS naive FROM model_performance WHERE slice_name = 'all'"
            " AND as_of = (SELECT max(as_of) FROM model_performance) GROUP BY ALL ORDER BY ALL"
        )
        checks = published.row(f"SELECT count(*) FILTER (is_passed) AS passed, count(*) AS run FROM ({LATEST_CHECKS})")
        warnings = published.rows(
            f"SELECT table_name, check_name, observed FROM ({LATEST_CHECKS}) WHERE NOT is_passed ORDER BY ALL"
        )
    return {
        "as_of": latest["as_of"],
        "forced_past": latest["forced_past"],
        "horizon_days": parameters["horizon_days"],
        "currency": parameters["currency"],
        "raw_rows": parameters["raw_row_count"],
        "validated_rows": parameters["validated_row_count"],
        "quarantined_rows": parameters["quarantined_row_count"],
        "pending_rows": parameters["raw_row_count"]
        - parameters["validated_row_count"]
        - parameters["quarantined_row_count"],
        "quarantine": quarantine,
        **totals,
        "segments": segments,
        "abstentions": abstentions,
        "quality": [row for row in quality if row["metric"] in _QUALITY[row["target"]]],
        "checks": checks,
        "failed_checks": warnings,
        "published_file": str(settings.published_path),
        "report_file": str(settings.report_path),
    }


def customer_card(settings: Settings, customer_id: str, as_of: date | None = None) -> dict[str, Any]:
    """Everything published of one customer at the latest snapshot (or at ``as_of``), with drivers and neighbours.

    Raises :class:`ConfigError`, with close ids where there are some, when the customer is unknown.
    """
    with Published(settings.published_path) as published:
        day = as_of or published.latest()
        genome = published.genome(customer_id, day)
        neighbors = published.rows(
            "SELECT neighbor_rank, neighbor_customer_id, similarity, shared_traits FROM customer_neighbors_history"
            " WHERE as_of = ? AND customer_id = ? ORDER BY neighbor_rank",
            [day, customer_id],
        )
        drivers = published.rows(
            "SELECT prediction, driver_rank, driver, contribution, contribution_change, explanation"
            " FROM customer_drivers_history WHERE as_of = ? AND customer_id = ? ORDER BY prediction, driver_rank",
            [day, customer_id],
        )
        run = published.row("SELECT parameters FROM pipeline_runs ORDER BY published_at DESC LIMIT 1")
    parameters = json.loads(run["parameters"])
    facts = {"genome": genome, "drivers": drivers, "neighbors": neighbors}
    return {**facts, **{k: parameters[k] for k in ("horizon_days", "currency")}}
