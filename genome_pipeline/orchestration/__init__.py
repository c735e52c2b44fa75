"""Everything that Dagster runs: assets, checks, jobs, schedules and sensors; and the runs of the command line."""
