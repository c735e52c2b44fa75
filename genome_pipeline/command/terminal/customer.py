"""Customers: one customer, similar customers, and the audiences of rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from genome_pipeline.command.terminal.cells import amount, new_grid, number, percent
from genome_pipeline.command.terminal.summary import PREDICTIONS

_SHOWN_SHARES = 5


def print_card(console: Console, card: dict[str, Any]) -> None:
    """One customer's genome, from :func:`genome_pipeline.published.summary.customer_card`."""
    genome, currency = card["genome"], card["currency"]
    horizon = f"next {card['horizon_days']} days"
    console.print(
        f"\n[bold]Customer {escape(genome['customer_id'])}[/] as of {genome['as_of']}: {escape(genome['segment_name'])}"
        f" ({percent(genome['membership_probability'])} sure)",
        highlight=False,
    )
    rows = new_grid()
    rows.add_row(f"Expected spend, {horizon}", _interval(genome, "expected_spend", lambda v: amount(v, currency)))
    rows.add_row(f"Expected orders, {horizon}", _interval(genome, "expected_orders", number))
    if genome["value_abstain_reason"]:
        rows.add_row("", f"[yellow]{escape(genome['value_abstain_reason'])}[/]")
    rows.add_row(f"Churn probability, {horizon}", _interval(genome, "churn_probability", percent))
    if genome["risk_abstain_reason"]:
        rows.add_row("", f"[yellow]{escape(genome['risk_abstain_reason'])}[/]")
    rows.add_row("Next order", _next_order(genome))
    lifetime = card["lifetime_value"]
    years, rate = lifetime["lifetime_year_count"], percent(lifetime["discount_rate_share"])
    rows.add_row(
        f"Lifetime value over the next {years} year{'' if years == 1 else 's'}, discounted by {rate} a year",
        _interval(genome, "lifetime_value_amount", lambda v: amount(v, currency)) + _extrapolated(lifetime),
    )
    parts = ", ".join(f"{name} {number(genome[f'{name}_confidence'])}" for name in ("churn", "orders", "spend"))
    rows.add_row("Confidence", f"{number(genome['confidence'])} ({parts})")
    rows.add_row("Action", f"{escape(genome['action'])}: {escape(genome['action_reason'])}")
    rows.add_row(
        "Orders",
        f"{genome['order_count']:,}, first {genome['first_order_date']}, last"
        f" {genome['last_order_date']} ({genome['days_since_last_order']} days ago)",
    )
    rows.add_row("Days between orders", number(genome["order_gap_mean_days"]))
    rows.add_row("Spend so far", amount(genome["spend_amount"], currency))
    rows.add_row("Average order", amount(genome["average_order_value_amount"], currency))
    if card["categories"]:
        rows.add_row("Spends on", _shares(card["categories"]))
    console.print(rows)
    if len(card["outlook"]) > 1:
        console.print(_outlook(card["outlook"], currency))
    if card["next_categories"]:
        console.print(_next_categories(card["next_categories"], horizon))
    for prediction, name in PREDICTIONS.items():
        drivers = [row for row in card["drivers"] if row["prediction"] == prediction]
        if drivers:
            unit = f" {currency}" if prediction == "expected_spend" and currency else ""
            console.print(_reasons(f"Why {name}", drivers, unit))
    neighbors = Table("Similar customers", "Similarity", "Alike in", box=None)
    for row in card["neighbors"][:5]:
        neighbors.add_row(escape(row["neighbor_customer_id"]), f"{row['similarity']:.2f}", escape(row["shared_traits"]))
    console.print(neighbors)


def _next_order(row: dict[str, Any]) -> str:
    """When the customer is likely to order next, and whether they are overdue."""
    if row["further_order_probability"] is None:
        return "-"
    if row["next_order_date"] is None:
        return f"none likely: {percent(row['further_order_probability'])} for a further one"
    interval = f"{row['next_order_date_lower']} to {row['next_order_date_upper'] or 'no end in sight'}"
    overdue = f"; overdue, {percent(row['silence_probability'])} of their gaps are so long" if row["is_overdue"] else ""
    return f"{row['next_order_date']} ({interval}){overdue}"


def _extrapolated(row: dict[str, Any]) -> str:
    """How far the forecast goes that the lifetime value continues."""
    days = row["lifetime_horizon_days"]
    return "" if days is None else f"; extrapolated from the next {days:,} days"


