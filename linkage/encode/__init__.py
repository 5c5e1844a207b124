"""Normalised words to codes. Runs inside the agency only.

words -> tokens -> keyed Bloom filter -> code. The scheme of the schema says what
is done to the filter before it leaves: `clk` sends it as it is.
"""
