"""The tables that the generator draws from, parsed from the package's resources.

`linkage/resources/SYNTHETIC.md` says where each comes from.
"""

import csv
import gzip
import io
from functools import cache

from linkage.resources import read_resource


@cache
def rows(name: str) -> tuple[dict[str, str], ...]:
    """Return the rows of the resource `name`, a CSV file that may be gzipped."""
    raw = read_resource(name)
    plain = gzip.decompress(raw) if name.endswith(".gz") else raw
    return tuple(csv.DictReader(io.StringIO(plain.decode())))


@cache
def abbreviation_words() -> frozenset[str]:
    """Return the written short forms, upper case: they are errors, not names."""
    return frozenset(row["short"] for row in rows("synthetic_abbreviations.csv"))
