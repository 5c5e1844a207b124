"""How often each party spoke under an agreement on a day: a log that all keep has a bound."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

from linkage.agreement.payload import OfParty
from linkage.agreement.refusal import Refused
from linkage.agreement.usage import day_of
from linkage.log.entry import Entry

PER_DAY = 1_000
"""Notices, or reports of incidents, of a party under one agreement on a day."""


@dataclass(frozen=True)
class Said:
    """Counts by agreement and party: the last day on which it spoke, and how often on it."""

    counts: Mapping[tuple[str, str], tuple[date, int]] = field(default_factory=dict)

    def after(self, entry: Entry, said: OfParty) -> "Said":
        """Return all, with one more.

        Raises:
            Refused: it was as often on this day as anyone may.
        """
        whose, today = (said.agreement, said.party), day_of(entry.time)
        day, count = self.counts.get(whose, (today, 0))
        count = count if day == today else 0
        if count >= PER_DAY:
            raise Refused("TOO_MANY_TODAY")
        return Said({**self.counts, whose: (today, count + 1)})
