"""A contact log beside a short log of orders: from its file to the results of an experiment, with its checks."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

import duckdb
import pandas as pd
import pytest

from genome_pipeline.orchestration.assets.experiments import (
    contacts,
    experiment_record,
    experiment_results,
    rule_proofs,
)
from genome_pipeline.orchestration.assets.features import customer_features
from genome_pipeline.orchestration.assets.ingestion import raw_transactions
from genome_pipeline.orchestration.assets.tables import LINE_STAGES
from genome_pipeline.settings import Settings, load_settings
from genome_pipeline.warehouse.experiment_record import ExperimentRecord
from genome_pipeline_tests.support.pipelines import materialise, shop, shop_config

CONTACTS = """
[contacts]
path = "contacts.csv"
[contacts.columns]
customer_id = "who"
contacted_at = "when"
campaign = "what"
"""
START, LOOK = date(2020, 2, 1), date(2020, 3, 1)
STAGES = (
    raw_transactions,
    experiment_record,
    contacts,
    *LINE_STAGES,
    customer_features,
    experiment_results,
    rule_proofs,
)


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """200 customers drawn on 1 February, every second one to be treated; a look on 1 March."""
    folder = tmp_path_factory.mktemp("contacts")
    shop(folder)
    found = load_settings(shop_config(folder, more=CONTACTS))
    found.home.mkdir()
    experiment = {
        "experiment_id": "write-2020-02-01",
        "action_rule": "write",
        "action": "Write to everyone",
        "rule_condition": "everyone else",
        "as_of": START,
        "until_date": LOOK,
        "started_at": datetime(2020, 2, 1),
        "stopped_date": None,
        "stopped_at": None,
        "horizon_days": 28,
        "control_share": 0.5,
        "draw_key": "0f" * 32,
        "outcome_name": "orders",
        "wished_lift_share": None,
        "treated_count": 100,
        "control_count": 100,
    }
    members = pd.DataFrame(
        {
            "experiment_id": "write-2020-02-01",
            "customer_id": [f"c{number:04d}" for number in range(200)],
            "is_treated": [number % 2 == 0 for number in range(200)],
            "stratum_id": 0,
            "expected_orders": 1.0,
            "expected_spend": 10.0,
            "churn_probability": 0.5,
            "segment_name": "Everyone",
            "days_since_last_order": 3,
        }
    )
    ExperimentRecord.beside(found.warehouse_path).add(experiment, members)
    treated = [f"c{number:04d},2020-02-02 10:00,WRITE" for number in range(0, 180, 2)]
    rows = [
        *treated,
        treated[0],  # twice
        "c0001,2020-02-29T23:30:00Z,write-2020-02-01",  # a control
        "c0003,2020-03-01T00:30:00+02:00,write",  # another one, still in February in UTC
        "c0005,2020-01-31 23:59,write",  # before the start
        "c0007,2020-03-01 00:00,write",  # after the end
        "c0009,2020-02-02 10:00,newsletter",
        "stranger,2020-02-02 10:00,write",
        "c0011,soon,write",
    ]
    (folder / "contacts.csv").write_text("\n".join(["who,when,what", *rows]), encoding="utf-8")
    assert materialise(found, STAGES, date(2020, 1, 1), START).success
    return found


def rows(settings: Settings, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(settings.warehouse_path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_results_tell_who_was_reached_by_the_look(settings: Settings) -> None:
    found = rows(
        settings,
        "SELECT as_of, contacted_control_count, unreached_treated_count, round(reached_share, 6),"
        " abs(reached_effect - effect / reached_share) < 1e-9 FROM experiment_results WHERE outcome_name = 'orders'",
    )
    assert found == [(LOOK, 2, 10, 0.88, True)]


def test_what_is_wrong_with_contacts_is_told_in_a_sentence_each(settings: Settings) -> None:
    told = dict(
        rows(
            settings,
            "SELECT check_name, observed FROM data_quality WHERE NOT is_passed AND severity = 'WARN'"
            " AND table_name IN ('contacts', 'experiment_results')",
        )
    )
    early = told["contacts_are_of_customers"].partition("; ")[2]
    assert told == {
        "contacts_are_read": "1 of 98 rows of contacts.csv have no customer, or no moment that can be read, and are"
        " left out, the first of them row 98: write moments as ISO (2026-01-31 18:30), or as in the source",
        "contacts_stand_once": "1 rows of the contact log say the same as one before, and count once with it",
        "contacts_are_of_customers": "1 of 96 contacts are of customers whom the source does not know, the first of"
        f" them row 97: ids are to be as in the source, with leading zeros; {early}",
        "reached_as_drawn": "write-2020-02-01, contamination: 2.0% of the controls were contacted and 10.0% of the"
        " treated were not: the effect of the action is diluted, and greater than what is shown",
    }
    assert "contacts are before the customer's first order" in early
