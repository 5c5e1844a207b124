"""A written name to its words, in natural order: commas, full stops, machine-readable zones.

Rules N02, N16 and N19, and of N03 the titles behind a comma. A degree keeps its full
stops (`S.KOM`), so that `namereading` can tell it from a word.
"""

import re
from collections.abc import Sequence

from linkage.normalise.flags import NameFlag
from linkage.normalise.nametables import NameTables
from linkage.normalise.namewords import respell

FIELD_LENGTHS = frozenset({39, 50, 60})
"""Lengths of the name on a machine-readable zone, a passport and a KTP (rule N19)."""

_APOSTROPHES = str.maketrans("", "", "'`\u2019\u2018\u00b4\u02bc")
_CHUNK = re.compile(r"[0-9A-Za-z.\x80-\U0010ffff]+")
_PATRONYM_MARK = re.compile(r"(?<![0-9A-Za-z])[AaSsDd] ?/ ?[LlPpOo](?![0-9A-Za-z])")
_SPACE = " \t\n\r\x0b\x0c"
# The first line of a passport's machine-readable zone, up to the name.
_MRZ_LINE = re.compile(r"^P[A-Z<][A-Z]{3}(?=[A-Z<]{39}$)")
_DEGREE_HEADS = frozenset({"S", "M", "A", "D", "P", "B", "SP", "PH", "AMD", "DIPL"})
_DEGREE_PIECE = 5


_Read = tuple[Sequence[str], int]


class KnownParts:
    """What pieces of values became, so that those that come again are read once.

    Holds parts of names in plain text: one is for one column of a chunk, no longer.

    Attributes:
        chunks: words and flags of written words.
        parts: words and flags of parts behind a comma, most of them degrees.
    """

    __slots__ = ("chunks", "parts")

    def __init__(self) -> None:
        self.chunks: dict[str, _Read] = {}
        self.parts: dict[str, _Read] = {}


class WrittenName:
    """The words of one value and what was noticed.

    Args:
        value: the name as a source has it.
        tables: the tables for the options.
        known: what was read before under the same tables; grows.

    Attributes:
        words: words in natural order; degrees with their full stops.
        flags: bits of `NameFlag`, as a plain integer.
    """

    __slots__ = ("_known", "_tables", "flags", "words")

    def __init__(self, value: str, tables: NameTables, known: KnownParts | None = None) -> None:
        self._tables = tables
        self._known = known or KnownParts()
        self.flags = 0
        self.words = self._join_parts(self._parts(value))

    def _parts(self, value: str) -> list[Sequence[str]]:
        """Return the words of each part between commas; degrees keep their stops."""
        stripped = value.strip(_SPACE)
        if stripped.upper() == "N/A" and self._tables.nobody:
            self.flags |= NameFlag.NOBODY.value
            return [[]]
        if "N19" in self._tables.on:
            if len(stripped) in FIELD_LENGTHS and not stripped.endswith("<"):
                self.flags |= NameFlag.CUT.value
            if "<" in value:
                self.flags |= NameFlag.MRZ.value
                line = _MRZ_LINE.sub("", stripped)
                value = line.strip("< ").replace("<<", ",")
        if "/" in value and self._tables.markers:
            value = _PATRONYM_MARK.sub(" BIN ", value)
        if "'" in value or "`" in value or not value.isascii():
            value = value.translate(_APOSTROPHES)
        if "," not in value:
            return [self._part(value, first=True)]
        first, *rest = value.split(",")
        return [self._part(first, first=True), *map(self._later_part, rest)]

    def _later_part(self, text: str) -> Sequence[str]:
        """Return the words of a part behind a comma."""
        read = self._known.parts.get(text)
        if read is None:
            before, self.flags = self.flags, 0
            words = self._part(text, first=False)
            read = self._known.parts[text] = words, self.flags
            self.flags = before
        self.flags |= read[1]
        return read[0]

    def _part(self, text: str, *, first: bool) -> list[str]:
        words: list[str] = []
        for chunk in _CHUNK.findall(text):
            if "." not in chunk:
                words += self._respell(chunk)
                continue
            pieces = [piece for piece in chunk.split(".") if piece]
            joined = "".join(pieces).upper()
            if len(pieces) > 1:
                if not words and first and joined in self._tables.dotted:
                    pieces = [joined]
                elif (words or not first) and self._is_degree(pieces, joined, first=first):
                    words.append(".".join(pieces).upper())
                    continue
            for piece in pieces:
                words += self._respell(piece)
        return words

    def _is_degree(self, pieces: list[str], joined: str, *, first: bool) -> bool:
        if joined in self._tables.after_comma:
            return True
        # S.Sos.I., A.Md.Keb.: after a comma the form alone tells a degree.
        return (
            not first
            and bool(self._tables.after_comma)
            and pieces[0].upper() in _DEGREE_HEADS
            and max(map(len, pieces)) <= _DEGREE_PIECE
        )

    def _respell(self, chunk: str) -> Sequence[str]:
        read = self._known.chunks.get(chunk)
        if read is None:
            read = respell(chunk.upper() if chunk.isascii() else chunk, self._tables)
            self._known.chunks[chunk] = read
        self.flags |= read[1]
        return read[0]

    def _join_parts(self, parts: list[Sequence[str]]) -> list[str]:
        """Rules N03 and N16: drop parts that are titles, and turn the order at commas."""
        first, *rest = parts
        if not rest:
            return list(first)
        if self._tables.after_comma and not self.flags & NameFlag.MRZ.value:
            kept = [part for part in rest if not self._all_titles(part)]
            if len(kept) < len(rest):
                if says_something(first) or any(map(says_something, kept)):
                    self.flags |= NameFlag.TITLE_STRIPPED.value
                    rest = kept
                else:
                    self.flags |= NameFlag.TITLE_KEPT.value
        suffixes = self._tables.suffixes
        before: list[str] = []
        after: list[str] = []
        for part in rest:
            stays = "N16" not in self._tables.on or suffixes.issuperset(part)
            (after if stays else before).extend(part)
        if before and first:
            self.flags |= NameFlag.TURNED.value
        return [*before, *first, *after]

    def _all_titles(self, part: Sequence[str]) -> bool:
        titles = self._tables.after_comma
        if "".join(part) in titles:
            return True  # also S. H. written apart
        seen = False
        for word in part:
            if "." in word or word in titles:
                seen = True
            elif not seen or len(word) > 1:  # Sp. A: a letter may follow a title
                return False
        return seen


def says_something(words: Sequence[str]) -> bool:
    """Return whether there is a word of two letters, other than a dotted degree."""
    return any(len(word) > 1 and "." not in word for word in words)
