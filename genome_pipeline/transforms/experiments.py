"""Experiments at a snapshot: who is left alone, and what the customers have done since they were drawn."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import ibis
import ibis.expr.types as ir


def _with_end(experiments: ir.Table) -> ir.Table:
    """The experiments with ``end``: the day on which they are over, or were stopped."""
    return experiments.mutate(
        end=ibis.least(experiments.until_date, experiments.stopped_date.fill_null(experiments.until_date))
    )


def controls_at(experiments: ir.Table, members: ir.Table, as_of: date) -> ir.Table:
    """Whom running experiments leave alone at a snapshot.

    Columns: ``customer_id``, ``action``, ``action_rule``, ``experiment_id`` and ``until_date``; a row per experiment
    and customer, ordered by both.
    """
    begun = _with_end(experiments)
    running = begun.filter(begun.as_of <= ibis.date(as_of), begun.end > ibis.date(as_of)).select(
        "experiment_id", "action", "action_rule", "until_date"
    )
    controls = members.filter(~members.is_treated).inner_join(running, "experiment_id")
    chosen = controls.select("customer_id", "action", "action_rule", "experiment_id", "until_date")
    return chosen.order_by("experiment_id", "customer_id")


def without_treated(customers: ir.Table, experiments: ir.Table, members: ir.Table, horizon_days: int) -> ir.Table:
    """Customers of snapshots whose outcome over the horizon no experiment has changed: its treated are left out.

    A forecast is about customers on whom nobody acts more than usual. Controls stay, and stand for the treated, who
    were drawn from among the same customers by chance.
    """
    runs = _with_end(experiments).rename(started="as_of").select("experiment_id", "started", "end")
    joined = members.filter(members.is_treated).inner_join(runs, "experiment_id")
    treated = joined.select("customer_id", "started", "end")
    horizon = ibis.interval(days=horizon_days)
    return customers.anti_join(
        treated,
        [
            customers.customer_id == treated.customer_id,
            treated.started < (customers.as_of + horizon).cast("date"),
            treated.end > customers.as_of,
        ],
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
    """The last look at every run that had ended, or was stopped, by a snapshot, at the outcome that it was about.

    Columns: those of ``experiment_results``, ``action_rule`` and ``action``; a row per experiment, oldest draw first.
    """
    ended = _with_end(experiments).mutate(started=experiments.as_of)
    ended = ended.filter(ended.end <= ibis.date(as_of)).select(
        "experiment_id", "action_rule", "action", "outcome_name", "end", "started"
    )
    looks = results.inner_join(ended, ["experiment_id", "outcome_name"])
    last = looks.filter(looks.as_of == looks.end)
    return last.order_by("started", "experiment_id", "outcome_name").drop("end", "started")
