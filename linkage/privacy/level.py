"""How thorough a gate is."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Level:
    """How thorough a gate is.

    Attributes:
        name: what it is called.
        most_records: records that are attacked at most; fewer are filled up to as many.
        overlaps: shares of the registers in common, for A1 and A2; none leaves these out.
        seeds: how often everything is drawn anew.
        whole_job: whether A7 attacks a whole job.
    """

    name: str
    most_records: int
    overlaps: tuple[float, ...]
    seeds: int
    whole_job: bool


LEVELS: Mapping[str, Level] = {
    level.name: level
    for level in (
        Level("quick", 5_000, (), 1, whole_job=False),
        Level("full", 5_000, (1.0, 0.8, 0.5, 0.2), 3, whole_job=True),
    )
}
