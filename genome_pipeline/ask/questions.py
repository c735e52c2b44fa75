"""The answers to all questions on groups of customers, from a file that is open."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date
from typing import Any, Literal

from genome_pipeline.ask.answers import (
    Audience,
    Audiences,
    Basis,
    DataQuality,
    Description,
    Experiments,
    FromData,
    Groups,
    Measured,
    Named,
    Refusal,
    Segment,
    Segments,
    Total,
    Totals,
    TrackRecords,
    from_data,
    number,
    quoted,
    row,
)
from genome_pipeline.ask.disclosure import hidden
from genome_pipeline.ask.groups import MOST_GROUPS, TOO_SMALL, Question, groups_of, named, values_of
from genome_pipeline.ask.measures import DIMENSIONS, MEASURES
from genome_pipeline.ask.records import NOTHING_MATURED, SLICES, TARGETS, backtests, further_records, record_of
from genome_pipeline.contracts.columns.totals import TOTALS
from genome_pipeline.errors import ConfigError, not_found
from genome_pipeline.published.reader import LATEST_CHECKS, Reader

TotalKind = Literal["company", "segment", "cohort"]
TOTAL_KINDS = ("company", "segment", "cohort")

_SEGMENT = ("recent_spend_amount", "expected_spend_amount", "revenue_at_stake_amount", "mean_churn_probability")
_AUDIENCE = (*TOTALS, "revenue_at_stake_amount")
_BACKTEST = (
    "matured_customer_count",
    "actual_churn_share",
    "average_churn_share",
    "churn_lift_ratio",
    "concurrent_churn_share",
    "actual_mean_spend_amount",
    "spend_lift_ratio",
)


def basis_of(published: Reader, as_of: date) -> Basis:
    """What an answer on a snapshot rests on."""
    parameters = published.parameters()
    facts = published.row(
        "SELECT bool_or(is_provisional) AS is_provisional, (SELECT max(published_at) FROM pipeline_runs) AS"
        " published_at FROM customer_genome_history WHERE as_of = ?",
        [as_of],
    )
    return Basis(
        as_of=as_of,
        published_at=facts["published_at"],
        is_provisional=bool(facts["is_provisional"]),
        currency=FromData(from_data=quoted(str(parameters["currency"]))),
        horizon_days=parameters["horizon_days"],
        interval_level=parameters["interval_level"],
    )


def snapshot_of(published: Reader, as_of: date | None) -> date:
    """The snapshot asked for, or the latest. Raises :class:`ConfigError` where there is none of that day."""
    if as_of is None:
        return published.latest()
    known = snapshots(published)
    if as_of not in known:
        nearest = sorted(known, key=lambda day: abs(day - as_of))[:3]
        raise ConfigError(f"there is no snapshot of {as_of}; the nearest: {', '.join(map(str, sorted(nearest)))}")
    return as_of


def snapshots(published: Reader) -> list[date]:
    """All snapshots, oldest first."""
    return [each["as_of"] for each in published.rows("SELECT DISTINCT as_of FROM customer_genome_history ORDER BY 1")]


def described(published: Reader, least: int) -> Description:
    """What may be asked, and the snapshot that is asked of."""
    as_of = published.latest()
    total = published.row("SELECT count(*) AS customers FROM customer_genome")
    return Description(
        basis=basis_of(published, as_of),
        refusals=[],
        track_record=[],
        customer_count=total["customers"],
        snapshots=snapshots(published),
        measures=[Named(name=name, description=measure.description) for name, measure in MEASURES.items()],
        columns=[
            Named(
                name=name,
                description=column.description,
                values=values_of(published, as_of, name, least) if column.values is None else [*column.values],
            )
            for name, column in DIMENSIONS.items()
        ],
        single_customers=least == 1,
        least_group=least,
    )


def measured(published: Reader, question: Question, as_of: date | None, least: int) -> Groups:
    """The groups of a question, with how such statements did before."""
    day = snapshot_of(published, as_of)
    found = groups_of(published, day, question, least)
    track_record, unknown = record_of(published, _targets(question.measures))
    return Groups(
        basis=basis_of(published, day),
        refusals=found.refusals + unknown,
        track_record=track_record,
        groups=found.groups,
    )


def segments(published: Reader, least: int) -> Segments:
    """Every segment of the latest snapshot, as far as it is large enough."""
    answer = measured(published, Question(_SEGMENT, ("segment_name",)), None, least)
    profiles = {each["segment_name"]: each for each in published.rows("FROM segment_profiles")}
    by_shown = {quoted(name): profile for name, profile in profiles.items()}
    events = published.rows("FROM segment_events ORDER BY segment_id, event")
    found = []
    for group in answer.groups:
        profile = by_shown[_name(group.of["segment_name"])]
        found.append(
            Segment(
                **group.model_dump(),
                customer_share=round(profile["customer_share"], 4),
                what_sets_it_apart=from_data(profile["distinguishing_genes"]),
                overbought_categories=from_data(profile["overbought_categories"]),
                events=[row(event) for event in events if event["segment_id"] == profile["segment_id"]],
            )
        )
    return Segments(**_envelope(answer), segments=found)


def audiences(published: Reader, least: int) -> Audiences:
    """Every rule of the playbook whose audience at the latest snapshot is large enough."""
    answer = measured(published, Question(_AUDIENCE, ("action_rule",)), None, least)
    rules = {quoted(each["action_rule"]): each for each in published.rows("FROM action_audiences")}
    proofs = published.rows("FROM rule_proofs ORDER BY action_rule, outcome_name")
    found = []
    for group in answer.groups:
        name = _name(group.of["action_rule"])
        # Customers who wait, or who are left alone by an experiment, are in the audience of no rule.
        rule = rules.get(name, {})
        is_known = (rule.get("matured_customer_count") or 0) >= least
        found.append(
            Audience(
                **group.model_dump(),
                action=from_data(rule.get("action")),
                condition=from_data(rule.get("rule_condition")),
                backtest=row({column: rule[column] for column in _BACKTEST}) if is_known else {},
                proofs=[row(proof) for proof in proofs if quoted(proof["action_rule"]) == name],
            )
        )
    return Audiences(**_envelope(answer), audiences=found)


_KNOWN = """
    SELECT horizon_days, {key} AS group_key, count(*) AS customers, count(outlook.churn_probability) AS buyers,
        count(outlook.expected_orders) AS orders, count(outlook.expected_spend) AS spend
    FROM customer_outlook AS outlook JOIN customer_genome AS genome USING (as_of, customer_id)
    GROUP BY ALL
