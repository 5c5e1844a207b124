"""The registers of the agencies: whom each holds, which columns, in which form."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from linkage.synthetic.columns import Mask, Text, choose, join, lengths, pc, plain, present
from linkage.synthetic.naming import NAME_LIMIT


@dataclass(frozen=True)
class Agency:
    """One agency's register.

    Attributes:
        columns: shared names of its columns.
        date_form: order and separator of dates.
        sexes: its codes for men and women.
        name_limit: longest name.
        apostrophes: names may have them; passports may not.
        title_case: names as reported, not in capitals.
        never_asked: share of records where the agency has no such value at all.
        factors: what to multiply rates of mutators by; 0 where it cannot happen.
    """

    columns: tuple[str, ...]
    date_form: str = "%d-%m-%Y"
    sexes: tuple[str, str] = ("L", "P")
    name_limit: int = NAME_LIMIT
    apostrophes: bool = True
    title_case: bool = False
    never_asked: Mapping[str, float] = field(default_factory=dict)
    factors: Mapping[str, float] = field(default_factory=dict)


_CORE = ("nama", "tgl_lahir", "tempat_lahir", "jenis_kelamin")

AGENCIES: Mapping[str, Agency] = {
    "dukcapil": Agency(
        columns=("nik", "no_kk", *_CORE, "nama_ibu", "nama_ayah", "kewarganegaraan",
                 "alamat", "kode_pos"),
        factors={
            # The register of births itself: its own NIK, and no passport habits.
            "father_added": 0.0, "single_name_filled": 0.0, "words_reordered": 0.2,
            "nik_borrowed": 0.1, "nik_blanked": 0.1, "card_for_nik": 0.1, "digit_slip": 0.2,
            "digits_swapped": 0.2, "missing": 0.5, "other_name": 0.3, "moved": 0.6,
        },
    ),
    "imigrasi": Agency(
        columns=("no_paspor", "paspor_lama", "paspor_asing", *_CORE, "nama_ibu",
                 "nama_ayah", "nama_lain", "kewarganegaraan", "nik", "izin_tinggal"),
        date_form="%Y-%m-%d",
        sexes=("M", "F"),
        name_limit=50,
        apostrophes=False,
        never_asked={"nama_ibu": 0.25, "nama_ayah": 0.25, "nik": 0.10},
        factors={"title_added": 0.0, "father_added": 2.0, "old_passport": 0.1,
                 "letter_misread": 1.5},
    ),
    "kemenlu": Agency(
        columns=("no_paspor", *_CORE, "nik", "nama_ibu", "nama_ayah", "kewarganegaraan",
                 "alamat", "negara_domisili", "perwakilan", "alamat_luar_negeri"),
        date_form="%d/%m/%Y",
        title_case=True,
        never_asked={"nama_ibu": 0.50, "nama_ayah": 0.50, "nik": 0.40, "alamat": 0.30},
        factors={"old_passport": 4.0, "abbreviated": 1.5, "sound_spelling": 1.5,
                 "word_dropped": 1.5, "date_placeholder": 1.5, "missing": 1.5,
                 "place_level": 2.0},
    ),
    "ahu": Agency(
        columns=("no_sertifikat", *_CORE, "nama_lain", "nama_ibu", "nama_ayah",
                 "kewarganegaraan", "kewarganegaraan_lain", "paspor_asing", "izin_tinggal",
                 "alamat"),
        never_asked={"alamat": 0.05},
        factors={"title_added": 0.3, "missing": 0.7},
    ),
}  # fmt: skip


def form(agency: Agency, columns: Mapping[str, Text]) -> dict[str, Text]:
    """Return columns in canonical form as the agency writes them."""
    return {name: _written(agency, name, column) for name, column in columns.items()}


def fit_names(agency: Agency, columns: Mapping[str, Text]) -> dict[str, Text]:
    """Return columns, or facts, with names as this agency's documents can hold them.

    Names are at most `NAME_LIMIT` long already; a passport cuts them at a word, and has
    no apostrophe.
    """
    fitted = dict(columns)
    for name in ("nama", "nama_lain", "nama_ibu", "nama_ayah", "alias", "father_name"):
        if name in fitted and not agency.apostrophes:
            bare = pc.replace_substring(fitted[name], "'", "")
            cut = pc.replace_substring_regex(
                pc.utf8_slice_codeunits(bare, 0, agency.name_limit + 1), r" [^ ]*$", ""
            )
            long = np.asarray(
                pc.fill_null(pc.greater(pc.utf8_length(bare), agency.name_limit), fill_value=False)
            )
            fitted[name] = choose(long, plain(cut), plain(bare))
    return fitted


def can_hold(agency: Agency, names: Text) -> Mask:
    """Return which names this agency's documents can hold; a missing one always."""
    short = lengths(names) <= agency.name_limit
    if agency.apostrophes:
        return short
    marked = pc.fill_null(pc.match_substring(names, "'"), fill_value=False)
    return short & ~np.asarray(marked, dtype=np.bool_)


def _written(agency: Agency, name: str, column: Text) -> Text:
    if name == "tgl_lahir" and agency.date_form != "%Y-%m-%d":
        mark = agency.date_form[2]
        parts = [plain(pc.utf8_slice_codeunits(column, *cut)) for cut in ((8, 10), (5, 7), (0, 4))]
        return choose(present(column), join([parts[0], mark, parts[1], mark, parts[2]]), None)
    if name == "jenis_kelamin" and agency.sexes != ("L", "P"):
        female = np.asarray(pc.fill_null(pc.equal(column, "P"), fill_value=False))
        coded = choose(female, agency.sexes[1], agency.sexes[0])
        return choose(present(column), coded, None)
    if agency.title_case and name in ("nama", "nama_ibu", "nama_ayah", "alamat"):
        return plain(pc.utf8_title(column))
    return column


def holdings(
    name: str, rng: np.random.Generator, persons: pa.Table, has_passport: Mask, age: Any
) -> Mask:
    """Return whom an agency holds when nothing else is asked: its natural coverage.

    Args:
        name: the agency.
        rng: source of randomness.
        persons: the persons table.
        has_passport: who holds an Indonesian passport.
        age: in years.
    """
    n = persons.num_rows
    drawn = rng.random(n)
    indonesian = np.asarray(pc.equal(plain(persons["nationality"]), "IDN"))
    abroad = present(plain(persons["mission"]))
    dual = present(plain(persons["second_nationality"]))
    with_nik = present(plain(persons["nik"]))
    kind = plain(persons["alias_kind"])
    naturalised = np.asarray(pc.fill_null(pc.equal(kind, "naturalised"), fill_value=False))
    changed = np.asarray(pc.fill_null(pc.equal(kind, "changed"), fill_value=False))
    if name == "dukcapil":
        # A few newborns are not registered yet, and the long absent were removed (P5).
        share = np.where(abroad, 0.85, np.where(age < 1, 0.80, 0.985))
        held: Mask = with_nik & (drawn < share)
    elif name == "imigrasi":
        held = has_passport | (~indonesian & (drawn < 0.98)) | naturalised
    elif name == "kemenlu":
        # Some who are abroad have come back, and some at home had been abroad and reported it.
        held = indonesian & np.where(abroad, drawn < 0.80, has_passport & (drawn < 0.01))
    else:
        asked = ~indonesian & (age > 25) & (drawn < 0.10)
        held = (dual & (drawn < 0.75)) | naturalised | asked | (changed & (drawn < 0.5))
    return held
