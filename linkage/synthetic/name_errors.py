"""Errors and honest differences in names."""

import numpy as np
import pyarrow as pa

from linkage.synthetic.cells import Cells, one_of, replace_one_word, split, unsplit
from linkage.synthetic.columns import (
    Ints,
    Mask,
    Text,
    choose,
    differs,
    join,
    lengths,
    pc,
    pick,
    plain,
    present,
    text,
)
from linkage.synthetic.pools import Pool
from linkage.synthetic.spellings import (
    old_forms,
    other_muhammads,
    short_forms,
    sound_forms,
    split_forms,
)
from linkage.synthetic.tables import rows

_PARENTS = ("nama_ibu", "nama_ayah")
_PARENTS_LEAD = 25  # years between the generations, about
SHORTEST_CUT, LONGEST_CUT = 15, 30  # fields of old forms and machines


def abbreviate(rng: np.random.Generator, cells: Cells) -> Text:
    """Write a common word short: MUHAMMAD as M. or MOH., SITI as ST."""
    return _where_longer(cells.values, replace_one_word(rng, cells.values, short_forms))


def respell_muhammad(rng: np.random.Generator, cells: Cells) -> Text:
    """Write Muhammad in another full form."""
    return replace_one_word(rng, cells.values, other_muhammads)


def spell_old(rng: np.random.Generator, cells: Cells) -> Text:
    """Write one word in the spelling of before 1947 or 1972."""
    return replace_one_word(rng, cells.values, old_forms)


def spell_by_sound(rng: np.random.Generator, cells: Cells) -> Text:
    """Write one word in another spelling of the register: RIZKY as RIZKI."""
    return replace_one_word(rng, cells.values, sound_forms)


def split_word(rng: np.random.Generator, cells: Cells) -> Text:
    """Write NURHAYATI as NUR HAYATI."""
    return replace_one_word(rng, cells.values, split_forms)


def join_words(rng: np.random.Generator, cells: Cells) -> Text:
    """Write two neighbouring words as one: SRI WAHYUNI as SRIWAHYUNI."""
    words = split(cells.values)
    chosen = one_of(rng, words, words.place + 1 < words.counts[words.row])
    ids = np.arange(len(words.words))
    joined = join([pick(words.words, chosen), pick(words.words, chosen + 1)])
    ids[chosen + 1] = -1
    ids[chosen] = len(words.words) + np.arange(len(chosen))
    return unsplit(words, pick(_together(words.words, joined), ids))


def drop_word(rng: np.random.Generator, cells: Cells) -> Text:
    """Leave one word out, not the first."""
    words = split(cells.values)
    ids = np.arange(len(words.words))
    ids[one_of(rng, words, words.place > 0)] = -1
    return plain(pc.utf8_rtrim(unsplit(words, pick(words.words, ids)), ","))


def write_initial(rng: np.random.Generator, cells: Cells) -> Text:
    """Write one word but the first as its initial."""
    words = split(cells.values)
    long = lengths(words.words) > 2
    chosen = one_of(rng, words, (words.place > 0) & long)
    initials = join([plain(pc.utf8_slice_codeunits(pick(words.words, chosen), 0, 1)), "."])
    ids = np.arange(len(words.words))
    ids[chosen] = len(words.words) + np.arange(len(chosen))
    return unsplit(words, pick(_together(words.words, initials), ids))


def reorder_words(rng: np.random.Generator, cells: Cells) -> Text:
    """Put the last word first, at times with a comma: HUTABARAT, RUTH."""
    words = split(cells.values)
    row, place, counts = words.row, words.place, words.counts
    several = counts[row] > 1
    source = words.offsets[row] + np.where(several, (place - 1) % counts[row], place)
    moved = pick(words.words, source)
    comma = several & (place == 0) & (rng.random(len(counts)) < 0.2)[row]
    return unsplit(words, choose(comma, join([moved, ","]), moved))


