"""Birth dates: the age structure of the country, and the dates that people pick.

Older people often know no birthday. Registers then hold 31 December, 1 July,
1 January or 17 August, so these dates heap among them.
"""

import numpy as np

from linkage.synthetic.columns import Ints, Mask, calendar, day_number

# Census of 2020 (BPS), as ages on census day, so that the structure follows the reference date.
_AGES = np.array([0.0, 7.7, 23.7, 39.7, 55.7, 74.7, 97.0])
_SHARES = np.array([0.1088, 0.2794, 0.2587, 0.2188, 0.1156, 0.0187])

# Month, day, and how the undated are spread over them: SIAK wrote 1 July since 2004,
# older registers 31 December.
PLACEHOLDERS = ((7, 1, 0.38), (12, 31, 0.34), (1, 1, 0.18), (8, 17, 0.10))

# Within a bracket ages are even, but for the last two, which thin out: exponents that give
# 5.95 % of 65 and over.
_THINNING = np.array([1.0, 1.0, 1.0, 1.0, 1.64, 2.2])

_HEAPED_BEFORE = ((1950, 0.35), (1965, 0.20), (1980, 0.07), (2100, 0.004))


def draw_births(rng: np.random.Generator, n: int, today: int) -> Ints:
    """Return `n` birth dates as day numbers, none after `today`."""
    bracket = np.searchsorted(np.cumsum(_SHARES), rng.random(n) * _SHARES.sum(), side="right")
    bracket = np.minimum(bracket, len(_SHARES) - 1)
    width = np.diff(_AGES)[bracket]
    within = rng.random(n) ** _THINNING[bracket]
    births = today - ((_AGES[bracket] + within * width) * 365.25).astype(np.int64)
    return heap(rng, births, today)


def heap(rng: np.random.Generator, births: Ints, today: int) -> Ints:
    """Move some birth dates, the more the older, to a placeholder of the same year."""
    year, _, _ = calendar(births)
    limits = np.array([limit for limit, _ in _HEAPED_BEFORE])
    shares = np.array([share for _, share in _HEAPED_BEFORE])
    cohort = np.minimum(np.searchsorted(limits, year, side="right"), len(limits) - 1)
    undated = rng.random(len(births)) < shares[cohort]
    heaped = placeholder_dates(rng, year)
    return np.where(undated & (heaped <= today), heaped, births)


def placeholder_dates(rng: np.random.Generator, year: Ints) -> Ints:
    """Return one of the placeholder dates of each year."""
    months, days, weights = (np.array(part) for part in zip(*PLACEHOLDERS, strict=True))
    which = np.searchsorted(np.cumsum(weights), rng.random(len(year)), side="right")
    which = np.minimum(which, len(weights) - 1)
    return day_number(year, months[which], days[which])


def is_placeholder(births: Ints) -> Mask:
    """Return which dates fall on a placeholder's day and month."""
    _, month, day = calendar(births)
    hit = np.zeros(len(births), dtype=np.bool_)
    for m, d, _ in PLACEHOLDERS:
        hit |= (month == m) & (day == d)
    return hit
