-- Whoever an experiment leaves alone gets no action, and is in no audience.
SELECT
    as_of,
    action_rule,
    segment_name,
    count(*) AS customer_count,
    count(*) FILTER (WHERE is_for_review) AS review_count,
    sum(expected_spend) AS expected_spend_amount,
    sum(revenue_at_stake_amount) AS revenue_at_stake_amount
FROM {{ source('genome', 'customer_genome') }}
WHERE action_rule NOT IN ('wait', 'left_alone')
GROUP BY as_of, action_rule, segment_name
