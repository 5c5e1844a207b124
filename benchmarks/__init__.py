"""Benchmarks of linkage quality, encoding speed and memory; peers on equal terms.

Run from the repository's root: `python -m benchmarks --help` lists what there is. Not part
of the installed package. What is compared, on which data and with which settings is data:
the TOML files in `experiments/`. Results lie in `results/`, with commit and processor.
"""
