"""The written words of a column of names, and what becomes of each."""

import numpy as np
from numpy.typing import NDArray

from linkage.normalise import filling, splitting
from linkage.normalise.arrow import texts
from linkage.normalise.flags import NameFlag, WordClass
from linkage.normalise.nametables import NameTables
from linkage.normalise.namewords import respell
from linkage.normalise.spelling import modern_spelling
from linkage.normalise.text import fold, icao_view


class NameVocabulary:
    """The written words of a column and what becomes of each.

    Attributes:
        tables: the tables for the options.
        canonical: canonical words; the first ones are the written words that stay.
        becomes: numbers of the canonical words of all written words, in a row.
        becomes_offsets: their offsets by written word.
        flags: what was noticed in each written word.
        triggers: where a written word sends its record to the slow path, if anywhere.
    """

    def __init__(
        self,
        arena: NDArray[np.uint8],
        starts: NDArray[np.int64],
        features: NDArray[np.uint8],
        tables: NameTables,
    ) -> None:
        self.tables = tables
        n = len(features)
        written = texts(arena, starts)
        self.canonical = written
        self._number = dict(zip(written, range(n), strict=True))
        self.flags = np.zeros(n, dtype=np.uint32)
        self.triggers = np.zeros(n, dtype=np.uint8)
        one_letter = features & splitting.ONE_LETTER != 0
        self.flags[one_letter] = NameFlag.INITIAL
        changed: dict[int, list[int]] = {}
        for word in self._to_look_at(features):
            text = written[word]
            words, flags = respell(text, tables)
            if any(len(w) == 1 for w in words):
                flags |= NameFlag.INITIAL
            self.flags[word] = flags
            self.triggers[word] = self._trigger(text, words)
            if words != (text,):
                changed[word] = [self.number(w) for w in words]
        self._changed_words = {row: [self.canonical[i] for i in changed[row]] for row in changed}
        self._lay_out(n, changed)
        self._one_letter = np.flatnonzero(one_letter)

    def number(self, word: str) -> int:
        """Return the number of a canonical word, a new one where it is new."""
        number = self._number.get(word)
        if number is None:
            number = self._number[word] = len(self.canonical)
            self.canonical.append(word)
        return number

    def _to_look_at(self, features: NDArray[np.uint8]) -> list[int]:
        """Return the written words that some rule may change or that may be triggers."""
        tables = self.tables
        reasons = splitting.OTHER_SCRIPT | splitting.HAS_DIGIT | splitting.BEGINS_XX
        if tables.modernises:
            reasons |= splitting.OLD_SPELLING
        if tables.proposes_modern:
            reasons |= splitting.OLD_SPELLING
        if "N06" in tables.on:
            reasons |= splitting.BEGINS_ABD
        found = set(np.flatnonzero(features & reasons).tolist())
        for listed in (tables.triggers, tables.front_triggers, tables.respelt, tables.fillers):
            found.update(self._number[word] for word in listed if word in self._number)
        return sorted(found)

    def _trigger(self, text: str, words: tuple[str, ...]) -> int:
        """Return where a word's place, or another reading of it, matters."""
        tables = self.tables
        if "N01" in tables.on and not text.isascii() and fold(icao_view(text)) != fold(text):
            return filling.REREAD
        if not tables.triggers.isdisjoint(words):
            return filling.ANYWHERE
        if tables.proposes_modern and any(modern_spelling(w) != w for w in words):
            return filling.ANYWHERE
        return 0 if tables.front_triggers.isdisjoint(words) else filling.AT_FRONT

    def respelt(self, word: int) -> list[str]:
        """Return the canonical words of a written word."""
        changed = self._changed_words.get(word)
        return [self.canonical[word]] if changed is None else changed

    def classes(self) -> NDArray[np.uint8]:
        """Return the weight class of every canonical word by its number."""
        classes = np.zeros(len(self.canonical), dtype=np.uint8)
        classes[self._one_letter] = WordClass.INITIAL
        for word in self.canonical[len(self.triggers) :]:
            classes[self._number[word]] = self.tables.class_of(word)
        for word in self.tables.classes:
            if (number := self._number.get(word)) is not None:
                classes[number] = self.tables.class_of(word)
        return classes

    def _lay_out(self, n: int, changed: dict[int, list[int]]) -> None:
        counts = np.ones(n, dtype=np.int64)
        rows = sorted(changed)
        counts[rows] = [len(changed[row]) for row in rows]
        self.becomes_offsets = np.zeros(n + 1, dtype=np.int64)
        np.cumsum(counts, out=self.becomes_offsets[1:])
        self.becomes = np.empty(self.becomes_offsets[-1], dtype=np.int32)
        unchanged = np.ones(n, dtype=np.bool_)
        unchanged[rows] = False
        kept = np.flatnonzero(unchanged)
        self.becomes[self.becomes_offsets[kept]] = kept
        for row in rows:
            start = self.becomes_offsets[row]
            self.becomes[start : start + len(changed[row])] = changed[row]
