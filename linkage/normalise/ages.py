"""Rule D05: an age is a band of years of birth, never a made-up birthday."""

import re
from dataclasses import dataclass

from linkage.normalise.text import fold

_AGE = re.compile(r"[0-9]{1,3}")
_OLDEST = 125
_MONTHS_OLD = re.compile(r"([0-9]{1,2}) (BULAN|BLN|MONTHS?|MINGGU|WEEKS?|HARI|DAYS?)")


@dataclass(frozen=True, slots=True)
class YearBand:
    """Years of birth that a stated age allows, both ends included."""

    first: int
    last: int

    def words(self) -> list[str]:
        """Return each year as a date word of year precision."""
        return [f"{year:04}------" for year in range(self.first, self.last + 1)]

    def contains(self, year: int) -> bool:
        """Return whether someone born in `year` can have had the stated age."""
        return self.first <= year <= self.last


def parse_age(value: str, reference_year: int, tolerance: int = 2) -> YearBand | None:
    """Return the years of birth that an age allows, or None where there is no age.

    Args:
        value: the age as a source has it; the first number in it counts, as years
            unless it is followed by a word for months, weeks or days.
        reference_year: the year in which the age was stated.
        tolerance: years that the age may be wrong, to either side.
    """
    text = fold(value)
    found = _AGE.search(text)
    if not found:
        return None
    age = 0 if _MONTHS_OLD.search(text) else int(found[0])
    if age > _OLDEST:
        return None
    born = reference_year - age
    return YearBand(born - tolerance, min(born + tolerance, reference_year))
