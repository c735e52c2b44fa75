"""The playbook's grammar, and what is found wrong with a playbook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from genome_pipeline.contracts.playbook import DEFAULT_PLAYBOOK, PlaybookRule, faults
from genome_pipeline.errors import ConfigError
from genome_pipeline.settings import load_settings
from genome_pipeline_tests.support.pipelines import shop_config

EVERYONE = PlaybookRule(name="rest", action="Nothing", reason="left")


def _rule(name: str, *when: dict[str, Any]) -> PlaybookRule:
    return PlaybookRule(name=name, action="Act", reason="why", when=when)


def test_the_default_playbook_is_sound() -> None:
    assert faults(DEFAULT_PLAYBOOK) == []


@pytest.mark.parametrize(
    ("conditions", "fault"),
    [
        (
            [{"column": "confidence", "at_least": 0.9, "at_most": 0.5}],
            "confidence cannot be at least 90% and at most 50%",
        ),
        ([{"column": "churn_probability", "at_least": 1.5}], "churn probability is at most 100%"),
        ([{"column": "order_count", "at_most": -1}], "order count is at least 0"),
        ([{"column": "risk_band", "is": "huge"}], "no value of risk band, which is one of low, medium, high"),
        (
            [{"column": "segment_name", "is": "New"}, {"column": "segment_name", "is": ["Loyal", "Fading"]}],
            "no value of segment name",
        ),
        (
            [{"column": "spend_amount", "top_share": 0.2}, {"column": "spend_amount", "bottom_share": 0.5}],
            "in the top 20% and in the bottom 50%",
        ),
    ],
)
def test_a_rule_that_nobody_can_meet_is_named(conditions: list[dict[str, Any]], fault: str) -> None:
    (found,) = faults([_rule("dead", *conditions), EVERYONE])
    assert found.startswith("rule 'dead' can never apply: ")
    assert fault in found


@pytest.mark.parametrize(
    ("earlier", "later", "is_hidden"),
    [
        ({"column": "order_count", "at_least": 3}, {"column": "order_count", "at_least": 5}, True),
        ({"column": "order_count", "at_least": 5}, {"column": "order_count", "at_least": 3}, False),
        ({"column": "order_count", "at_most": 5}, {"column": "order_count", "at_most": 2}, True),
        ({"column": "spend_amount", "top_share": 0.5}, {"column": "spend_amount", "top_share": 0.2}, True),
        ({"column": "spend_amount", "bottom_share": 0.1}, {"column": "spend_amount", "bottom_share": 0.2}, False),
        (
            {"column": "churn_probability", "at_least_times_mean": 1.0},
            {"column": "churn_probability", "at_least_times_mean": 1.5},
            True,
        ),
        ({"column": "risk_band", "is": ["high", "medium"]}, {"column": "risk_band", "is": "high"}, True),
        ({"column": "risk_band", "is": "high"}, {"column": "risk_band", "is": ["high", "medium"]}, False),
        ({"column": "order_count", "at_least": 3}, {"column": "t_days", "at_least": 5}, False),
    ],
)
def test_a_rule_that_an_earlier_one_leaves_nobody_is_named(
    earlier: dict[str, Any], later: dict[str, Any], is_hidden: bool
) -> None:
    found = faults([_rule("wide", earlier), _rule("narrow", later, {"column": "t_days", "at_most": 90}), EVERYONE])
    assert [text.split(":")[0] for text in found] == (["rule 'narrow' is never reached"] if is_hidden else [])


def test_rules_after_one_for_everyone_and_a_missing_last_one_are_named() -> None:
    assert "is never reached: 'rest' before it (everyone else)" in faults([EVERYONE, _rule("a"), EVERYONE])[1]
    assert faults([_rule("a", {"column": "t_days", "at_most": 9})]) == [
        "the last rule must be for everyone else, so that all have an action; give one without `when`"
    ]
    assert faults([])
    assert faults([_rule("a", {"column": "t_days", "at_most": 9}), _rule("a")])[0] == (
        "two rules are called 'a'; rename one"
    )


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            'when = [{ column = "churn_probabilty", at_least = 0.5 }]\nreason = "x"',
            r"actions\.rules\.0\.when\.0: no column 'churn_probabilty' \(did you mean 'churn_probability'\?\)",
        ),
        (
            'when = [{ column = "t_days" }]\nreason = "x"',
            "column t_days is not compared; add one of: at_least, at_most",
        ),
        ('when = [{ column = "t_days", is = "x" }]\nreason = "x"', "column t_days is a number"),
        (
            'when = [{ column = "country", at_least = 3 }]\nreason = "x"',
            "column country is no number; compare it with is",
        ),
        ('when = [{ column = "has_moved", is = "yes" }]\nreason = "x"', "another kind of value; use true or false"),
        (
            'when = [{ column = "t_days", at_leest = 3 }]\nreason = "x"',
            r"unknown key 'actions\.rules\.0\.when\.0\.at_leest' \(did you mean 'at_least'\?\)",
        ),
        ('reason = "{t_day}"', "no column 't_day'"),
        ('reason = "{t_days"', "the reason of a is no template"),
        (
            'reason = "so far[; no column]"',
            "the reason of a has square brackets that do not hold a part with a {column}",
        ),
        ('reason = "so far[; {next_category}"', r"write \[part with a {column}\], or no square brackets"),
        ('reason = "so far[; [{next_category}]]"', "the reason of a has square brackets"),
        ('when = [{ column = "t_days", at_least = 3 }]\nreason = "x"', "the last rule must be for everyone else"),
        ("", r"actions\.rules\.0\.reason is missing"),
    ],
)
def test_a_mistake_in_the_config_is_one_sentence(tmp_path: Path, rule: str, message: str) -> None:
    (tmp_path / "log.csv").write_text("customer,date\n", encoding="utf-8")
    config = shop_config(tmp_path, more=f'[[actions.rules]]\nname = "a"\naction = "Act"\n{rule}\n')
    with pytest.raises(ConfigError, match=message):
        load_settings(config)


def test_an_action_that_names_a_column_is_refused() -> None:
    with pytest.raises(ValueError, match="the action of a has braces, but is the same for all its customers"):
        PlaybookRule(name="a", action="Suggest {next_category}", reason="x")


def test_another_playbook_makes_other_results(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("customer,date\n", encoding="utf-8")
    one = load_settings(shop_config(tmp_path))
    rules = '[[actions.rules]]\nname = "all"\naction = "Act"\nreason = "{t_days}"\n'
    other = load_settings(shop_config(tmp_path, more=rules))
    assert other.actions.rules == (PlaybookRule(name="all", action="Act", reason="{t_days}"),)
    assert one.results_hash != other.results_hash
