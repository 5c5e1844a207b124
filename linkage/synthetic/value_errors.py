"""Errors and honest differences in dates, sex, places, addresses and numbers."""

import numpy as np

from linkage.synthetic.addresses import addresses, former_names
from linkage.synthetic.births import placeholder_dates
from linkage.synthetic.cells import Cells
from linkage.synthetic.columns import (
    Ints,
    Mask,
    Text,
    calendar,
    choose,
    day_number,
    differs,
    digits,
    join,
    lengths,
    pc,
    pick,
    plain,
    present,
    text,
)
from linkage.synthetic.letters import Letters, edit_digits
from linkage.synthetic.places import places

_MOST_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def iso_dates(day_numbers: Ints) -> Text:
    """Return dates as YYYY-MM-DD."""
    year, month, day = calendar(day_numbers)
    return join([digits(year, 4), "-", digits(month, 2), "-", digits(day, 2)])


def swap_day_month(rng: np.random.Generator, cells: Cells) -> Text:
    """Exchange day and month, where both readings are dates."""
    del rng
    year, month, day = _parts(cells.values)
    return _written(cells, year, day, month, day <= 12)


def slip_digit(rng: np.random.Generator, cells: Cells) -> Text:
    """Change one digit of the date so that it stays a date."""
    year, month, day = _parts(cells.values)
    which = rng.integers(0, 4, len(year))
    step = np.where(rng.random(len(year)) < 0.5, -1, 1)
    year = year + step * ((which == 0) + 10 * (which == 1))
    month = month + step * (which == 2)
    day = day + step * (which == 3)
    return _written(cells, year, month, day, np.ones(len(year), dtype=np.bool_))


def write_placeholder(rng: np.random.Generator, cells: Cells) -> Text:
    """Keep the year and write 1 July, 31 December, 1 January or 17 August."""
    year, _, _ = _parts(cells.values)
    return _written(
        cells, *calendar(placeholder_dates(rng, year)), np.ones(len(year), dtype=np.bool_)
    )


def miss_year(rng: np.random.Generator, cells: Cells) -> Text:
    """Write the year before or after, as when only the age is told."""
    year, month, day = _parts(cells.values)
    step = np.where(rng.random(len(year)) < 0.5, -1, 1)
    return _written(cells, year + step, month, day, np.ones(len(year), dtype=np.bool_))


def _parts(values: Text) -> tuple[Ints, Ints, Ints]:
    day_numbers = np.asarray(pc.cast(pc.cast(values, "date32"), "int32"), dtype=np.int64)
    return calendar(day_numbers)


def _written(cells: Cells, year: Ints, month: Ints, day: Ints, among: Mask) -> Text:
    """Write the dates that exist and are past; keep the old ones elsewhere."""
    valid = among & (month >= 1) & (month <= 12)
    valid &= (day >= 1) & (day <= _MOST_DAYS[np.clip(month, 1, 12) - 1])
    shown = day_number(year, np.where(valid, month, 1), np.where(valid, day, 1))
    return choose(valid & (shown <= cells.today), iso_dates(shown), cells.values)


def miscode_sex(rng: np.random.Generator, cells: Cells) -> Text:
    """Write the other sex."""
    del rng
    female = np.asarray(pc.equal(cells.values, "P").to_numpy(zero_copy_only=False))
    return choose(female, "L", "P")


def name_district(rng: np.random.Generator, cells: Cells) -> Text:
    """Give the district, or the regency, of birth in place of the other."""
    del rng
    district = cells.fact("birth_district_name")
    regency = cells.fact("birth_regency_name")
    by_district = present(district) & ~differs(cells.values, regency)
    by_regency = present(regency) & ~differs(cells.values, district)
    return choose(by_district, district, choose(by_regency, regency, cells.values))


def add_regency_kind(rng: np.random.Generator, cells: Cells) -> Text:
    """Write KAB. or KOTA before the name of a regency."""
    del rng
    named = present(cells.fact("birth_regency_name"))
    named &= ~differs(cells.values, cells.fact("birth_regency_name"))
    kind = choose(
        np.asarray(
            pc.fill_null(pc.equal(cells.fact("birth_regency_kind"), "KOTA"), fill_value=False)
        ),
        "KOTA ",
        "KAB. ",
    )
    return choose(named, join([kind, cells.values]), cells.values)


