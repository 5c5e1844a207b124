"""Runs comparisons: plans them as tasks, and executes tasks on threads.

The only place that knows of threads. Tasks are idempotent: the same task on the
same codes gives the same pairs, wherever and however often it runs.
"""