def _outlook(horizons: Sequence[dict[str, Any]], currency: str) -> Table:
    """The forecast over every horizon."""
    table = Table("Within", "Buys", "Orders", "Spend", "Rests on", box=None, title="Outlook", title_justify="left")
    for row in horizons:
        churn = row["churn_probability"]
        table.add_row(
            f"{row['horizon_days']:,} days",
            percent(None if churn is None else 1 - churn),
            _interval(row, "expected_orders", number),
            _interval(row, "expected_spend", lambda v: amount(v, currency)),
            escape(row["abstain_reason"] or "earlier outcomes"),
        )
    return table


def _shares(categories: Sequence[dict[str, Any]]) -> str:
    """The largest shares of spend, and how many more there are."""
    shown = [f"{escape(row['category'])} {percent(row['category_spend_share'])}" for row in categories[:_SHOWN_SHARES]]
    more = len(categories) - _SHOWN_SHARES
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "")


def _next_categories(following: Sequence[dict[str, Any]], horizon: str) -> Table:
    """The categories that the customer is most likely to buy next, or by which they are ranked instead."""
    table = Table("Category", "Probability", "Last bought", "Due", box=None, title_justify="left")
    reason = following[0]["abstain_reason"]
    table.title = f"Next categories, {horizon}" + (f": {escape(reason)}" if reason else "")
    for row in following:
        last = row["last_order_date"] or "never"
        due = row["reorder_date"] or "-"
        table.add_row(escape(row["category"]), percent(row["category_probability"]), str(last), str(due))
    return table


def print_similar(console: Console, facts: dict[str, Any]) -> None:
    """Customers who resemble a customer, from :func:`genome_pipeline.published.similar.similar_customers`."""
    currency, estimate = facts["currency"], facts["estimate"]
    who = escape(facts["customer_id"])
    now = Table("Rank", "Customer", "Similarity", "Segment", "Alike in", "Differs by", box=None, title_justify="left")
    now.title = f"Customers like {who} as of {facts['as_of']}"
    for row in facts["neighbors"]:
        now.add_row(*_neighbor(row), escape(row["segment_name"]), escape(row["shared_traits"]), row["different_traits"])
    console.print(now)
    if not facts["matured_neighbors"]:
        console.print(f"[yellow]{escape(estimate['abstain_reason'] or '')}[/]")
        return
    before = Table("Rank", "Customer", "Similarity", "Orders", "Spent", "Alike in", box=None, title_justify="left")
    before.title = (
        f"Customers who were so at {facts['matured_neighbors'][0]['neighbor_as_of']}, and what they did in the"
        f" {facts['horizon_days']} days after"
    )
    for row in facts["matured_neighbors"]:
        did = ("none: stopped", "-") if row["has_churned"] else (number(row["actual_orders"]), None)
        spent = did[1] or amount(None if row["actual_spend"] is None else float(row["actual_spend"]), currency)
        before.add_row(*_neighbor(row), did[0], spent, escape(row["shared_traits"]))
    console.print(before)
    opinions = Table("Within the horizon", f"Mean of {estimate['neighbor_count']} such customers", "Model", box=None)
    opinions.add_row(
        "Spend", amount(estimate["neighbor_expected_spend"], currency), amount(estimate["expected_spend"], currency)
    )
    opinions.add_row("Orders", number(estimate["neighbor_expected_orders"]), number(estimate["expected_orders"]))
    opinions.add_row("Stopped", percent(estimate["neighbor_churn_probability"]), percent(estimate["churn_probability"]))
    console.print(opinions)


def _neighbor(row: dict[str, Any]) -> tuple[str, str, str]:
    return str(row["neighbor_rank"]), escape(row["neighbor_customer_id"]), f"{row['similarity']:.3f}"


def print_lookalikes(console: Console, facts: dict[str, Any]) -> None:
    """Customers nearest to a group, from :func:`genome_pipeline.published.similar.similar_to_group`."""
    table = Table("Rank", "Customer", "Similarity", "Alike in", "Differs by", box=None, title_justify="left")
    table.title = f"Customers nearest to the group of {facts['group_size']:,} as of {facts['as_of']}"
    for rank, row in enumerate(facts["lookalikes"], start=1):
        traits = (escape(row["shared_traits"]), escape(row["different_traits"]))
        table.add_row(str(rank), escape(row["customer_id"]), f"{row['similarity']:.3f}", *traits)
    console.print(table)
    common = "; ".join(facts["group_traits"]) or "nothing: on average it is like everyone"
    console.print(f"The group has in common: {common}.", highlight=False)


def print_sent(console: Console, told: list[dict[str, Any]]) -> None:
    """What webhooks were told, from :func:`genome_pipeline.published.delivery.send_changes`."""
    for row in told:
        count = row["message_count"]
        messages = "1 message" if count == 1 else f"{count:,} messages"
        sent = f"{row['in_count']:,} in, {row['out_count']:,} out ({messages})" if count else "nothing has changed"
        console.print(f"{row['audience']}: {sent}", markup=False, highlight=False)


