"""Block entries: by which parts of their attributes records become candidates.

An entry is a list of parts, each a function of one attribute or of several of one kind:
`phonetic(nama)`, `year(tgl_lahir)`, `word(given_name, surname)`, `sex`. Two records are
candidates when all parts of some entry agree. In a job of one round an entry needs two
attributes at least: its tokens are sent beside the codes, so the matcher sees which records
share it. In a job of two rounds nothing says whose a token is, and one attribute will do.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from linkage.types import ATTRIBUTE_TYPES, Kind

# For each function the kinds of attribute it takes.
_KINDS: dict[str, frozenset[Kind]] = {
    "phonetic": frozenset({"name", "text"}),
    "word": frozenset({"name", "text"}),
    "year": frozenset({"date", "year"}),
    "monthday": frozenset({"date"}),
    "value": frozenset({"name", "text", "date", "year", "sex", "code"}),
}
_PART = re.compile(r"(?:(?P<function>[a-z]+)\((?P<names>[a-z0-9_, ]+)\)|(?P<name>[a-z][a-z0-9_]*))")

MAX_ENTRIES = 128
# What a part tells in bits, roughly: log2 of how many values there are in effect. For
# choosing default entries only, so that all parties choose alike.
_BITS: dict[str, dict[str, float]] = {
    "name": {"phonetic": 12, "word": 10},
    "date": {"value": 14, "monthday": 8.5, "year": 6},
    "year": {"year": 6},
    "sex": {"value": 1},
    "place": {"phonetic": 8, "word": 7},
    "nationality": {"phonetic": 3},
    "address": {"phonetic": 11, "word": 10},
    "text": {"phonetic": 9, "word": 8},
    "postcode": {"value": 10},
    "phone": {"value": 16},
    "email": {"value": 16},
    "code": {"value": 12},
    "number": {"value": 8},
}
# Entries that tell less find mostly strangers, even in a small register. With two rounds
# weak ones cost next to nothing: of each composite a few tickets are made, and no more.
_LEAST_BITS = 12.0
_LEAST_BITS_OF_TWO_ROUNDS, _LEAST_BITS_ALONE = 6.0, 8.0
_MOST_OF_ONE_ROUND = 96
_TWO = 2


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


@dataclass(frozen=True)
class BlockEntry:
    """Parts that must agree together."""

    parts: tuple[Part, ...]

    def __str__(self) -> str:
        """Return the entry in one line; no two entries have the same."""
        return " & ".join(str(part) for part in self.parts)


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
    if not parts:
        raise ValueError("a block needs at least one part")
    return BlockEntry(tuple(parts))


def problem_with(entry: BlockEntry, types: Mapping[str, str], rounds: int) -> str | None:
    """Return what is wrong with an entry among attributes of these types, if anything."""
    if rounds == 1 and len({name for part in entry.parts for name in part.attributes}) < _TWO:
        return "a block needs parts of two attributes at least in a job of one round"
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


def default_entries(attributes: Sequence[tuple[str, str]], rounds: int) -> tuple[BlockEntry, ...]:
    """Return the entries of a schema that names none, the most telling first.

    A pair of records that agrees on any two of its attributes, or on parts of them, is
    found by one of these; in a job of two rounds also one that agrees on a single telling
    part. Names that may be swapped are a part together, too.

    Args:
        attributes: name and type of each attribute that is no identifier.
        rounds: of the job.
    """
    parts: list[tuple[float, Part]] = []
    for name, kind in attributes:
        bits = (
            _BITS["name" if ATTRIBUTE_TYPES[kind].kind == "name" else kind] if kind != "age" else {}
        )
        parts += [(b, Part(function, (name,))) for function, b in bits.items()]
    own = tuple(name for name, kind in attributes if ATTRIBUTE_TYPES[kind].space == "name")
    if len(own) > 1:
        parts += [(b, Part(function, own)) for function, b in _BITS["name"].items()]
    least = _LEAST_BITS if rounds == 1 else _LEAST_BITS_OF_TWO_ROUNDS
    telling = [
        (one[0] + other[0], BlockEntry((one[1], other[1])))
        for one, other in combinations(parts, 2)
        if not set(one[1].attributes) & set(other[1].attributes) and one[0] + other[0] >= least
    ]
    if rounds == _TWO:
        alone = [(b, BlockEntry((part,))) for b, part in parts]
        telling += [found for found in alone if found[0] >= _LEAST_BITS_ALONE]
        # Of attributes that all tell little, each has to do.
        telling = telling or alone
    # Stable: of equally telling entries the first attributes count first.
    telling.sort(key=lambda found: -found[0])
    # The best entry of every set of attributes comes before the second best of any.
    times: dict[frozenset[str], int] = {}
    in_turn = []
    for _, entry in telling:
        used = frozenset(name for part in entry.parts for name in part.attributes)
        times[used] = times.get(used, 0) + 1
        in_turn.append((times[used], entry))
    in_turn.sort(key=lambda turn: turn[0])
    most = _MOST_OF_ONE_ROUND if rounds == 1 else MAX_ENTRIES
    return tuple(entry for _, entry in in_turn[:most])
