"""Candidates by shared tokens, instead of all pairs.

Knows tokens as numbers only: what a token stands for stays with the agencies.
"""
