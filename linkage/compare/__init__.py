"""Similarities of packed codes, and the candidate pairs that pass a threshold.

Knows codes and numbers only: which record is whom, and what the bits mean, stays
with the agencies.
"""
