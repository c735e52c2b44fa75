from genome_pipeline.quality.files import judge_files

PUBLISHED = {"a.csv": ("hash a", 60), "b.csv": ("hash b", 30), "c.csv": ("hash c", 10)}


def test_files_that_are_still_there_or_grew_or_have_another_name_are_not_gone() -> None:
    now = {"a.csv": ("new hash", 70), "b.csv": ("hash b", 30), "renamed.csv": ("hash c", 10), "new.csv": ("hash n", 5)}
    finding, share = judge_files(PUBLISHED, now, 0.2)
    assert (finding.is_passed, share) == (True, 0)
    assert finding.observed == "all 3 files that were published, with 100 rows"
    assert judge_files({}, now, 0.2)[0].is_passed


def test_a_file_that_is_gone_is_named() -> None:
    finding, share = judge_files(PUBLISHED, {"a.csv": ("hash a", 60), "b.csv": ("hash b", 30)}, 0.2)
    assert (finding.is_passed, share) == (False, 0.1)
    assert finding.observed == "since the last publication c.csv with 10 rows is gone: 10.0% of 100 rows"


def test_beyond_the_limit_it_is_said_what_to_do() -> None:
    finding, share = judge_files(PUBLISHED, {"a.csv": ("cut", 55)}, 0.2)
    assert share == 0.45
    assert finding.observed == (
        "since the last publication b.csv with 30 rows is gone; c.csv with 10 rows is gone; a.csv has 55 of its 60 rows"
        " left: 45.0% of 100 rows, and at most 20% may go: put them back, or raise quality.max_removed_share"
    )


def test_new_files_do_not_hide_what_is_gone() -> None:
    finding, share = judge_files(PUBLISHED, {"c.csv": ("hash c", 10), "new.csv": ("hash n", 1_000)}, 0.2)
    assert (finding.is_passed, share) == (False, 0.9)


def test_a_table_of_a_database_has_no_hash_and_may_shrink() -> None:
    finding, share = judge_files({"sales.lines": (None, 100)}, {"sales.lines": (None, 40)}, 0.2)
    assert (finding.is_passed, share) == (False, 0.6)
