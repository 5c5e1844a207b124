"""Block entries: by which parts of their attributes records become candidates.

An entry is written as a list of parts, each a function of one attribute or of several
of one kind: `phonetic(nama)`, `year(tgl_lahir)`, `phonetic(given_name, surname)`,
`sex`. Two records are candidates when all parts of some entry agree. A part may have
several values in one record (a name has several words); then any of them may agree.

A token over one attribute alone would be as frequent as its value and tell it, so an
entry needs two attributes at least (privacy.md, section 3).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import prod

from linkage.types import ATTRIBUTE_TYPES, Kind

# For each function the kinds of attribute it takes, and how many values it has at most.
_KINDS: dict[str, frozenset[Kind]] = {
    "phonetic": frozenset({"name", "text"}),
    "initial": frozenset({"name"}),
    "year": frozenset({"date", "year"}),
    "monthday": frozenset({"date"}),
    "value": frozenset({"name", "text", "date", "year", "sex", "code"}),
}
_VALUES = {"phonetic": 2, "initial": 2, "year": 1, "monthday": 1, "value": 1}
_PART = re.compile(r"(?:(?P<function>[a-z]+)\((?P<names>[a-z0-9_, ]+)\)|(?P<name>[a-z][a-z0-9_]*))")

MAX_VALUES = 4


@dataclass(frozen=True)
class Part:
    """One part of an entry.

    Attributes:
        function: what is taken of the attributes.
        attributes: names of attributes; the words of all count together.
    """

    function: str
    attributes: tuple[str, ...]

    def __str__(self) -> str:
        """Return the part as it is written."""
        return f"{self.function}({', '.join(self.attributes)})"

    @property
    def values(self) -> int:
        """How many values a record has at most."""
        return _VALUES[self.function]


@dataclass(frozen=True)
class BlockEntry:
    """Parts that must agree together."""

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        """Return the entry in one line; no two entries have the same."""
        return " & ".join(str(part) for part in self.parts)

    @property
    def slots(self) -> int:
        """How many block tokens a record has of this entry."""
        return prod(part.values for part in self.parts)


def parse_entry(on: Sequence[str]) -> BlockEntry:
    """Read an entry from the list of its parts.

    Raises:
        ValueError: a part is not written as it must be, or there are too few.
    """
    parts = []
    for text in on:
        found = _PART.fullmatch(text.strip())
        function = (found["function"] or "value") if found else ""
        if found is None or function not in _KINDS:
            raise ValueError(
                f"part {text!r}: write an attribute, or one of {', '.join(_KINDS)} with "
                "attributes in brackets, such as phonetic(name)"
            )
        names = (found["names"] or found["name"]).split(",")
        parts.append(Part(function, tuple(name.strip() for name in names)))
    entry = BlockEntry(tuple(parts))
    used = {name for part in parts for name in part.attributes}
    if len(parts) < 2 or len(used) < 2:
        raise ValueError("a block needs parts of two attributes at least: one alone would tell it")
    if entry.slots > MAX_VALUES:
        raise ValueError(f"more than {MAX_VALUES} tokens in a record: use fewer words of names")
    return entry


def problem_with(entry: BlockEntry, types: Mapping[str, str]) -> str | None:
    """Return what is wrong with an entry among attributes of these types, if anything."""
    for part in entry.parts:
        unknown = [name for name in part.attributes if name not in types]
        if unknown:
            return f"{', '.join(unknown)}: no such attribute"
        kinds = {ATTRIBUTE_TYPES[types[name]].kind for name in part.attributes}
        if not kinds <= _KINDS[part.function]:
            takes = ", ".join(sorted(_KINDS[part.function]))
            return f"{part.function} takes attributes of kind {takes}"
        if len(kinds) > 1:
            return f"{part}: the attributes of a part are of one kind"
    return None


def default_entries(attributes: Sequence[tuple[str, str]]) -> tuple[BlockEntry, ...]:
    """Return the entries of a schema that names none.

    Args:
        attributes: name and type of each attribute that is no identifier.

    The person's own name, in any of its attributes, meets the year and the day of
    birth, so that an error in one leaves the other; sex and date of birth together need
    no name, the names of the mother no date. Whatever has neither is found by the
    words of its most telling attributes, two by two.
    """
    of_type = {kind: name for name, kind in reversed(attributes)}
    names = tuple(n for n, kind in attributes if ATTRIBUTE_TYPES[kind].space == "name")
    name = Part("phonetic", names) if names else None
    parent = next((of_type[t] for t in ("mother_name", "father_name") if t in of_type), None)
    date, sex = of_type.get("date"), of_type.get("sex")
    found: list[tuple[Part, ...]] = []
    if date and name:
        found.append((name, Part("year", (date,))))
        found.append((name, Part("monthday", (date,))))
    if date and (sex or name):
        found.append(
            (Part("value", (date,)), Part("value", (sex,)) if sex else Part("initial", names))
        )
    if name and parent:
        found.append((name, Part("phonetic", (parent,))))
    telling = [_telling(n, kind) for n, kind in attributes if kind in _TELLING]
    if name:
        found += [(name, part) for part in telling]
    if not found:
        found += list(combinations(telling, 2))
    return tuple(BlockEntry(parts) for parts in found[:_MOST_DEFAULTS])


_MOST_DEFAULTS = 6
_TELLING = ("year", "age", "postcode", "phone", "email", "place", "address", "text", "code")


def _telling(name: str, kind: str) -> Part:
    if ATTRIBUTE_TYPES[kind].kind == "text":
        return Part("phonetic", (name,))
    return Part("value", (name,))
