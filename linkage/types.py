"""The types of identity attributes, and what each type stands for.

One table says for every type: which row of the data-needs matrix it belongs to,
its class under UU PDP article 4 (*umum* general, *spesifik* specific), in which
token space its tokens live, how its values become words and words become tokens,
and its default weight. Whatever the law keeps out of a linkage (biometrics,
religion, health, criminal records) has no type, and its names are refused words.
"""

from dataclasses import dataclass
from typing import Literal

DataClass = Literal["umum", "spesifik"]
Kind = Literal["name", "text", "date", "year", "sex", "code", "identifier"]


@dataclass(frozen=True)
class AttributeType:
    """What holds for every attribute of one type.

    Attributes:
        name: the word used in schemas.
        element: row of the data-needs matrix.
        data_class: general or specific personal data.
        space: token space; types that share it also match when swapped.
        kind: how a value is normalised and tokenised. An `identifier` never
            enters the fuzzy code.
        weight: default weight of the attribute's tokens.
        mean_tokens: tokens that a usual value has, from which the number of
            positions per token is chosen so that filters are half full.
    """

    name: str
    element: str
    data_class: DataClass
    space: str
    kind: Kind
    weight: float
    mean_tokens: float


# A token counts with the square of its weight. Weights follow what an agreement is worth,
# log(m/u) per token: the few tokens of a date tell much each, those of a long address little.
_TABLE = (
    AttributeType("name", "nama", "umum", "name", "name", 1.0, 14),
    AttributeType("given_name", "nama", "umum", "name", "name", 1.0, 7),
    AttributeType("surname", "nama", "umum", "name", "name", 1.0, 7),
    AttributeType("alias", "nama", "umum", "name", "name", 0.7, 10),
    AttributeType("mother_name", "nama_orang_tua", "umum", "mother_name", "name", 0.55, 14),
    AttributeType("father_name", "nama_orang_tua", "umum", "father_name", "name", 0.55, 14),
    AttributeType("sex", "kelahiran", "umum", "sex", "sex", 0.5, 1),
    AttributeType("date", "kelahiran", "umum", "date", "date", 1.1, 8),
    AttributeType("year", "kelahiran", "umum", "year", "year", 1.0, 3),
    AttributeType("age", "kelahiran", "umum", "age", "year", 0.6, 9),
    AttributeType("place", "kelahiran", "umum", "place", "text", 0.55, 9),
    AttributeType("nationality", "kewarganegaraan", "umum", "nationality", "text", 0.5, 4),
    AttributeType("address", "alamat", "umum", "address", "text", 0.6, 16),
    AttributeType("postcode", "alamat", "umum", "postcode", "code", 0.7, 5),
    AttributeType("phone", "alamat", "umum", "phone", "code", 0.8, 10),
    AttributeType("email", "alamat", "umum", "email", "code", 0.7, 20),
    AttributeType("code", "lain", "umum", "code", "code", 0.8, 8),
    AttributeType("number", "lain", "umum", "number", "code", 0.6, 4),
    AttributeType("text", "lain", "umum", "text", "text", 0.65, 12),
    AttributeType("nik", "nik", "spesifik", "nik", "identifier", 1.0, 1),
    AttributeType("nit", "nik", "spesifik", "nik", "identifier", 1.0, 1),
    AttributeType("kk", "no_kk", "spesifik", "kk", "identifier", 1.0, 1),
    AttributeType("passport", "no_paspor", "spesifik", "passport", "identifier", 1.0, 1),
    AttributeType("permit", "izin_tinggal", "spesifik", "permit", "identifier", 1.0, 1),
    AttributeType("deed", "no_akta", "spesifik", "deed", "identifier", 1.0, 1),
)

ATTRIBUTE_TYPES = {entry.name: entry for entry in _TABLE}

NEVER_TOLD = frozenset({"mother_name"})
"""Types that are compared, and of which no result says how: a secret question of banks."""

# Parts of attribute names that mean data no linkage may use (UU PDP article 4,
# the last row of the data-needs matrix), in Indonesian and English.
_REFUSED = """
    agama religion religious faith kepercayaan
    sidik jari fingerprint fingerprints biometrik biometric biometrics
    wajah face facial iris retina dna genetik genetic darah blood
    kesehatan health penyakit disease diagnosis medis medical disabilitas disability cacat
    pidana kriminal criminal crime conviction hukuman skck
"""
REFUSED_WORDS = frozenset(_REFUSED.split())


def refused_word_in(name: str) -> str | None:
    """Return the part of an attribute or column name that no linkage may use, if any."""
    parts = name.lower().replace("-", "_").replace(" ", "_").split("_")
    return next((part for part in parts if part in REFUSED_WORDS), None)
