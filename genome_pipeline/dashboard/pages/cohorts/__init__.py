"""Cohorts: what customers who began together did, and will do."""
