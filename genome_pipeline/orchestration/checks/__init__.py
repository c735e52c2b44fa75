"""Asset checks, made from contracts, rules and Great Expectations suites."""
