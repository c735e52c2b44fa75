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

    A forecast is about customers on whom nobody acts more than usual.
    """
    treated = _within(customers, experiments, members.filter(members.is_treated), horizon_days)
    return customers.anti_join(treated, ["as_of", "customer_id"])


def stand_ins(customers: ir.Table, experiments: ir.Table, members: ir.Table, horizon_days: int) -> ir.Table:
    """Who stands for each of the treated among customers of snapshots: a control of the same experiment and stratum.

    Whoever is chosen to be treated differs from other customers, so that leaving the treated out would leave few of
    their kind to learn from. Controls were drawn from among them by chance, and count for them as well: this is
    weighting by the inverse probability of being left alone (Horvitz and Thompson 1952, "A generalization of sampling
    without replacement from a finite universe", equation 5), in whole customers.

    Of several experiments the latest counts. Where nobody of the stratum was left alone, nobody stands in.

    Columns: ``as_of``, ``customer_id`` (treated) and ``stand_in_id``, ordered by the first two.
    """
    found = _within(customers, experiments, members, horizon_days)
    treated = found.filter(found.is_treated)
    latest = treated.group_by(["as_of", "customer_id"]).order_by(treated.started.desc(), treated.experiment_id)
    treated = latest.mutate(place=ibis.row_number()).filter(lambda row: row.place == 0).drop("place")
    controls = found.filter(~found.is_treated).anti_join(treated, ["as_of", "customer_id"])
    group = ["as_of", "experiment_id", "stratum_id"]
    controls = _in_turn(controls, group)
    joined = _in_turn(treated, group).inner_join(
        controls.select(*group, "place", "in_all", stand_in_id="customer_id"), group, rname="{name}_of_controls"
    )
    nearest = joined.filter(joined.place * joined.in_all_of_controls // joined.in_all == joined.place_of_controls)
    return nearest.select("as_of", "customer_id", "stand_in_id").order_by("as_of", "customer_id")


def _within(customers: ir.Table, experiments: ir.Table, members: ir.Table, horizon_days: int) -> ir.Table:
    """The members among customers of snapshots while their experiment runs within the horizon."""
    runs = _with_end(experiments).rename(started="as_of").select("experiment_id", "started", "end")
    taking_part = members.inner_join(runs, "experiment_id")
    horizon = ibis.interval(days=horizon_days)
    known = customers.select("as_of", "customer_id")
    return known.inner_join(
        taking_part,
        [
            known.customer_id == taking_part.customer_id,
            taking_part.started < (known.as_of + horizon).cast("date"),
            taking_part.end > known.as_of,
        ],
    )


def _in_turn(members: ir.Table, group: list[str]) -> ir.Table:
    """The members with their ``place`` in the group, from 0, likeliest to leave last, of so many ``in_all``."""
    ordered = members.group_by(group).order_by(members.churn_probability.cast("float64").round(6), members.customer_id)
    turns = ordered.mutate(place=ibis.row_number())
    return turns.group_by(group).mutate(in_all=turns.count())


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
