"""How each group names its people, and the slots that a name has.

Most Indonesians have no family name. Batak, Minahasan, Moluccan, Papuan and Arab
families do; Balinese count their children; Bugis, Butonese and nobles put a marker
in front; foreigners have a given and a family name.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

from linkage.synthetic.columns import Ints, calendar
from linkage.synthetic.families import Kin
from linkage.synthetic.pools import Pool
from linkage.synthetic.tables import rows
from linkage.synthetic.vocabulary import Vocabulary

FRONT, ORDER, GIVEN, BIN, PATRONYM, FAMILY, N_SLOTS = 0, 1, 2, 6, 7, 8, 9


class Practices:
    """The naming practices of all groups, from the package's tables.

    Args:
        words: the vocabulary that names are drawn from.

    Attributes:
        groups: names of the groups, in the order of their codes.
        one_word: by group, odds of a name of one word.
        muhammad: by group, odds of Muhammad as a man's first word.
        christian: by group, share with a Christian first name.
        own: by group, share with a first name typical of the group.
        front: by group, share with a front marker (I, NI, ANDI, RADEN, LA ODE).
        clan: by group, share of families with a family name.
        father: by group, share of children who carry the father's last word.
        patronym: by group, share with BIN or BINTI and the father's first word.
        has_family: by group, whether family names are the rule.
        bin: word number of BIN.
        binti: word number of BINTI.
        muhammad_forms: the written forms of Muhammad.
    """

    def __init__(self, words: Vocabulary) -> None:
        table = rows("synthetic_groups.csv")
        self.groups = [row["group"] for row in table]
        self._words = words
        self.one_word, self.muhammad, self.christian, self.own, self.front = (
            np.array([float(row[key]) for row in table])
            for key in ("one_word", "muhammad", "christian", "own", "front")
        )
        self.clan, self.father, self.patronym = (
            np.array([float(row[key]) for row in table]) for key in ("clan", "father", "patronym")
        )
        self.has_family = self.clan > 0.5
        self.bin, self.binti = words.number["BIN"], words.number["BINTI"]
        forms = rows("synthetic_muhammad_forms.csv")
        self.muhammad_forms = Pool(
            words.ids([row["form"] for row in forms]), [float(row["count"]) for row in forms]
        )
        self._pools: dict[tuple[str, str, int], Pool] = {}

    def pool(self, group: str, role: str, sex: int) -> Pool:
        """Return the words of a group for one role; `sex` is 0 for men."""
        key = (group, role, sex)
        if key not in self._pools:
            mine = [
                row
                for row in rows("synthetic_group_words.csv")
                if row["group"] == group and row["role"] == role and row["sex"] in ("", "LP"[sex])
            ]
            # The square root keeps words that are rare in the register's province in sight.
            self._pools[key] = Pool(
                self._words.ids([row["word"] for row in mine]),
                [float(row["weight"]) ** 0.5 for row in mine],
            )
        return self._pools[key]

    def mark(
        self, rng: np.random.Generator, slots: NDArray[np.int32], mine: Ints, group: str, kin: Kin
    ) -> None:
        """Add front markers, birth order words and family names of one group."""
        index = self.groups.index(group)
        fronted = mine[rng.random(len(mine)) < self.front[index]]
        for sex in (0, 1):
            chosen = fronted[kin.female[fronted] == bool(sex)]
            if len(chosen):
                slots[chosen, FRONT] = self.pool(group, "front", sex).draw(rng, len(chosen))
        lines = mine[rng.random(len(mine)) < self.clan[index]]
        if len(lines):
            slots[lines, FAMILY] = self.pool(group, "clan", 0).draw(rng, len(lines))
        if group == "balinese":
            self._balinese(rng, slots, mine, kin)

    def _balinese(
        self, rng: np.random.Generator, slots: NDArray[np.int32], mine: Ints, kin: Kin
    ) -> None:
        """Name children by birth order, and some families by caste."""
        caste = rng.random(len(mine)) < 0.12
        for sex in (0, 1):
            same = kin.female[mine] == bool(sex)
            noble = mine[caste & same]
            slots[noble, FRONT] = self.pool("balinese", "caste", sex).draw(rng, len(noble))
            for order in range(4):
                chosen = mine[~caste & same & (kin.birth_rank[mine] % 4 == order)]
                pool = self.pool("balinese", f"order{order + 1}", sex)
                slots[chosen, ORDER] = pool.draw(rng, len(chosen))

    def name_foreigners(
        self, rng: np.random.Generator, slots: NDArray[np.int32], mine: Ints, country: int, kin: Kin
    ) -> None:
        """Name persons of one foreign country: a given name and a family name."""
        code = foreign_countries()[country]
        for sex in (0, 1):
            chosen = mine[kin.female[mine] == bool(sex)]
            for role, slot in (("given", GIVEN), ("family", FAMILY)):
                known = [
                    row["word"]
                    for row in rows("synthetic_foreign_names.csv")
                    if (row["country"], row["role"]) == (code, role)
                    and row["sex"] in ("", "LP"[sex])
                ]
                slots[chosen, slot] = Pool(self._words.ids(known), np.ones(len(known))).draw(
                    rng, len(chosen)
                )

    def chinese_names(
        self, rng: np.random.Generator, slots: NDArray[np.int32], kin: Kin, country_of: Ints
    ) -> Ints:
        """Give some Chinese-Indonesians, the more the older, a Chinese name; return who."""
        born = calendar(kin.birth)[0]
        chance = np.where(born < 1966, 0.45, np.where(born < 1990, 0.12, 0.03))
        ours = (kin.group == self.groups.index("chinese")) & (country_of < 0)
        chosen = np.flatnonzero(ours & (rng.random(len(born)) < chance))
        family = slots[chosen, FAMILY]
        slots[chosen] = self.chinese_form(rng, len(chosen))
        slots[chosen, FAMILY] = family
        return chosen

    def chinese_form(self, rng: np.random.Generator, n: int) -> NDArray[np.int32]:
        """Return `n` Chinese names: a family name, then two syllables."""
        slots = np.full((n, N_SLOTS), -1, dtype=np.int32)
        slots[:, GIVEN] = self.pool("chinese", "former_clan", 0).draw(rng, n)
        for k in (1, 2):
            slots[:, GIVEN + k] = self.pool("chinese", "syllable", 0).draw(rng, n)
        return slots


@cache
def foreign_countries() -> list[str]:
    """Return the ISO codes of the countries that foreigners come from."""
    return sorted({row["country"] for row in rows("synthetic_foreign_names.csv")})