"""
"""Of how many customers each total is: ``forecast_totals`` counts those without a prediction, too."""


def totals(published: Reader, kind: str, horizon_days: int | None, least: int) -> Totals:
    """What is expected of groups of one kind together, over one horizon or all."""
    if kind not in TOTAL_KINDS:
        raise not_found("kind", quoted(kind), TOTAL_KINDS)
    as_of = published.latest()
    horizons = [
        each["horizon_days"] for each in published.rows("SELECT DISTINCT horizon_days FROM forecast_totals ORDER BY 1")
    ]
    if horizon_days is not None and horizon_days not in horizons:
        raise ConfigError(f"there is no horizon of {horizon_days} days; there are {', '.join(map(str, horizons))}")
    unit = "week" if published.parameters()["period"] == "week" else "month"
    keys = {
        "company": "'all'",
        "segment": "CAST(segment_id AS VARCHAR)",
        "cohort": f"CAST(CAST(date_trunc('{unit}', first_order_date) AS DATE) AS VARCHAR)",
    }
    known = {
        (each["horizon_days"], each["group_key"]): [each["customers"], each["buyers"], each["orders"], each["spend"]]
        for each in published.rows(_KNOWN.format(key=keys[kind]))
    }
    found: list[Total] = []
    hidden_count = 0
    for days in horizons if horizon_days is None else [horizon_days]:
        rows = published.rows(
            "FROM forecast_totals WHERE group_kind = ? AND horizon_days = ? ORDER BY customer_count DESC, group_key",
            [kind, days],
        )
        cells = [(each["group_key"],) for each in rows]
        counts = [known.get((days, each["group_key"]), [0] * 4) for each in rows]
        too_small, *unknown = (hidden(cells, [count[place] for count in counts], least) for place in range(4))
        shown = [position for position in range(len(rows)) if position not in too_small]
        hidden_count += len(too_small)
        found += [
            _total(rows[position], kind, counts[position][1:], [position in each for each in unknown])
            for position in shown[:MOST_GROUPS]
        ]
    track_record, refusals = record_of(published, TARGETS)
    further = [
        record for record in further_records(published) if record.horizon_days in {each.horizon_days for each in found}
    ]
    if hidden_count:
        refusals.append(Refusal(what=f"{hidden_count} totals", why=TOO_SMALL))
    return Totals(
        basis=basis_of(published, as_of), refusals=refusals, track_record=track_record + further, totals=found
    )


def _total(total: dict[str, Any], kind: str, known: Sequence[int], is_hidden: Sequence[bool]) -> Total:
    reason = from_data(total["abstain_reason"])
    measures = [
        Measured(measure=name, value=None, known_count=None, why_missing=f"values are known of {TOO_SMALL}")
        if is_small
        else Measured(
            measure=name,
            value=number(total[name]),
            lower=number(total[f"{name}_lower"]),
            upper=number(total[f"{name}_upper"]),
            known_count=count,
            why_missing=reason if total[f"{name}_lower"] is None else None,
        )
        for name, count, is_small in zip(TOTALS, known, is_hidden, strict=True)
    ]
    return Total(
        group="all customers" if kind == "company" else FromData(from_data=quoted(total["group_name"])),
        horizon_days=total["horizon_days"],
        customer_count=total["customer_count"],
        is_extrapolated=total["is_extrapolated"],
        measured=measures,
    )


def track_record(published: Reader, about: str | None, slice_name: str, least: int) -> TrackRecords:
    """How forecasts turned out: of all customers at every snapshot that matured, of slices at the latest."""
    if about is not None and about not in TARGETS:
        raise not_found("kind of forecast", quoted(about), TARGETS)
    if slice_name not in SLICES:
        raise not_found("slice", quoted(slice_name), SLICES)
    is_sliced = slice_name != "all"
    found = backtests(published, TARGETS if about is None else (about,), slice_name, least, latest=is_sliced)
    if not is_sliced:
        found += [record for record in further_records(published) if about in (None, record.about)]
    refusals = [] if found else [Refusal(what="how forecasts did before", why=NOTHING_MATURED)]
    return TrackRecords(basis=basis_of(published, published.latest()), refusals=refusals, track_record=found)


def data_quality(published: Reader) -> DataQuality:
    """Rows kept and set aside, checks, drift."""
    as_of, parameters = published.latest(), published.parameters()
    counts = {name: int(parameters[f"{name}_row_count"]) for name in ("raw", "validated", "quarantined")}
    checks = published.rows(f"SELECT * FROM ({LATEST_CHECKS}) ORDER BY table_name, check_name, period_start_date")
    told = ("table_name", "check_name", "severity", "observed")
    forced = published.row("SELECT forced_past FROM pipeline_runs ORDER BY published_at DESC LIMIT 1")["forced_past"]
    return DataQuality(
        basis=basis_of(published, as_of),
        refusals=[],
        track_record=[],
        rows={**counts, "pending": counts["raw"] - counts["validated"] - counts["quarantined"]},
        quarantine=[
            row(each)
            for each in published.rows(
                "SELECT reason, sum(row_count)::BIGINT AS row_count FROM quarantine_reasons GROUP BY 1"
                " ORDER BY 2 DESC, 1"
            )
        ],
        passed_check_count=sum(check["is_passed"] for check in checks),
        failed_checks=[row({name: check[name] for name in told}) for check in checks if not check["is_passed"]],
        drifted_genes=[
            row(each)
            for each in published.rows(
                "SELECT gene, baseline, baseline_as_of, psi FROM gene_drift WHERE has_drifted"
                " ORDER BY psi DESC, gene, baseline"
            )
        ],
        forced_past=from_data(forced),
    )


_LOOK = (
    "as_of",
    "outcome_name",
    "elapsed_share",
    "treated_count",
    "control_count",
    "control_mean",
    "effect",
    "effect_lower",
    "effect_upper",
    "effect_total",
    "effect_total_lower",
    "effect_total_upper",
    "lift_ratio",
    "verdict",
    "verdict_reason",
)


def experiments(published: Reader, experiment_id: str | None) -> Experiments:
    """All experiments with their verdicts, latest first; of one of them, every look, and on whom acting works."""
    as_of = published.latest()
    verdicts = published.rows("FROM experiment_verdicts ORDER BY started_at DESC, experiment_id")
    looks: list[dict[str, Any]] = []
    groups: list[dict[str, Any]] = []
    if experiment_id is not None:
        name = named("experiment", experiment_id, [each["experiment_id"] for each in verdicts], as_of)
        verdicts = [each for each in verdicts if each["experiment_id"] == name]
        looks = published.rows(
            f"SELECT {', '.join(_LOOK)} FROM experiment_results_history WHERE experiment_id = ?"
            " ORDER BY outcome_name, as_of",
            [name],
        )
        groups = published.rows(
            "SELECT * EXCLUDE experiment_id FROM experiment_groups_history WHERE experiment_id = ?"
            " ORDER BY outcome_name, split_by, group_name",
            [name],
        )
    none = Refusal(what="verdicts", why="no experiment was started yet")
    return Experiments(
        basis=basis_of(published, as_of),
        refusals=[] if verdicts else [none],
        track_record=[],
        experiments=[row(each) for each in verdicts],
        looks=[row(each) for each in looks],
        groups=[row(each) for each in groups],
    )


def _targets(measures: Collection[str]) -> list[str]:
    return sorted({target for name in measures if (target := MEASURES[name].target)})


def _envelope(answer: Groups) -> dict[str, Any]:
    return {"basis": answer.basis, "refusals": answer.refusals, "track_record": answer.track_record}


def _name(text: str | FromData | None) -> str:
    return text.from_data if isinstance(text, FromData) else str(text)
