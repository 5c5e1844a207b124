"""What a demonstration starts from: for each party its file, and what is true of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

PLAIN_SOURCE = """\
path = "records.csv"
"""
"""Source file of a party that writes everything as Padan expects it."""


@dataclass(frozen=True)
class DemoParty:
    """One party's file as the party has it, and the truth about it.

    Attributes:
        rows: the records, with the party's own names of columns and ways of writing.
        source: text of its source file; the records are in `records.csv` beside it.
        truth: the person of each record number. It never goes to the party's agent.
    """

    rows: Sequence[Mapping[str, str]]
    source: str = PLAIN_SOURCE
    truth: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DemoData:
    """The files of a demonstration.

    Attributes:
        schema: text of the linkage schema.
        parties: by name, the one that requests the job first.
    """

    schema: str
    parties: Mapping[str, DemoParty]
