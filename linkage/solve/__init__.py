"""Candidate pairs to match groups, under the agreed cardinality."""