def add_title(rng: np.random.Generator, cells: Cells) -> Text:
    """Add a title in front or a degree behind, fit for sex and age."""
    table = rows("synthetic_titles.csv")
    titles = text([row["title"] for row in table])
    front = np.array([row["place"] == "front" for row in table])
    from_age = np.array([int(row["from_age"]) for row in table])
    female, age = _sex_and_age(cells)
    drawn = np.where(
        female, _titles("P").draw(rng, len(female)), _titles("L").draw(rng, len(female))
    )
    title = pick(titles, drawn)
    written = choose(
        front[drawn], join([title, " ", cells.values]), join([cells.values, ", ", title])
    )
    return choose(age >= from_age[drawn], written, cells.values)


def _sex_and_age(cells: Cells) -> tuple[Mask, Ints]:
    """Return of whom the name is: whether a woman, and the age in years, 0 if unknown."""
    born = np.asarray(pc.cast(pc.fill_null(cells.fact("birth_year"), "9999"), "int64"))
    this_year = int(np.datetime64(cells.today, "D").astype("datetime64[Y]").astype(int)) + 1970
    age = np.maximum(this_year - born, 0)
    if cells.column in _PARENTS:
        female = np.full(len(cells.rows), cells.column == "nama_ibu")
        return female, np.where(born < 9999, age + _PARENTS_LEAD, 0)
    return ~differs(cells.fact("sex"), text(["P"] * len(cells.rows))), age


def add_father(rng: np.random.Generator, cells: Cells) -> Text:
    """Add the father's first word, as passports for the pilgrimage do."""
    del rng
    first = plain(
        pc.list_element(pc.split_pattern(pc.fill_null(cells.fact("father_name"), ""), " "), 0)
    )
    longer = join([cells.values, " ", choose(lengths(first) > 0, first, None)])
    fits = (lengths(first) > 0) & (lengths(longer) <= 50)
    return choose(fits, longer, cells.values)


def use_other_name(rng: np.random.Generator, cells: Cells) -> Text:
    """Use the name after marriage, before naturalisation, or of the other passport."""
    del rng
    other = cells.fact("alias")
    return choose(present(other), other, cells.values)


def fill_single_name(rng: np.random.Generator, cells: Cells) -> Text:
    """Fill the second field of a one-word name: SUHARTO SUHARTO, FNU SUHARTO."""
    doubled = join([cells.values, " ", cells.values])
    unknown = join(["FNU ", cells.values])
    filled = choose(rng.random(len(cells.values)) < 0.75, doubled, unknown)
    single = split(cells.values).counts == 1
    return choose(single & (lengths(filled) <= 50), filled, cells.values)


def cut_short(rng: np.random.Generator, cells: Cells) -> Text:
    """Cut a long name off at the end of a short field."""
    limit = rng.integers(SHORTEST_CUT, LONGEST_CUT + 1, len(cells.values))
    result = cells.values
    for length in np.unique(limit).tolist():
        cut = plain(pc.utf8_rtrim(pc.utf8_slice_codeunits(cells.values, 0, length), " ,"))
        result = choose((limit == length) & (lengths(cells.values) > length), cut, result)
    return result


def honour_mother(rng: np.random.Generator, cells: Cells) -> Text:
    """Put IBU, NY. or ALMH. before a mother's name."""
    prefix = pick(text(["NY. ", "IBU ", "ALMH. "]), rng.integers(0, 3, len(cells.values)))
    longer = join([prefix, cells.values])
    return choose(lengths(longer) <= 60, longer, cells.values)


def _titles(sex: str) -> Pool:
    table = rows("synthetic_titles.csv")
    known = [i for i, row in enumerate(table) if row["sex"] in ("", sex)]
    return Pool(known, [float(table[i]["weight"]) for i in known])


def _where_longer(before: Text, after: Text) -> Text:
    """Keep an abbreviation only if two letters of the name remain."""
    return choose(lengths(after) > 2, after, before)


def _together(first: Text, second: Text) -> Text:
    return plain(pa.chunked_array([first, second]))