def print_audiences(console: Console, facts: dict[str, Any]) -> None:
    """The playbook's audiences, from :func:`genome_pipeline.published.audience.audience_summary`."""
    table = Table(box=None, title=f"Audiences as of {facts['as_of']}", title_justify="left", padding=(0, 1, 0, 0))
    table.add_column("Rule", no_wrap=True)
    stake = f"At stake, {facts['currency']}"
    for name in ("Customers", "To review", stake, "Confidence", "Left before", "Lift", "That season"):
        table.add_column(name.replace(" ", "\n"), justify="right", no_wrap=True)
    for row in facts["audiences"]:
        stake, lift = row["revenue_at_stake_amount"], row["churn_lift_ratio"]
        table.add_row(
            row["action_rule"],
            f"{row['customer_count']:,}",
            f"{row['review_customer_count']:,}",
            "-" if stake is None else f"{stake:,.0f}",
            percent(row["mean_confidence"]),
            percent(row["actual_churn_share"]),
            "-" if lift is None else f"{lift:.2f}",
            percent(row["concurrent_churn_share"]),
        )
    console.print(table)
    average = next((row["average_churn_share"] for row in facts["audiences"] if row["average_churn_share"]), None)
    console.print(
        "Left before: of the customers whom the rule picked at the snapshots that have matured, those who bought"
        f" nothing in the horizon. Lift: that over the average of all customers, {percent(average)}. That season: the"
        " average, weighted by when the rule picked. `genome audience RULE --to FILE` writes an audience out.",
        highlight=False,
    )
    console.print(_expected(facts))
    for row in facts["proofs"]:
        runs = "1 experiment" if row["run_count"] == 1 else f"{row['run_count']} experiments"
        console.print(f"\n{runs} on {row['action_rule']}: {row['verdict_reason']}", markup=False, highlight=False)


def _expected(facts: dict[str, Any]) -> Table:
    """What each audience is expected to do together, with the interval of the sum or why there is none."""
    level, days = f"{facts['interval_level']:.0%}", facts["horizon_days"]
    table = Table(
        box=None, title=f"\nExpected of them together in {days} days", title_justify="left", padding=(0, 1, 0, 0)
    )
    table.add_column("Rule", no_wrap=True)
    for name in ("Purchase days", level, f"Spend, {facts['currency']}", level):
        table.add_column(name, justify="right")
    for row in facts["audiences"]:
        if row["customer_count"]:
            cells = [_sum(row, name) for name in ("expected_order_count", "expected_spend_amount")]
            table.add_row(row["action_rule"], *(text for pair in cells for text in pair))
            if row["abstain_reason"]:
                table.add_row("", f"[yellow]{escape(row['abstain_reason'])}[/]")
    return table


def _sum(row: dict[str, Any], name: str) -> tuple[str, str]:
    total, lower, upper = (row[f"{name}{end}"] for end in ("", "_lower", "_upper"))
    return "-" if total is None else f"{total:,.0f}", "-" if lower is None else f"{lower:,.0f} to {upper:,.0f}"


def _reasons(title: str, drivers: Sequence[dict[str, Any]], unit: str) -> Table:
    """Terms that add up to a prediction, starting with the average customer, and how much each has changed."""
    table = Table(title, box=None)
    table.add_column("Adds", justify="right")
    has_changes = drivers[0]["contribution_change"] is not None
    if has_changes:
        table.add_column("Since last snapshot", justify="right")
    # "z" drops the minus of a number that rounds to zero.
    form = "z,.2f" if unit else "z,.3f"
    average, *others = drivers
    table.add_row(escape(average["explanation"]), f"{average['contribution']:{form}}{unit}")
    for row in others:
        amounts = [row["contribution"], *([row["contribution_change"]] if has_changes else [])]
        table.add_row(escape(row["explanation"]), *(f"{amount:+{form}}{unit}" for amount in amounts))
    total = f"{sum(row['contribution'] for row in drivers):{form}}{unit}"
    change = [f"{sum(row['contribution_change'] for row in drivers):+{form}}{unit}"] if has_changes else []
    table.add_row("this customer", total, *change, style="bold")
    return table


def _interval(genome: dict[str, Any], name: str, form: Any) -> str:
    point, lower, upper = (genome[key] for key in (name, f"{name}_lower", f"{name}_upper"))
    if point is None:
        return "-"
    return form(point) if lower is None else f"{form(point)}  ({form(lower)} to {form(upper)})"
