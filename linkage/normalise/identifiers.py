"""Rules I01 to I05 and D04: numbers of persons, families and documents.

A value that cannot be such a number is dropped, with a flag that says why. What a
number says about its bearer is never taken for the truth (the number outlives a
corrected date): it only gives flags, from `check_nik`.

NIK (16 digits): region 6, day (women + 40) month year, serial 4. NIT: 99, country 3,
mission 1, then the same. KK: region 6, day month year of issue, serial 4.
"""

import re
from dataclasses import dataclass

from linkage.normalise.dates import parts_of_word
from linkage.normalise.flags import ID_DROPPED, IdFlag
from linkage.normalise.namereading import Sex
from linkage.normalise.regions import known_region
from linkage.normalise.text import fold_code

NUMBER_KINDS = frozenset({"nik", "nit", "kk"})
DOCUMENT_KINDS = frozenset({"passport", "permit", "deed"})

_NO_FLAGS = IdFlag(0)
_LENGTH = 16
_WOMAN = 40
_NIT_PREFIX = "99"
_PASSPORT = re.compile(r"[A-Z][0-9]{7}")
# Shortest and longest form that is accepted.
_DOCUMENT_LENGTHS = {"passport": (6, 9), "permit": (5, 24), "deed": (4, 40)}
_NO_DIGITS = re.compile(r"[^0-9]")


@dataclass(frozen=True, slots=True)
class PersonNumber:
    """A NIK, NIT or KK number in its parts.

    Attributes:
        value: sixteen digits, "" where the number was dropped.
        flags: why it was dropped, or what is unusual about it.
        region: first six digits (NIT: 99, country and mission).
        day: day of the date inside, without the 40; 0 where there is none.
        month: month of that date.
        two_digit_year: its year.
        sex: as the day tells it; U for a KK number, whose date is that of issue.
    """

    value: str
    flags: IdFlag = _NO_FLAGS
    region: str = ""
    day: int = 0
    month: int = 0
    two_digit_year: int = 0
    sex: Sex = "U"

    @property
    def serial(self) -> str:
        """The last four digits."""
        return self.value[12:]


@dataclass(frozen=True, slots=True)
class DocumentNumber:
    """A document's number: `value` is "" where it was dropped."""

    value: str
    flags: IdFlag = _NO_FLAGS


def parse_nik(value: str) -> PersonNumber:
    """Return the parts of a NIK, or of a NIT, which has the same form."""
    return _parse_number(value, is_family=False)


def parse_kk(value: str) -> PersonNumber:
    """Return the parts of a family card's number."""
    return _parse_number(value, is_family=True)


def _parse_number(value: str, *, is_family: bool) -> PersonNumber:
    code = "".join(fold_code(value))
    if not code:
        return PersonNumber("")
    if _NO_DIGITS.search(code):
        return PersonNumber("", IdFlag.BAD_CHARACTER)
    if len(code) != _LENGTH:
        return PersonNumber("", IdFlag.BAD_LENGTH)
    if len(set(code)) == 1 or code.endswith("0000"):
        return PersonNumber("", IdFlag.PLACEHOLDER)
    day, month, year = int(code[6:8]), int(code[8:10]), int(code[10:12])
    sex: Sex = "U"
    if not is_family:
        sex = "P" if day > _WOMAN else "L"
        day -= _WOMAN if day > _WOMAN else 0
    if not (1 <= day <= 31 and 1 <= month <= 12):
        return PersonNumber("", IdFlag.BAD_DATE)
    flags = IdFlag(0)
    if code.startswith(_NIT_PREFIX):
        flags = IdFlag.IS_NIT
    elif not known_region(code[:6]):
        flags = IdFlag.UNKNOWN_REGION
    return PersonNumber(code, flags, code[:6], day, month, year, sex)


def check_nik(
    number: PersonNumber, born: str | None = None, sex: Sex = "U", kk: str | None = None
) -> IdFlag:
    """Return what in a NIK disagrees with the rest of its record.

    Args:
        number: the parsed NIK or NIT.
        born: normalised date of birth; its unknown parts are not compared.
        sex: normalised sex.
        kk: the family card's number in the same record, as the source has it.

    A KK number in the NIK's place is suspected where the two columns hold the same
    number, or where the date inside is nobody's birthday: it disagrees in all its
    parts, or in one while a woman's number lacks the 40; and where the other column
    holds the number whose date is right.
    """
    if not number.value:
        return IdFlag(0)
    flags = IdFlag(0)
    n_wrong, n_known = _disagreements(number, born)
    if n_wrong:
        flags |= IdFlag.DOB_MISMATCH
    if sex != "U" and number.sex not in {"U", sex}:
        flags |= IdFlag.SEX_MISMATCH
    if IdFlag.IS_NIT in number.flags:
        return flags
    other = parse_nik(kk) if kk else PersonNumber("")
    if other.value == number.value:
        return flags | IdFlag.KK_IN_NIK
    fits_other = bool(other.value and n_wrong and not _disagreements(other, born)[0])
    lacks_forty = bool(n_wrong and sex == "P" and number.sex == "L")
    if fits_other or lacks_forty or n_wrong == n_known == 3:
        flags |= IdFlag.KK_IN_NIK
    return flags


def _disagreements(number: PersonNumber, born: str | None) -> tuple[int, int]:
    """Return how many parts of the date disagree, of how many that are known."""
    if not born:
        return 0, 0
    year, month, day = parts_of_word(born)
    pairs = [
        (number.two_digit_year, None if year is None else year % 100),
        (number.month, month),
        (number.day, day),
    ]
    known = [(inside, stated) for inside, stated in pairs if stated is not None]
    return sum(inside != stated for inside, stated in known), len(known)


def parse_document(value: str, kind: str) -> DocumentNumber:
    """Return a passport's, permit's or deed's number as letters and digits.

    Passports of 6 to 9 characters are accepted whatever their form: not every
    series is known; an unusual one is flagged. All kinds need a digit.

    Raises:
        ValueError: `kind` is none of `DOCUMENT_KINDS`.
    """
    if kind not in DOCUMENT_KINDS:
        raise ValueError(f"{kind!r} is none of {', '.join(sorted(DOCUMENT_KINDS))}")
    code = "".join(fold_code(value))
    if not code:
        return DocumentNumber("")
    shortest, longest = _DOCUMENT_LENGTHS[kind]
    if not shortest <= len(code) <= longest:
        return DocumentNumber("", IdFlag.BAD_LENGTH)
    if not any(c.isdigit() for c in code):
        return DocumentNumber("", IdFlag.BAD_CHARACTER)
    if len(set(code)) == 1:
        return DocumentNumber("", IdFlag.PLACEHOLDER)
    unusual = kind == "passport" and not _PASSPORT.fullmatch(code)
    return DocumentNumber(code, IdFlag.UNUSUAL_FORM if unusual else IdFlag(0))


def read_identifier(value: str, kind: str) -> tuple[list[str], int]:
    """Return an identifier of any kind as one word, or none, and its flags.

    Raises:
        ValueError: `kind` is no kind of identifier.
    """
    if kind in NUMBER_KINDS:
        number = _parse_number(value, is_family=kind == "kk")
        flags = number.flags
        if kind == "nit" and number.value and IdFlag.IS_NIT not in flags:
            flags |= IdFlag.UNUSUAL_FORM
        return ([number.value] if number.value else []), int(flags)
    document = parse_document(value, kind)
    return ([document.value] if document.value else []), int(document.flags)


def was_dropped(flags: int) -> bool:
    """Return whether the flags of an identifier say that its value was dropped."""
    return bool(flags & ID_DROPPED)
