"""The name rules in which the place of a word matters, applied to one value.

Order of the steps: written words, titles in front, patronym, titles behind, short
forms by place, Abdul, doubling; then the other readings.
"""

from typing import Literal

from linkage.normalise.flags import NameFlag
from linkage.normalise.nameparts import says_something
from linkage.normalise.nametables import ABDUL_HEADS, NameTables
from linkage.normalise.namewords import respell
from linkage.normalise.spelling import modern_spelling

Sex = Literal["L", "P", "U"]
Words = tuple[str, ...]

# Rule N07: for each sex the canonical form and the other readings.
_BY_SEX: dict[str, dict[Sex, tuple[str, Words]]] = {
    "ST": {"P": ("SITI", ()), "L": ("SUTAN", ()), "U": ("SITI", ("SUTAN",))},
    "SY": {"P": ("SYARIFAH", ()), "L": ("SYARIF", ()), "U": ("SY", ("SYARIF", "SYARIFAH"))},
    "T": {"P": ("T", ()), "L": ("T", ("TEUKU",)), "U": ("T", ("TEUKU",))},
}
_ABDUL = frozenset({"ABDUL", *ABDUL_HEADS})
_ARTICLES = frozenset({"AL", "EL"})


class Reading:
    """The rules applied to the words of one value; the attributes are the outcome."""

    __slots__ = ("_alternatives", "_noble", "_sex", "_tables", "flags", "patronym", "words")

    def __init__(self, words: list[str], flags: int, tables: NameTables, sex: Sex) -> None:
        self._tables = tables
        self._sex = sex
        self._alternatives: list[str] = []
        self.patronym: Words = ()
        self.flags = flags
        words = self._strip_front(words)
        if tables.nobody and " ".join(words) in tables.nobody:
            self.flags |= NameFlag.NOBODY.value
            words = []
        words = self._split_patronym(words)
        words = self._strip_front(self._strip_back(words))
        placed = self._by_place(words)
        if placed is not words:
            # Titles a second time: R. in front has become a word, so they may go.
            placed = self._strip_back(placed)
        words = self._join_abdul(placed)
        self.words = self._undouble(tuple(words))
        if len(self.words) == 1:
            self.flags |= NameFlag.MONONYM.value
        if any(len(word) == 1 for word in self.words):
            self.flags |= NameFlag.INITIAL.value
        self._noble = self._n_noble()
        if self._noble:
            self.flags |= NameFlag.NOBLE.value

    # -- Titles and patronyms ---------------------------------------------

    def _strip_front(self, words: list[str]) -> list[str]:
        start = 0
        front = self._tables.front
        while start < len(words) and words[start] in front:
            if not says_something(words[start + 1 :]):
                self.flags |= NameFlag.TITLE_KEPT.value
                break
            self.flags |= NameFlag.TITLE_STRIPPED.value
            start += 1
        return words[start:]

    def _strip_back(self, words: list[str]) -> list[str]:
        """Drop titles at the end; what keeps its full stops elsewhere becomes letters."""
        end = len(words)
        back = self._tables.back
        while end > 0 and (words[end - 1] in back or "." in words[end - 1]):
            if not says_something(words[: end - 1]):
                self.flags |= NameFlag.TITLE_KEPT.value
                break
            self.flags |= NameFlag.TITLE_STRIPPED.value
            end -= 1
        left = words[:end]
        if not any("." in word for word in left):
            return left
        pieces = [piece for word in left for piece in word.split(".")]
        return [word for piece in pieces for word in respell(piece, self._tables)[0]]

    def _split_patronym(self, words: list[str]) -> list[str]:
        """Rule N08. A marker that is the first word is a name: Binti Khasanah."""
        markers = self._tables.markers
        for i in range(1, len(words)):
            if words[i] in markers:
                after = [word for word in words[i + 1 :] if word not in markers]
                if after:
                    self.flags |= NameFlag.PATRONYM.value
                    after = self._strip_front(self._strip_back(after))
                    self.patronym = tuple(self._join_abdul(self._by_place(after)))
                    self._alternatives.clear()
                return words[:i]
        return words

    # -- Short forms that depend on their place ----------------------------

    def _by_place(self, words: list[str]) -> list[str]:
        """Rules N04, N05, N07 and N13, where the place in the name decides."""
        tables = self._tables
        if tables.front_triggers.isdisjoint(words[:1]) and tables.triggers.isdisjoint(words):
            return words
        last = len(words) - 1
        balinese = False
        out: list[str] = []
        for i, word in enumerate(words):
            if 0 < i < last and word in tables.clan_marks:
                self.flags |= NameFlag.CLAN_MARK.value
                continue
            new: Words | None = None
            if balinese:
                new = tables.in_balinese.get(word)
            if new is None and i == 0 and last > 0:
                new = self._at_front(word)
            if new is None and last > 0:
                new = self._anywhere(word, is_last=i == last)
            if new is None:
                out.append(word)
            else:
                self.flags |= NameFlag.EXPANDED.value
                out.extend(new)
            if i == 0 and word in tables.context_front:
                balinese = True
            balinese = balinese or not tables.context.isdisjoint(new or (word,))
        return out

    def _at_front(self, word: str) -> Words | None:
        if word == "M" and "N05" in self._tables.on and self._sex != "P":
            self._alternatives.append("MUHAMMAD")
        elif word in _BY_SEX and "N07" in self._tables.on:
            canonical, others = _BY_SEX[word][self._sex]
            self._alternatives.extend(others)
            return (canonical,) if canonical != word else None
        return self._tables.at_front.get(word)

    def _anywhere(self, word: str, *, is_last: bool) -> Words | None:
        if word == "MD" and "N05" in self._tables.on:
            return ("MUHAMMAD",)
        if word == "ST" and not is_last and "N07" in self._tables.on:
            return ("SITI",) if self._sex == "P" else ("SUTAN",)
        return None

    def _join_abdul(self, words: list[str]) -> list[str]:
        """Rule N06: ABDUL and the word after it are one; so is ABDUR with R-."""
        if "N06" not in self._tables.on or _ABDUL.isdisjoint(words):
            return words
        out: list[str] = []
        i = 0
        while i < len(words):
            rest = words[i + 1 : i + 3]
            if words[i] == "ABDUL" and len(rest) == 2 and rest[0] in _ARTICLES:
                rest = rest[1:] if len(rest[1]) > 1 else rest[:1]
                joins, used = True, 3 if rest[0] not in _ARTICLES else 2
            else:
                joins = bool(rest) and len(rest[0]) > 1 and _takes(words[i], rest[0])
                used = 2
            if joins:
                out += respell(f"ABDUL{rest[0]}", self._tables)[0]
                i += used
            else:
                out.append(words[i])
                i += 1
        return out

    def _undouble(self, words: Words) -> Words:
        """Rule N14: a name written twice is that name."""
        if "N14" not in self._tables.on:
            return words
        half = len(words) // 2
        while half and words == words[:half] * 2:
            self.flags |= NameFlag.UNDOUBLED.value
            words = words[:half]
            half = len(words) // 2
        return words

    # -- Other readings ----------------------------------------------------

    def variants(self) -> list[Words]:
        """Return the other readings of the whole name; the words may be among them."""
        found = [(word, *self.words[1:]) for word in self._alternatives]
        if self._noble:
            found.append(self.words[self._noble :])
        if not self._tables.particles.isdisjoint(self.words):
            found.append(self._particles_joined())
        if self._tables.proposes_modern:
            found.append(tuple(map(modern_spelling, self.words)))
        return found

    def _n_noble(self) -> int:
        """Return how many words of nobility the name begins with (rule N04)."""
        tables, words = self._tables, self.words
        if tables.front_triggers.isdisjoint(words[:2]):
            return 0
        start = 1 if words[:1] and words[0] in tables.context_front else 0
        n = start
        while n < len(words):
            if words[n] in tables.noble:
                n += 1
            elif " ".join(words[n : n + 2]) in tables.noble_pairs:
                n += 2
            else:
                break
        return n if n > start and says_something(words[n:]) else 0

    def _particles_joined(self) -> Words:
        """Rule N18: VAN DER BERG is VANDERBERG."""
        out: list[str] = []
        prefix = ""
        for i, word in enumerate(self.words):
            if word in self._tables.particles and i + 1 < len(self.words):
                prefix += word
            elif prefix and len(word) == 1:
                return self.words
            else:
                out.append(prefix + word)
                prefix = ""
        return tuple(out)


def _takes(head: str, word: str) -> bool:
    return head == "ABDUL" or word.startswith(ABDUL_HEADS.get(head, ("?",)))
