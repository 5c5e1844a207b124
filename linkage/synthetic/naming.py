"""Full names of persons, by the naming practice of their group.

A name is a row of word numbers in fixed slots, -1 where the slot is empty:
front marker (I, NI, ANDI, RADEN, LA ODE), birth order, four given words, BIN or
BINTI, the father's word, and the family name. Most people have no family name.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.synthetic.columns import Ints, Mask, Text, calendar, join, lengths, pick
from linkage.synthetic.families import Kin
from linkage.synthetic.practices import (
    BIN,
    FAMILY,
    FRONT,
    GIVEN,
    N_SLOTS,
    PATRONYM,
    Practices,
)
from linkage.synthetic.vocabulary import Vocabulary

NAME_LIMIT = 60  # characters of a name on population documents

# Shares of the whole register, which the practices of the groups are scaled to.
_MUHAMMAD = 0.1745
_ONE_WORD = (0.28475, 0.32739)
_THREE_OF_MORE, _FOUR_OF_MORE = (0.468, 0.463), (0.092, 0.072)

_COHORTS = np.array([1960, 1980, 1998, 2012])
_COHORT_ONE_WORD = np.array([2.2, 1.7, 0.8, 0.25, 0.10])
_COHORT_THREE = np.array([0.4, 0.7, 1.0, 1.3, 1.5])
_COHORT_MUHAMMAD = np.array([0.35, 0.6, 1.1, 1.5, 1.6])


@dataclass(frozen=True)
class Names:
    """Names of all persons.

    Attributes:
        slots: word numbers, shape (n_persons, N_SLOTS).
        n_given: number of given words.
    """

    slots: NDArray[np.int32]
    n_given: Ints


def give_names(rng: np.random.Generator, kin: Kin, country_of: Ints, words: Vocabulary) -> Names:
    """Return the names of everyone in `kin`, fathers' words handed down.

    Args:
        rng: source of randomness.
        kin: the persons.
        country_of: index of the foreign country of each person, -1 for Indonesians.
        words: the vocabulary.
    """
    practice = Practices(words)
    n = len(kin.birth)
    cohort = np.searchsorted(_COHORTS, calendar(kin.birth)[0], side="right")
    slots = np.full((n, N_SLOTS), -1, dtype=np.int32)
    muhammad = _share(rng, practice.muhammad[kin.group] * _COHORT_MUHAMMAD[cohort],
                      ~kin.female, _MUHAMMAD, kin.n_living)  # fmt: skip
    n_given = _count_words(rng, kin, practice, cohort, muhammad)
    _draw_given(rng, slots, kin, n_given, words)
    _own_words(rng, slots, kin, practice)
    first = slots[muhammad, GIVEN]
    slots[muhammad, GIVEN] = practice.muhammad_forms.draw(rng, len(first))
    for group, name in enumerate(practice.groups):
        mine = np.flatnonzero((kin.group == group) & (country_of < 0))
        practice.mark(rng, slots, mine, name, kin)
    foreign = np.flatnonzero(country_of >= 0)
    slots[foreign] = -1
    n_given[foreign] = 1
    for country in np.unique(country_of[foreign]).tolist():
        practice.name_foreigners(rng, slots, foreign[country_of[foreign] == country], country, kin)
    old_chinese = practice.chinese_names(rng, slots, kin, country_of)
    n_given[old_chinese] = 3
    _hand_down(rng, slots, n_given, kin, practice, country_of)
    slots[old_chinese, BIN:] = -1  # the adopted family name waited there for the children
    return Names(slots, n_given)


def render(slots: NDArray[np.int32], words: Vocabulary) -> Text:
    """Return the names as text, upper case, at most `NAME_LIMIT` characters."""
    full = join([pick(words.words, slots[:, i]) for i in range(N_SLOTS)], " ")
    for droppable in (GIVEN + 3, GIVEN + 2, BIN, PATRONYM, FRONT):
        long = lengths(full) > NAME_LIMIT
        if not long.any():
            break
        slots = np.where(long[:, None] & (np.arange(N_SLOTS) == droppable), -1, slots)
        full = join([pick(words.words, slots[:, i]) for i in range(N_SLOTS)], " ")
    return full


def _share(
    rng: np.random.Generator, odds: NDArray[np.float64], among: Mask, target: float, n: int
) -> Mask:
    """Draw a mask over `among`, following `odds`; of the first `n` persons `target` are true."""
    judged = odds[:n][among[:n]]
    mean = judged.mean() if len(judged) else 0.0
    chance = np.minimum(odds * (target / mean if mean > 0 else 0.0), 0.97)
    return among & (rng.random(len(odds)) < chance)


def _count_words(
    rng: np.random.Generator, kin: Kin, practice: Practices, cohort: Ints, muhammad: Mask
) -> Ints:
    """Return the number of given words: 1 to 4."""
    n = len(kin.birth)
    count = np.full(n, 2, dtype=np.int64)
    odds = practice.one_word[kin.group] * _COHORT_ONE_WORD[cohort]
    for sex in (0, 1):
        mine = kin.female == bool(sex)
        # Hardly anyone is called Muhammad alone, so the others make up the share.
        free = mine & ~muhammad
        living = slice(kin.n_living)
        target = _ONE_WORD[sex] * mine[living].sum() / max(int(free[living].sum()), 1)
        count[_share(rng, odds, free, float(target), kin.n_living)] = 1
        more = mine & (count > 1)
        three = np.minimum(_THREE_OF_MORE[sex] * _COHORT_THREE[cohort], 0.9)
        drawn = rng.random(n)
        count[more & (drawn < three)] = 3
        count[more & (drawn < _FOUR_OF_MORE[sex] * _COHORT_THREE[cohort])] = 4
    with_family = practice.has_family[kin.group] & ~muhammad
    short = with_family & (rng.random(n) < 0.45)
    count[with_family] = np.minimum(count[with_family], 2)
    count[short] = 1
    return count


def _draw_given(
    rng: np.random.Generator, slots: NDArray[np.int32], kin: Kin, n_given: Ints, words: Vocabulary
) -> None:
    """Fill the given words from the register's pools."""
    one = np.flatnonzero(n_given == 1)
    slots[one, GIVEN] = words.draw(rng, "only", kin.female[one])
    more = np.flatnonzero(n_given > 1)
    slots[more, GIVEN] = words.draw(rng, "first", kin.female[more])
    for k in range(1, 4):
        for place, chosen in (("middle", n_given > k + 1), ("last", n_given == k + 1)):
            rows_ = np.flatnonzero(chosen)
            before = slots[rows_, GIVEN + k - 1].astype(np.int64)
            drawn = words.draw_next(rng, place, kin.female[rows_], before)
            again = drawn == before
            drawn[again] = words.draw(rng, place, kin.female[rows_[again]])
            slots[rows_, GIVEN + k] = drawn


