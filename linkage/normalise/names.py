"""One name at a time: the definition of the name rules N01 to N20.

`namecolumns` does the same for whole columns and calls this module for every value
in which the place of a word matters. What only compares two names (N11, N12, N15)
is in `likeness`.

Order of the steps: parts at commas, words, titles, patronym, short forms by place,
Abdul, doubling. The words that come out are stable: as a value they give themselves.
"""

from dataclasses import dataclass

from linkage.normalise.flags import NameFlag, WordClass
from linkage.normalise.nameparts import KnownParts, WrittenName
from linkage.normalise.namereading import Reading, Sex, Words
from linkage.normalise.nametables import NameTables, name_tables
from linkage.normalise.options import NormaliseOptions
from linkage.normalise.text import icao_view

ReadName = tuple[Words, Words, tuple[Words, ...], int]
"""Words, patronym, variants and flags: a `Name` without its wrapping."""

PARENT_KINDS = frozenset({"mother_name", "father_name"})
NAME_KINDS = frozenset({"name", "given_name", "surname", "alias"}) | PARENT_KINDS
_DEFAULT = NormaliseOptions()
_NO_FLAGS = NameFlag(0)


@dataclass(frozen=True, slots=True)
class Name:
    """A normalised name.

    Attributes:
        words: the canonical words in natural order; none where the name is missing.
        patronym: the words after BIN, BINTI and their like; none where there are none.
        variants: other readings of the words, each a whole name; compare with each
            and keep the best.
        flags: what was noticed on the way.
        classes: the weight class of each of `words`.
    """

    words: Words
    patronym: Words = ()
    variants: tuple[Words, ...] = ()
    flags: NameFlag = _NO_FLAGS
    classes: tuple[WordClass, ...] = ()


def normalise_name(
    value: str | None,
    options: NormaliseOptions = _DEFAULT,
    sex: Sex = "U",
    kind: str = "name",
) -> Name:
    """Return the words of one name.

    Args:
        value: the name as a source has it; None and "" are missing.
        options: the switches of the rules.
        sex: of the person the name belongs to; some short forms depend on it.
        kind: one of `NAME_KINDS`; a mother's and a father's name lose courtesy words.
    """
    if not value:
        return Name(())
    tables = name_tables(options, parent=kind in PARENT_KINDS)
    words, patronym, variants, flags = read_name(value, tables, sex)
    return Name(
        words, patronym, variants, NameFlag(flags), tuple(tables.class_of(w) for w in words)
    )


def read_name(
    value: str, tables: NameTables, sex: Sex = "U", known: KnownParts | None = None
) -> ReadName:
    """Return words, patronym, variants and flags of one value, which is not empty."""
    written = WrittenName(value, tables, known)
    name, patronym, variants, flags = read_words(written.words, written.flags, tables, sex)
    if "N01" in tables.on and (view := icao_view(value)) != value:
        other = WrittenName(view, tables)
        reading, *_ = read_words(other.words, other.flags, tables, sex)
        if reading and reading != name and reading not in variants:
            variants = (*variants, reading)
    return name, patronym, variants, flags


def read_words(words: list[str], flags: int, tables: NameTables, sex: Sex = "U") -> ReadName:
    """Return what `read_name` does for a value whose words are known.

    Args:
        words: the respelt words in natural order, degrees with their full stops.
        flags: what was noticed in them.
        tables: the tables for the options.
        sex: of the person the name belongs to.
    """
    reading = Reading(words, flags, tables, sex)
    variants: tuple[Words, ...] = ()
    if found := reading.variants():
        variants = tuple(v for v in dict.fromkeys(found) if v and v != reading.words)
    return reading.words, reading.patronym, variants, reading.flags