def use_former_place(rng: np.random.Generator, cells: Cells) -> Text:
    """Give a renamed place its former name: UJUNG PANDANG for MAKASSAR."""
    del rng
    return former_names(cells.values, np.zeros(len(cells.values), dtype=np.int64))


def move_house(rng: np.random.Generator, cells: Cells) -> Text:
    """Give another address: the person moved, mostly within the regency."""
    country = places()
    held = cells.fact("home_district")
    district = np.asarray(pc.cast(pc.fill_null(held, "0"), "int64"), dtype=np.int64)
    regency = country.district_regency[district]
    far = rng.random(len(district)) < 0.35
    regency = np.where(far, country.someone_elses_regency(rng, regency), regency)
    return addresses(rng, country.district_in_regency.draw(rng, regency), country)


def shorten_address(rng: np.random.Generator, cells: Cells) -> Text:
    """Write the same address by other habits: JLN., RT.03/05, no district."""
    habit = rng.integers(0, 3, len(cells.values))
    road = pc.replace_substring_regex(cells.values, r"^JL\. ", "JALAN ")
    road = pc.replace_substring_regex(road, "^DUSUN ", "DSN. ")
    block = pc.replace_substring_regex(cells.values, r" RT (\d+)/RW (\d+)", r" RT.\1/\2")
    street = pc.replace_substring_regex(cells.values, r", [^,]+$", "")
    return choose(habit == 0, plain(road), choose(habit == 1, plain(block), plain(street)))


def slip_number(rng: np.random.Generator, cells: Cells) -> Text:
    """Mistype one digit of a number, after its first two characters."""

    def other_digit(rng: np.random.Generator, letters: Letters, row: Ints, at: Ints) -> None:
        old = letters[row, at].astype(np.int64) - ord("0")
        letters[row, at] = (old + rng.integers(1, 10, len(row))) % 10 + ord("0")

    return edit_digits(rng, cells.values, 2, other_digit)


def swap_digits(rng: np.random.Generator, cells: Cells) -> Text:
    """Transpose two neighbouring digits, after the first two characters."""

    def swap(rng: np.random.Generator, letters: Letters, row: Ints, at: Ints) -> None:
        del rng
        keep = (at > 2) & (letters[row, at - 1] >= ord("0")) & (letters[row, at - 1] <= ord("9"))
        row, at = row[keep], at[keep]
        letters[row, at], letters[row, at - 1] = letters[row, at - 1], letters[row, at].copy()

    return edit_digits(rng, cells.values, 2, swap)


def borrow_number(rng: np.random.Generator, cells: Cells) -> Text:
    """Give the NIK of a relative in its place: a parent's for a child's."""
    del rng
    other = cells.fact("relative_nik")
    return choose(present(other), other, cells.values)


def give_card_number(rng: np.random.Generator, cells: Cells) -> Text:
    """Give the family card's number for the NIK: both have 16 digits."""
    del rng
    other = cells.fact("kk")
    return choose(present(other), other, cells.values)


def blank_number(rng: np.random.Generator, cells: Cells) -> Text:
    """Write zeros for a number that was not at hand, all of them or the serial."""
    whole = rng.random(len(cells.values)) < 0.5
    serial = join([plain(pc.utf8_slice_codeunits(cells.values, 0, 12)), "0000"])
    zeros = pick(text(["0" * 16]), np.zeros(len(cells.values), dtype=np.int64))
    return choose(lengths(cells.values) == 16, choose(whole, zeros, serial), cells.values)


def give_old_passport(rng: np.random.Generator, cells: Cells) -> Text:
    """Give the number of the passport before."""
    del rng
    other = cells.fact("former_passport")
    return choose(present(other), other, cells.values)


def leave_out(rng: np.random.Generator, cells: Cells) -> Text:
    """Leave the cell empty."""
    del rng
    return text([None] * len(cells.values))
