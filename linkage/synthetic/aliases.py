"""Other names that a person has, or had, with the reason."""

import numpy as np
from numpy.typing import NDArray

from linkage.synthetic.columns import Ints, Text, calendar, differs, pick, text
from linkage.synthetic.families import Kin
from linkage.synthetic.mix import Mix
from linkage.synthetic.naming import Names, render
from linkage.synthetic.practices import FAMILY, GIVEN, ORDER, PATRONYM, Practices
from linkage.synthetic.vocabulary import Vocabulary

KINDS = ("married", "changed", "former", "dual", "naturalised")


def other_names(
    rng: np.random.Generator,
    kin: Kin,
    names: Names,
    naturalised: Ints,
    chinese: int,
    mix: Mix,
    words: Vocabulary,
) -> tuple[Text, Text]:
    """Return the other name of each person and its kind, null for most.

    Persons in `naturalised` have their names in `names` changed here: an Indonesian
    word is put in front, and the name before becomes the other name.

    Args:
        rng: source of randomness.
        kin: all persons.
        names: their names.
        naturalised: foreigners who became Indonesian.
        chinese: code of the Chinese-Indonesian group.
        mix: shares.
        words: the vocabulary.
    """
    n = kin.n_living
    slots: NDArray[np.int32] = names.slots[:n].copy()
    kind = np.full(n, -1, dtype=np.int64)
    born = calendar(kin.birth[:n])[0]
    adult = born < born.max(initial=0) - 20

    wives = kin.female[:n] & (kin.spouse[:n] >= 0) & (rng.random(n) < mix.married_name)
    rows = np.flatnonzero(wives)
    husband = kin.spouse[rows]
    last = names.slots[husband, FAMILY]
    given = names.slots[husband, GIVEN + names.n_given[husband] - 1]
    slots[rows, PATRONYM] = -1
    slots[rows, FAMILY] = np.where(last >= 0, last, given)
    kind[rows] = KINDS.index("married")

    rows = np.flatnonzero(adult & (rng.random(n) < mix.changed_name))
    slots[rows] = names.slots[rows]
    slots[rows, GIVEN] = words.draw(rng, "first", kin.female[rows])
    kind[rows] = KINDS.index("changed")

    foreign = kin.foreign[:n]
    settled = (kin.group[:n] == chinese) & (born < 1966) & ~foreign & (rng.random(n) < 0.5)
    settled &= slots[:, FAMILY] >= 0  # who has a Chinese name adopted none
    rows = np.flatnonzero(settled)
    slots[rows] = Practices(words).chinese_form(rng, len(rows))
    kind[rows] = KINDS.index("former")

    rows = np.flatnonzero(kin.dual[:n] & (rng.random(n) < 0.4))
    slots[rows] = -1
    slots[rows, GIVEN] = names.slots[rows, GIVEN]
    family = names.slots[rows, FAMILY]
    last = names.slots[rows, GIVEN + names.n_given[rows] - 1]
    slots[rows, FAMILY] = np.where(family >= 0, family, np.where(last >= 0, last, -1))
    kind[rows] = KINDS.index("dual")

    slots[naturalised] = names.slots[naturalised]
    kind[naturalised] = KINDS.index("naturalised")
    names.slots[naturalised, ORDER] = words.draw(rng, "first", kin.female[naturalised])

    kept = np.where(kind[:, None] >= 0, slots, -1)
    alias = render(kept, words)
    kind[~differs(alias, render(names.slots[:n], words))] = -1
    none = np.full(n, -1, dtype=np.int64)
    numbered = np.where(kind >= 0, np.arange(n), none)
    return pick(alias, numbered), pick(text(KINDS), kind)
