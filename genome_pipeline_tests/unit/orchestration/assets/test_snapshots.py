import time
from datetime import date, timedelta
from threading import Event

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from genome_pipeline.orchestration.assets.snapshots import in_threads

DATES = [date(2024, 1, 1) + timedelta(days=day) for day in range(7)]


def test_snapshots_made_in_threads_come_in_order() -> None:
    assert in_threads(lambda as_of, number: (as_of, 2 * number), DATES, range(7)) == [
        (as_of, 2 * number) for number, as_of in enumerate(DATES)
    ]


def test_a_single_snapshot_is_made_too() -> None:
    assert in_threads(lambda as_of: as_of, DATES[:1]) == DATES[:1]


def test_what_fails_in_a_thread_fails_the_stage() -> None:
    def make(as_of: date) -> None:
        if as_of == DATES[3]:
            raise ValueError("no such model")

    with pytest.raises(ValueError, match="no such model"):
        in_threads(make, DATES)


def test_after_a_failure_no_snapshot_is_begun() -> None:
    begun = []
    others_wait = Event()

    def make(as_of: date) -> None:
        begun.append(as_of)
        if as_of == DATES[0]:
            others_wait.set()
            raise ValueError("no such model")
        others_wait.wait(10)
        time.sleep(0.2)

    with pytest.raises(ValueError, match="no such model"):
        in_threads(make, DATES)
    assert len(begun) < len(DATES)


def test_models_made_at_the_same_time_have_one_thread_each() -> None:
    import lightgbm  # noqa: F401, brings OpenMP

    found = in_threads(lambda _: {pool["num_threads"] for pool in threadpool_info()}, DATES)
    assert found == [{1}] * len(DATES)


def test_limits_that_models_set_in_threads_do_not_outlast_them() -> None:
    def make(_: date) -> None:
        with threadpool_limits(1):
            pass

    before = [pool["num_threads"] for pool in threadpool_info()]
    for _ in range(20):
        in_threads(make, DATES)
    assert [pool["num_threads"] for pool in threadpool_info()] == before
