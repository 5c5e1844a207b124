"""Who is whose parent: couples, children, twins, and parents outside the population.

Persons are numbered from 0; the first `n_living` are the population. The others
are parents who died or were never in it: they have a name, which their children's
records show, and nothing else. Births within a family are ten months apart or
more, except for twins, and a mother is 16 to 46 years older than her child.
"""

from dataclasses import dataclass

import numpy as np

from linkage.synthetic.births import draw_births, heap
from linkage.synthetic.columns import Ints, Mask, rank_within
from linkage.synthetic.mix import Mix
from linkage.synthetic.places import Places

_YEAR = 365.25
_GAP_DAYS = 300


@dataclass
class Kin:
    """All persons, as parallel columns.

    Attributes:
        n_living: the population is persons 0 to `n_living` - 1.
        female: sex.
        birth: day numbers.
        group: ethnic group of the person; that of the father, where he is Indonesian.
        foreign: born a citizen of another country.
        dual: has one foreign parent.
        province: where the person's family comes from.
        father: a person, or -1.
        mother: a person, or -1.
        spouse: a person of the population, or -1.
        twin: born with a sibling.
        birth_rank: 0 for the first child of the mother that is known here.
    """

    n_living: int
    female: Mask
    birth: Ints
    group: Ints
    foreign: Mask
    dual: Mask
    province: Ints
    father: Ints
    mother: Ints
    spouse: Ints
    twin: Mask
    birth_rank: Ints


@dataclass
class _Couples:
    husband: Ints
    wife: Ints
    cell: Ints
    wife_birth: Ints


def raise_families(rng: np.random.Generator, n: int, today: int, mix: Mix, country: Places) -> Kin:
    """Return a population of `n` persons with their families."""
    birth = draw_births(rng, n, today)
    age = (today - birth) / _YEAR
    province = country.by_province.draw(rng, n)
    kin = Kin(
        n_living=n,
        female=rng.random(n) >= 0.504,
        birth=birth,
        group=country.group_in_province.draw(rng, province),
        foreign=(age >= 20) & (rng.random(n) < mix.foreign),
        dual=(age < 21) & (rng.random(n) < mix.dual),
        province=province,
        father=np.full(n, -1, dtype=np.int64),
        mother=np.full(n, -1, dtype=np.int64),
        spouse=np.full(n, -1, dtype=np.int64),
        twin=np.zeros(n, dtype=np.bool_),
        birth_rank=np.zeros(n, dtype=np.int64),
    )
    n_groups = len(country.groups)
    couples = _marry(rng, kin, today, country, n_groups)
    everyone = np.flatnonzero(~kin.foreign)
    # Some parents live with the population and still are in no register of it.
    everyone = everyone[rng.random(len(everyone)) >= 0.04]
    # Aiming widely spreads children over couples; aiming closely serves the small groups.
    for reach in (40, 8, 1):
        waiting = everyone[kin.mother[everyone] < 0]
        _place(rng, kin, waiting, couples, mix, n_groups, reach)
    _add_outside_parents(rng, kin, today, mix, n_groups)
    siblings = np.lexsort((kin.birth, kin.mother))
    kin.birth_rank = rank_within(kin.mother, siblings)
    return kin


def _cell(kin: Kin, rows: Ints, n_groups: int) -> Ints:
    """Return the kind of family that each of `rows` is a child of."""
    home = kin.province[rows] * (n_groups + 1)
    cell = home + np.where(kin.foreign[rows], n_groups, kin.group[rows])
    return np.where(kin.dual[rows], -2, cell)  # the few mixed couples serve the whole country


def _marry(
    rng: np.random.Generator, kin: Kin, today: int, country: Places, n_groups: int
) -> _Couples:
    """Pair men and women of one province, mostly of one group, by age."""
    n = kin.n_living
    age = (today - kin.birth) / _YEAR - np.where(kin.female, 0.0, 3.0)
    adult = rng.random(n) < np.clip((age - 18) / 8, 0, 0.85)
    elsewhere = kin.foreign | (kin.female & (rng.random(n) < 0.08))
    drawn = country.group_in_province.draw(rng, kin.province)
    market = kin.province * n_groups + np.where(elsewhere, drawn, kin.group)
    suits = kin.birth + np.where(kin.female, 0, 3 * 365) + rng.normal(0, 400, n).astype(np.int64)
    sides = []
    for side in (adult & ~kin.female, adult & kin.female):
        rows = np.flatnonzero(side)
        order = np.lexsort((suits[rows], market[rows]))
        sides.append((rows, market[rows] * n + rank_within(market[rows], order)))
    (men, his), (women, hers) = sides
    _, at_his, at_hers = np.intersect1d(his, hers, assume_unique=True, return_indices=True)
    husband, wife = men[at_his], women[at_hers]
    older = (kin.birth[wife] - kin.birth[husband]) / _YEAR
    fits = (older > -5) & (older < 16) & ~(kin.foreign[husband] & kin.foreign[wife])
    husband, wife = husband[fits], wife[fits]
    kin.spouse[husband], kin.spouse[wife] = wife, husband
    mixed = kin.foreign[husband] | kin.foreign[wife]
    cell = kin.province[husband] * (n_groups + 1) + kin.group[husband]
    return _Couples(husband, wife, np.where(mixed, -2, cell), kin.birth[wife])


