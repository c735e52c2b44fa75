"""Experiments at a snapshot: who is left alone, and what the customers have done since they were drawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir


def running_at(experiments: ir.Table, as_of: date) -> ir.Table:
    """The experiments whose controls are left alone at a snapshot: begun by then, and neither over nor stopped."""
    end = ibis.least(experiments.until_date, experiments.stopped_date.fill_null(experiments.until_date))
    return experiments.filter(experiments.as_of <= ibis.date(as_of), end > ibis.date(as_of))


def controls_at(experiments: ir.Table, members: ir.Table, as_of: date) -> ir.Table:
    """Whom running experiments leave alone at a snapshot.

    Columns: ``customer_id``, ``action``, ``experiment_id`` and ``until_date``; a row per experiment and customer,
    ordered by both.
    """
    running = running_at(experiments, as_of).select("experiment_id", "action", "until_date")
    controls = members.filter(~members.is_treated).inner_join(running, "experiment_id")
    return controls.select("customer_id", "action", "experiment_id", "until_date").order_by(
        "experiment_id", "customer_id"
    )


def outcomes_since(lines: ir.Table, members: ir.Table, start: date, looks: Sequence[date]) -> ir.Table:
    """What each member (``customer_id``) did from ``start`` up to each of the ``looks``, exclusive.

    Columns: ``customer_id``, ``look_date``, ``orders`` (purchase days) and ``spend`` (purchases less returns; null in a
    log without amounts), a row per customer and look at which there is anything, ordered by both.
    """
    within = lines.filter(
        lines.ordered_at >= ibis.date(start).cast("timestamp"),
        lines.ordered_at < ibis.date(looks[-1]).cast("timestamp"),
    ).semi_join(members, "customer_id")
    days = within.group_by("customer_id", day=within.ordered_at.date()).agg(
        is_order=(~within.is_return).any(), spend=within.amount.sum()
    )
    ends = ibis.memtable({"look_date": list(looks)}, schema={"look_date": "date"})
    by_look = days.inner_join(ends, days.day < ends.look_date)
    done = by_look.group_by("customer_id", "look_date").agg(
        orders=by_look.is_order.cast("int64").sum().cast("float64"), spend=by_look.spend.sum().cast("float64")
    )
    return done.order_by("customer_id", "look_date")


def ended_runs(experiments: ir.Table, results: ir.Table, as_of: date) -> ir.Table:
    """The last look at every run that had ended, or was stopped, by a snapshot.

    Columns: those of ``experiment_results``, and ``action_rule``; a row per experiment and outcome, oldest draw first.
    """
    ended = experiments.mutate(
        end=ibis.least(experiments.until_date, experiments.stopped_date.fill_null(experiments.until_date)),
        started=experiments.as_of,
    )
    ended = ended.filter(ended.end <= ibis.date(as_of)).select("experiment_id", "action_rule", "end", "started")
    looks = results.inner_join(ended, "experiment_id")
    last = looks.filter(looks.as_of == looks.end)
    return last.order_by("started", "experiment_id", "outcome_name").drop("end", "started")
