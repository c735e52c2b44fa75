"""A snapshot's outcomes stand in one slice, in whatever order the slices are made."""

from datetime import date

import pandas as pd

from genome_pipeline.contracts.tables import TABLES
from genome_pipeline.orchestration.assets.outcomes import made_elsewhere
from genome_pipeline_tests.support.logs import engine

TABLE = TABLES["prediction_outcomes"]
FIRST, SECOND = date(2024, 1, 8), date(2024, 1, 15)
EARLIER, LATER, LAST = date(2024, 1, 29), date(2024, 2, 5), date(2024, 2, 12)


def test_rows_of_a_snapshot_that_turns_out_to_mature_earlier_leave_the_slice_they_were_in() -> None:
    database = engine()
    database.con.execute(TABLE.ddl())
    made = [(FIRST, "ann", LATER), (SECOND, "ann", LATER), (SECOND, "bob", LATER)]
    frame = pd.DataFrame(made, columns=["as_of", "customer_id", "matured_as_of"])
    rest = {"actual_orders": 0, "has_churned": True, "naive_expected_orders": 0, "t_days": 30}
    database.con.register("rows", frame.assign(segment_id=1, segment_name="Regulars", **rest))
    database.con.execute("INSERT INTO prediction_outcomes BY NAME SELECT * FROM rows")
    slices, kept = made_elsewhere(database, TABLE, [EARLIER], [FIRST])
    assert slices == [LATER]
    assert sorted(kept.to_pandas()["customer_id"]) == ["ann", "bob"]
    assert set(kept.to_pandas()["as_of"].dt.date) == {SECOND}
    # Where it is made anew, or elsewhere holds none of it, other slices stay as they are.
    assert made_elsewhere(database, TABLE, [LATER], [FIRST, SECOND])[0] == []
    assert made_elsewhere(database, TABLE, [LAST], [EARLIER])[0] == []
