"""What normalising found out about a value: bits for the quality profile.

Flags say that something was seen, never what was written. One `uint32` per record
holds them; the bits of names, dates, places and identifiers are numbered apart, so
the kind of the column says how to read them.
"""

from enum import IntEnum, IntFlag


class WordClass(IntEnum):
    """How much a name word tells about who is meant.

    FULL is the ordinary case. LIGHT words are nobility and very common words. FAINT
    words are birth order and markers of sex, next to nothing. An INITIAL is a single
    letter: a wildcard, which agrees with any word that begins with it.
    """

    FULL = 0
    LIGHT = 1
    FAINT = 2
    INITIAL = 3


class NameFlag(IntFlag):
    """Bits of a name."""

    MONONYM = 1 << 0  # one word only
    TITLE_STRIPPED = 1 << 1  # N03, N20
    TITLE_KEPT = 1 << 2  # N03: nothing else than the title was there
    PATRONYM = 1 << 3  # N08
    DIGITS = 1 << 4  # N02: digits repaired or dropped
    ORDINAL = 1 << 5  # N02: an ordinal such as 2ND dropped
    FILLER = 1 << 6  # N14: a filler such as FNU dropped
    UNDOUBLED = 1 << 7  # N14: written twice
    NOBODY = 1 << 8  # N14: the whole value says that there is no name
    NOBLE = 1 << 9  # N04: begins with words of nobility
    EXPANDED = 1 << 10  # N04, N05, N07, N13: short forms that depend on their place
    INITIAL = 1 << 11  # has a single letter
    TURNED = 1 << 12  # N16: order turned at a comma
    CUT = 1 << 13  # N19: as long as the field, so it may be cut
    MRZ = 1 << 14  # N19: as a machine-readable zone writes it
    CLAN_MARK = 1 << 15  # N07: BORU dropped before the clan


class DateFlag(IntFlag):
    """Bits of a date."""

    UNREADABLE = 1 << 0  # text, but no date
    IMPOSSIBLE = 1 << 1  # a day, month or year that does not exist
    PLACEHOLDER = 1 << 2  # D02
    INCOMPLETE = 1 << 3  # a part is unknown
    TURNED = 1 << 4  # day and month could only be read the other way round


class PlaceFlag(IntFlag):
    """Bits of a place."""

    UNKNOWN = 1 << 0  # in no list: text only
    RENAMED = 1 << 1  # L02: an earlier name
    ABROAD = 1 << 2  # L03
    AMBIGUOUS = 1 << 3  # several codes, for example of a city and of a regency
    UNREADABLE = 1 << 4  # text, but no words in it


class IdFlag(IntFlag):
    """Bits of an identifier; the first nine alone mean that the value was dropped."""

    BAD_LENGTH = 1 << 0
    BAD_CHARACTER = 1 << 1
    BAD_DATE = 1 << 2  # day or month inside it does not exist
    PLACEHOLDER = 1 << 3  # 0000..., 9999..., serial 0000
    IS_NIT = 1 << 9  # prefix 99
    UNKNOWN_REGION = 1 << 10  # province or district in no list
    UNUSUAL_FORM = 1 << 11  # passport: accepted, but not a letter and seven digits
    DOB_MISMATCH = 1 << 12  # nik_dob_mismatch
    SEX_MISMATCH = 1 << 13  # nik_sex_mismatch
    KK_IN_NIK = 1 << 14  # kk_in_nik_column


ID_DROPPED = IdFlag.BAD_LENGTH | IdFlag.BAD_CHARACTER | IdFlag.BAD_DATE | IdFlag.PLACEHOLDER
"""Any of these: the value is structurally invalid and counts as missing."""
