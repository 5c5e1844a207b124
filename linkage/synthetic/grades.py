"""How dirty a register is: the rate of every mutator at three grades, with reasons.

A rate is the chance that a mutator is tried on one cell; many cells do not have
what it needs (a Muhammad, a former name) and stay. Rates of names are for the
person's own name; `COLUMN_FACTORS` raise them for names written by a third party.
Where a figure is measured, it is in the register counts of `SYNTHETIC.md`; the
others are judgements, kept in one place so that they can be argued with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from linkage.synthetic import letters, name_errors, value_errors
from linkage.synthetic.cells import Mutator

COLUMN_FACTORS = {"nama_ibu": 2.2, "nama_ayah": 1.5}

_NAMES = ("nama", "nama_ibu", "nama_ayah")
_OWN = ("nama",)
_TEXT = (*_NAMES, "tempat_lahir")
_DATE = ("tgl_lahir",)
_NUMBERS = ("nik", "no_kk", "no_paspor")


class Fault(NamedTuple):
    """One mutator with its columns, its rates at the three grades, and why."""

    mutate: Mutator
    columns: tuple[str, ...]
    clean: float
    ordinary: float
    dirty: float
    reason: str


FAULTS: Mapping[str, Fault] = {
    # What happened to the person between two registrations.
    "other_name": Fault(name_errors.use_other_name, _OWN, 0.10, 0.35, 0.50,
        "of those with another name, who are registered under it in one place"),
    "father_added": Fault(name_errors.add_father, _OWN, 0.001, 0.01, 0.03,
        "passports for the pilgrimage want two or three words (N15)"),
    "moved": Fault(value_errors.move_house, ("alamat",), 0.02, 0.12, 0.25,
        "years lie between two registrations, and cards follow a move late"),
    "old_passport": Fault(value_errors.give_old_passport, ("no_paspor",), 0.01, 0.08, 0.20,
        "of those with an earlier passport; missions keep the number first reported"),
    # How the writer spells what was said.
    "muhammad_respelt": Fault(name_errors.respell_muhammad, _NAMES, 0.005, 0.05, 0.12,
        "11 % of full forms are not MUHAMMAD (measured); half of that between registers"),
    "abbreviated": Fault(name_errors.abbreviate, _NAMES, 0.01, 0.06, 0.18,
        "9 % of all forms of Muhammad are short ones (measured); not allowed since 2022"),
    "old_spelling": Fault(name_errors.spell_old, _NAMES, 0.001, 0.008, 0.03,
        "DJOKO 11 %, TJANDRA 5 %, OE 0.6 % of the words that could have it (measured)"),
    "sound_spelling": Fault(name_errors.spell_by_sound, _NAMES, 0.005, 0.035, 0.10,
        "RIZKY has 45 % of its spellings, MUHAMMAD 94 % (measured); clerks copy most"),
    "words_joined": Fault(name_errors.join_words, _NAMES, 0.001, 0.008, 0.03,
        "SRIWAHYUNI, ABDULRAHMAN (N06, N12)"),
    "word_split": Fault(name_errors.split_word, _NAMES, 0.001, 0.010, 0.04,
        "NUR HAYATI 193 and NURHAYATI 1,359 in the register (measured); tried on all names"),
    "place_level": Fault(value_errors.name_district, ("tempat_lahir",), 0.01, 0.05, 0.12,
        "birth place is what the person says: regency, district or village (L01)"),
    "place_kind": Fault(value_errors.add_regency_kind, ("tempat_lahir",), 0.01, 0.04, 0.08,
        "KAB. or KOTA is written by some forms and left out by others (L01)"),
    "place_renamed": Fault(value_errors.use_former_place, ("tempat_lahir",), 0.01, 0.05, 0.15,
        "of births in places that were renamed, in the papers of that time (L02)"),
    "address_habit": Fault(value_errors.shorten_address, ("alamat",), 0.05, 0.25, 0.40,
        "addresses follow no common form"),
    # What is added, left out or put elsewhere.
    "title_added": Fault(name_errors.add_title, _NAMES, 0.002, 0.03, 0.08,
        "titles are allowed on cards and not on certificates; 0.1 % carry H. (measured)"),
    "mother_honoured": Fault(name_errors.honour_mother, ("nama_ibu",), 0.001, 0.005, 0.02,
        "IBU, NY. and ALMH. before a mother's name (N20)"),
    "word_dropped": Fault(name_errors.drop_word, _NAMES, 0.001, 0.010, 0.05,
        "third words are often left out when a name is told"),
    "initial": Fault(name_errors.write_initial, _NAMES, 0.002, 0.015, 0.05,
        "7,000 single letters but M, I and H in a million names, 4,000 at the end (measured)"),
    "words_reordered": Fault(name_errors.reorder_words, _NAMES, 0.0005, 0.004, 0.02,
        "family name first, for systems with a surname field (N16, N17)"),
    "single_name_filled": Fault(name_errors.fill_single_name, _OWN, 0.001, 0.03, 0.10,
        "of one-word names, in systems that want two (N14)"),
    "name_cut": Fault(name_errors.cut_short, _NAMES, 0.0005, 0.003, 0.02,
        "fields of 15 to 30 characters; 1 % of names are longer than 31 (measured)"),
    # Slips of fingers, eyes and scanners.
    "letter_neighbour": Fault(letters.strike_neighbour, _TEXT, 0.001, 0.008, 0.03,
        "about 2 % of typed names have a slip, over five kinds"),
    "letters_swapped": Fault(letters.swap_letters, _TEXT, 0.0005, 0.004, 0.015,
        "as above; rarer than a wrong letter"),
    "letter_omitted": Fault(letters.omit_letter, _TEXT, 0.001, 0.007, 0.025,
        "as above"),
    "letter_doubled": Fault(letters.double_letter, _TEXT, 0.0005, 0.004, 0.015,
        "as above"),
    "letter_misread": Fault(letters.misread_letter, _NAMES, 0.0, 0.002, 0.02,
        "registers keyed from scans of old forms"),
    "day_month_swapped": Fault(value_errors.swap_day_month, _DATE, 0.0005, 0.004, 0.015,
        "two orders are in use (D03)"),
    "date_slip": Fault(value_errors.slip_digit, _DATE, 0.001, 0.010, 0.03,
        "the commonest reason for a refused passport application is a date (P1)"),
    "date_placeholder": Fault(value_errors.write_placeholder, _DATE, 0.001, 0.008, 0.04,
        "31-12 before and 01-07 since 2004, when the day was unknown (D02)"),
    "year_missed": Fault(value_errors.miss_year, _DATE, 0.0005, 0.005, 0.02,
        "year of birth from an age that was told (D05)"),
    "sex_miscoded": Fault(value_errors.miscode_sex, ("jenis_kelamin",), 0.0002, 0.002, 0.008,
        "P is perempuan here and male elsewhere (S01)"),
    "digit_slip": Fault(value_errors.slip_number, _NUMBERS, 0.0005, 0.005, 0.02,
        "no check digit: a mistyped NIK stays well formed"),
    "digits_swapped": Fault(value_errors.swap_digits, _NUMBERS, 0.0003, 0.003, 0.01,
        "as above"),
    "nik_borrowed": Fault(value_errors.borrow_number, ("nik",), 0.0002, 0.002, 0.01,
        "the head of the family's NIK for a child's"),
    "card_for_nik": Fault(value_errors.give_card_number, ("nik",), 0.0002, 0.002, 0.008,
        "both numbers have 16 digits and stand on one sheet"),
    "nik_blanked": Fault(value_errors.blank_number, ("nik",), 0.0, 0.001, 0.01,
        "zeros where the number was not at hand"),
    "missing": Fault(value_errors.leave_out,
        ("nik", "no_kk", "nama_ibu", "nama_ayah", "tempat_lahir", "tgl_lahir", "jenis_kelamin",
         "alamat", "kode_pos", "no_paspor"), 0.002, 0.02, 0.08,
        "fields left empty, over what an agency never asks"),
}  # fmt: skip


@dataclass(frozen=True)
class Grade:
    """Rates of all errors of a register.

    Attributes:
        name: what to call it.
        rates: rate of each mutator of `FAULTS`; one that is absent is off.
        duplicates: share of persons with a second record in the register (P7).
    """

    name: str
    rates: Mapping[str, float]
    duplicates: float

    def __post_init__(self) -> None:
        """Refuse unknown mutators and what is no rate.

        Raises:
            ValueError: a mutator is not in `FAULTS`, or a rate is outside [0, 1].
        """
        unknown = sorted(set(self.rates) - set(FAULTS))
        if unknown:
            raise ValueError(f"no such mutators: {', '.join(unknown)}")
        if not all(0 <= rate <= 1 for rate in (*self.rates.values(), self.duplicates)):
            raise ValueError("rates lie in [0, 1]")

    def without(self, *mutators: str) -> "Grade":
        """Return this grade with some mutators switched off."""
        return replace(
            self, rates={name: r for name, r in self.rates.items() if name not in mutators}
        )

    def only(self, *mutators: str) -> "Grade":
        """Return this grade with all other mutators, and second records, switched off."""
        return replace(self, rates={name: self.rates[name] for name in mutators}, duplicates=0.0)


GRADES: Mapping[str, Grade] = {
    "off": Grade("off", {}, 0.0),
    "clean": Grade("clean", {name: fault.clean for name, fault in FAULTS.items()}, 0.0),
    "ordinary": Grade("ordinary", {n: fault.ordinary for n, fault in FAULTS.items()}, 0.005),
    "dirty": Grade("dirty", {name: fault.dirty for name, fault in FAULTS.items()}, 0.03),
}