def _place(
    rng: np.random.Generator,
    kin: Kin,
    rows: Ints,
    couples: _Couples,
    mix: Mix,
    n_groups: int,
    reach: int = 1,
) -> None:
    """Give the persons `rows` parents among `couples`, where some fit.

    Args:
        rng: source of randomness.
        kin: all persons; changed in place.
        rows: persons without parents.
        couples: who may become parents.
        mix: share of twins.
        n_groups: number of ethnic groups.
        reach: how many places beside the couple of the wanted age may be taken.
    """
    if not len(rows) or not len(couples.wife):
        return
    years = np.clip(rng.normal(27, 5.5, len(rows)), 16.5, 45)
    wanted = kin.birth[rows] - (years * _YEAR).astype(np.int64)
    cell = _cell(kin, rows, n_groups)
    span = np.int64(1) << 18  # more days than separate any two births
    order = np.lexsort((couples.wife_birth, couples.cell))
    ranked = couples.cell[order] * span + couples.wife_birth[order]
    at = np.searchsorted(ranked, cell * span + wanted) + rng.integers(-reach, reach, len(rows))
    couple = order[np.clip(at, 0, len(order) - 1)]
    years = (kin.birth[rows] - couples.wife_birth[couple]) / _YEAR
    grown = (kin.birth[rows] - kin.birth[couples.husband[couple]]) / _YEAR
    fits = (couples.cell[couple] == cell) & (years >= 16) & (years <= 46) & (grown >= 16)
    rows, couple = rows[fits], couple[fits]
    kin.mother[rows], kin.father[rows] = couples.wife[couple], couples.husband[couple]
    _space_births(rng, kin, mix)
    kept = rows[kin.mother[rows] >= 0]
    dual = kept[kin.dual[kept]]
    native = np.where(kin.foreign[kin.father[dual]], kin.mother[dual], kin.father[dual])
    kin.group[dual] = kin.group[native]
    kin.province[kept] = kin.province[kin.father[kept]]


def _space_births(rng: np.random.Generator, kin: Kin, mix: Mix) -> None:
    """Make some births that are too close twins, and take the other children out."""
    earlier, later = _neighbours(kin)
    close = kin.birth[later] - kin.birth[earlier] < _GAP_DAYS
    paired = close & ~kin.twin[earlier] & ~kin.twin[later] & (rng.random(len(close)) < mix.twins)
    paired[1:] &= ~paired[:-1]
    kin.birth[later[paired]] = kin.birth[earlier[paired]]
    kin.twin[later[paired]] = kin.twin[earlier[paired]] = True
    while True:
        earlier, later = _neighbours(kin)
        gap = kin.birth[later] - kin.birth[earlier]
        close = (gap < _GAP_DAYS) & ~((gap == 0) & kin.twin[earlier] & kin.twin[later])
        if not close.any():
            break
        leaving = np.where(kin.twin[later], earlier, later)[close]
        kin.mother[leaving] = kin.father[leaving] = -1
    alone = kin.twin.copy()
    alone[earlier[gap == 0]] = alone[later[gap == 0]] = False
    kin.twin[alone] = False


def _neighbours(kin: Kin) -> tuple[Ints, Ints]:
    """Return all pairs of children of one mother with no birth between theirs."""
    children = np.flatnonzero(kin.mother >= 0)
    # One key sorts in half the time of two; births lie within 2^17 days of 1970.
    key = (kin.mother[children] << 18) + kin.birth[children] + (1 << 17)
    children = children[np.argsort(key, kind="stable")]
    earlier, later = children[:-1], children[1:]
    same = kin.mother[earlier] == kin.mother[later]
    return earlier[same], later[same]


def _add_outside_parents(
    rng: np.random.Generator, kin: Kin, today: int, mix: Mix, n_groups: int
) -> None:
    """Give everyone without parents a couple outside the population, siblings together."""
    orphans = np.flatnonzero(kin.mother < 0)
    founds = rng.random(len(orphans)) < 0.6
    couples = _new_couples(rng, kin, orphans[founds], today, n_groups)
    _place(rng, kin, orphans[~founds], couples, mix, n_groups)
    _new_couples(rng, kin, np.flatnonzero(kin.mother[: kin.n_living] < 0), today, n_groups)


def _new_couples(
    rng: np.random.Generator, kin: Kin, children: Ints, today: int, n_groups: int
) -> _Couples:
    """Add one couple for each of `children`, and make them its parents."""
    m = len(children)
    years = np.clip(rng.normal(27, 5.5, m), 16.5, 45)
    wife_birth = kin.birth[children] - (years * _YEAR).astype(np.int64)
    lead = np.clip(rng.normal(4, 3, m), -1, 12)
    husband_birth = np.minimum(
        wife_birth - (lead * _YEAR).astype(np.int64), kin.birth[children] - 17 * 366
    )
    cell = _cell(kin, children, n_groups)
    husband = np.arange(m) + len(kin.birth)
    wife = husband + m
    kin.father[children], kin.mother[children] = husband, wife
    # Of a dual child's parents outside the population, the father is the foreign one.
    foreign = np.concatenate([kin.foreign[children] | kin.dual[children], kin.foreign[children]])
    none = np.full(2 * m, -1, dtype=np.int64)
    kin.female = np.concatenate([kin.female, np.arange(2 * m) >= m])
    kin.birth = np.concatenate([kin.birth, heap(rng, husband_birth, today), wife_birth])
    kin.group = np.concatenate([kin.group, np.tile(kin.group[children], 2)])
    kin.foreign = np.concatenate([kin.foreign, foreign])
    kin.dual = np.concatenate([kin.dual, np.zeros(2 * m, dtype=np.bool_)])
    kin.province = np.concatenate([kin.province, np.tile(kin.province[children], 2)])
    kin.father = np.concatenate([kin.father, none])
    kin.mother = np.concatenate([kin.mother, none])
    kin.spouse = np.concatenate([kin.spouse, none])
    kin.twin = np.concatenate([kin.twin, np.zeros(2 * m, dtype=np.bool_)])
    return _Couples(husband, wife, cell, wife_birth)