def _own_words(
    rng: np.random.Generator, slots: NDArray[np.int32], kin: Kin, practice: Practices
) -> None:
    """Replace first words by those typical of the group, or of Christians."""
    n = len(kin.birth)
    christian = rng.random(n) < practice.christian[kin.group]
    own = rng.random(n) < practice.own[kin.group]
    for sex in (0, 1):
        mine = kin.female == bool(sex)
        chosen = np.flatnonzero(mine & christian)
        slots[chosen, GIVEN] = practice.pool("christian", "given", sex).draw(rng, len(chosen))
        second = chosen[(slots[chosen, GIVEN + 1] >= 0) & (rng.random(len(chosen)) < 0.7)]
        names = practice.pool("christian", "given", sex).draw(rng, len(second))
        names[names == slots[second, GIVEN]] = -1
        slots[second, GIVEN + 1] = names
        for group, name in enumerate(practice.groups):
            chosen = np.flatnonzero(mine & own & (kin.group == group))
            slots[chosen, GIVEN] = practice.pool(name, "given", sex).draw(rng, len(chosen))


def _hand_down(
    rng: np.random.Generator,
    slots: NDArray[np.int32],
    n_given: Ints,
    kin: Kin,
    practice: Practices,
    country_of: Ints,
) -> None:
    """Copy family names, fathers' last words and patronyms, generation by generation."""
    level = np.zeros(len(kin.father), dtype=np.int64)
    while True:
        deeper = np.where(kin.father >= 0, level[kin.father] + 1, 0)
        if np.array_equal(deeper, level):
            break
        level = deeper
    takes_word = rng.random(len(level)) < practice.father[kin.group]
    takes_bin = rng.random(len(level)) < practice.patronym[kin.group]
    for generation in range(1, int(level.max(initial=0)) + 1):
        child = np.flatnonzero(level == generation)
        father = kin.father[child]
        same = (kin.group[child] == kin.group[father]) | (country_of[father] >= 0)
        inherits = same & ~((country_of[father] < 0) & (country_of[child] >= 0))
        slots[child[inherits], FAMILY] = slots[father[inherits], FAMILY]
        native = country_of[child] < 0
        worded = takes_word[child] & native & (n_given[child] > 1) & (slots[child, FAMILY] < 0)
        heir, source = child[worded], father[worded]
        slots[heir, GIVEN + n_given[heir] - 1] = slots[source, GIVEN + n_given[source] - 1]
        marked = takes_bin[child] & native & (country_of[father] < 0)
        heir, source = child[marked], father[marked]
        slots[heir, BIN] = np.where(kin.female[heir], practice.binti, practice.bin)
        slots[heir, PATRONYM] = slots[source, GIVEN]
