"""Every word that a name may hold, with the pools that names are drawn from.

Common words come from the register's counts, by sex and by place in the name. Words
too rare to be published there (18 % of all that is written in names) are invented, by
joining the front of one common word to the end of another.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np

from linkage.synthetic.columns import Ints, Mask, Text, text
from linkage.synthetic.pools import GroupedPool, Pool
from linkage.synthetic.streams import stream
from linkage.synthetic.tables import abbreviation_words, rows

_RARE_SHARE = 0.18
_N_RARE = 60_000  # of each sex; combinations repeat about as often as rare words do
_OLD_FORMS = ("OE", "TJ", "DJ", "SJ")


@dataclass(frozen=True)
class Vocabulary:
    """Words by number.

    Attributes:
        words: upper case; a few entries are fixed pairs such as LA ODE.
        number: the id of each word.
        old: the word is in the spelling of before 1972 and its modern form is known.
        pools: by place in the name (first, middle, last, only) and sex (0 men, 1 women).
        pairs: by sex, which word follows which.
        follows: by sex, the chance that the next word is drawn from `pairs`.
    """

    words: Text
    number: dict[str, int]
    old: Mask
    pools: dict[tuple[str, int], Pool]
    pairs: tuple[GroupedPool, GroupedPool]
    follows: tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]

    def ids(self, words: list[str]) -> Ints:
        """Return the numbers of `words`, all of them known."""
        return np.array([self.number[word] for word in words], dtype=np.int64)

    def draw(self, rng: np.random.Generator, place: str, female: Mask) -> Ints:
        """Return one word for each person, for this place in the name."""
        drawn = np.empty(len(female), dtype=np.int64)
        for sex in (0, 1):
            mine = female == bool(sex)
            drawn[mine] = self.pools[place, sex].draw(rng, int(mine.sum()))
        return drawn

    def draw_next(self, rng: np.random.Generator, place: str, female: Mask, before: Ints) -> Ints:
        """Return the words that come after `before`, often the usual partner."""
        drawn = self.draw(rng, place, female)
        for sex in (0, 1):
            chance = self.follows[sex][before]
            partner = (female == bool(sex)) & (rng.random(len(female)) < chance)
            drawn[partner] = self.pairs[sex].draw(rng, before[partner])
        return drawn


@cache
def vocabulary() -> Vocabulary:
    """Return the vocabulary of the package's tables."""
    common = [row for row in rows("name_words.csv.gz") if _is_name(row["word"])]
    number: dict[str, int] = {}
    for row in common:
        number.setdefault(row["word"].upper(), len(number))
    n_common = len(number)
    others = [
        *(row["word"] for row in rows("synthetic_group_words.csv")),
        *(row["word"] for row in rows("synthetic_foreign_names.csv")),
        *(row["form"] for row in rows("synthetic_muhammad_forms.csv")),
        "BIN",
        "BINTI",
    ]
    for word in others:
        number.setdefault(word, len(number))
    shares = np.array([[float(r["count_male"]), float(r["count_female"])] for r in common])
    counts = shares.sum(axis=1)
    rare = [_invent(list(number)[:n_common], shares[:, sex], number, sex) for sex in (0, 1)]
    forms = {row["form"] for row in rows("synthetic_muhammad_forms.csv")}
    muhammad = np.array([row["word"].upper() in forms for row in common])
    pools = {}
    for place in ("first", "middle", "last", "only"):
        at_place = np.array([float(row[f"count_{place}"]) for row in common])
        for sex in (0, 1):
            weights = at_place * shares[:, sex] / counts
            if place == "first":
                weights[muhammad] = 0.0  # who is called Muhammad is decided apart
            tail = weights.sum() * _RARE_SHARE / (1 - _RARE_SHARE) / len(rare[sex])
            pools[place, sex] = Pool(
                np.concatenate([np.arange(n_common), rare[sex]]),
                np.concatenate([weights, np.full(len(rare[sex]), tail)]),
            )
    words = list(number)
    pairs = [_pairs(number, len(words), sex) for sex in (0, 1)]
    before_another = np.zeros((2, len(words)))
    open_ended = np.array(
        [float(row["count_first"]) + float(row["count_middle"]) for row in common]
    )
    before_another[:, :n_common] = (shares / counts[:, None]).T * open_ended
    follows = tuple(
        np.clip(pairs[sex].totals / np.maximum(before_another[sex], 1.0), 0.0, 0.95)
        for sex in (0, 1)
    )
    return Vocabulary(
        words=text(words),
        number=number,
        old=_old_spelling(words, number),
        pools=pools,
        pairs=(pairs[0], pairs[1]),
        follows=follows,
    )


def _is_name(word: str) -> bool:
    """Return whether `word` is a written name, and no abbreviation or title."""
    return (
        len(word) > 2
        and "." not in word
        and word.upper() not in abbreviation_words()
        and not word.endswith(("-", "'"))
    )


def _pairs(number: dict[str, int], n_words: int, sex: int) -> GroupedPool:
    known = [
        (number[first], number[second], float(row["count"]))
        for row in rows("synthetic_word_pairs.csv.gz")
        if row["sex"] == "LP"[sex]
        and (first := row["first"].upper()) in number
        and (second := row["second"].upper()) in number
    ]
    columns = np.array(known)
    return GroupedPool(
        columns[:, 0].astype(np.int64), columns[:, 1].astype(np.int64), columns[:, 2], n_words
    )


def _invent(
    words: list[str],
    weights: np.ndarray[tuple[int], np.dtype[np.float64]],
    number: dict[str, int],
    sex: int,
) -> Ints:
    """Add rare words to `number`, the same ones in every population."""
    rng = stream(0, "rare words", "LP"[sex])
    usable = [i for i, word in enumerate(words) if word.isalpha() and 4 <= len(word) <= 10]
    pool = Pool(usable, weights[usable] ** 0.7)
    fronts, ends = pool.draw(rng, _N_RARE), pool.draw(rng, _N_RARE)
    ids = []
    for front, end in zip(fronts.tolist(), ends.tolist(), strict=True):
        word = _front(words[front]) + _end(words[end])
        if 4 <= len(word) <= 12 and word not in number:
            ids.append(number.setdefault(word, len(number)))
    return np.array(ids, dtype=np.int64)


def _front(word: str) -> str:
    """Return the word up to a vowel in its middle."""
    cut = next((i for i in range(len(word) // 2, 0, -1) if word[i] in "AEIOU"), 1)
    return word[: cut + 1]


def _end(word: str) -> str:
    """Return the word from a consonant after its middle."""
    half = len(word) // 2
    cut = next((i for i in range(half, len(word)) if word[i] not in "AEIOU"), half)
    return word[cut:]


def modern_spelling(word: str) -> str:
    """Return `word` in the spelling of 1972, by letters alone (domain rule N09)."""
    new = word.replace("TJ", "C").replace("SJ", "SY").replace("OE", "U")
    if "DJ" in new:
        return new.replace("DJ", "\0").replace("J", "Y").replace("\0", "J")
    return new.replace("J", "Y") if new != word else new


def _old_spelling(words: list[str], number: dict[str, int]) -> Mask:
    return np.array(
        [
            any(form in word for form in _OLD_FORMS) and modern_spelling(word) in number
            for word in words
        ]
    )
