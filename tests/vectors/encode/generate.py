"""Write the vectors of the encoder, next to this file.

    python tests/vectors/encode/generate.py

Everything is made here by the definition, one token, one position and one bit at a
time, in whole numbers wherever the construction has them. No line is shared with
`linkage`, nothing of it and no array library is imported; the public tables of name
words alone are read from where they ship. So a vector and the code under test agree
only if two implementations do.
"""

import csv
import datetime
import gzip
import hashlib
import hmac
import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RESOURCES = HERE.parents[2] / "linkage" / "resources"
Case = dict[str, Any]
# Words with the class that normalising gave each of them.
Record = Mapping[str, Sequence[tuple[str, int]]]

# type: token space, kind, weight, usual number of tokens
TYPES = {
    "name": ("name", "name", 1.0, 14),
    "given_name": ("name", "name", 1.0, 7),
    "surname": ("name", "name", 1.0, 7),
    "alias": ("name", "name", 0.7, 10),
    "mother_name": ("mother_name", "name", 0.55, 14),
    "date": ("date", "date", 1.1, 8),
    "year": ("year", "year", 1.0, 3),
    "sex": ("sex", "sex", 0.5, 1),
    "place": ("place", "text", 0.55, 9),
    "postcode": ("postcode", "code", 0.7, 5),
}
# A mean of UNIT is a position that every usual record sets.
UNIT = 65536

NAME_CLASSES = {"full": 0, "light": 1, "faint": 2, "initial": 3}
NAME_CLASS_FACTORS = (1.0, 0.5, 0.1, 0.4)
DAY_DOUBTFUL, MONTH_DOUBTFUL = 1, 2


def tokens(word: str, kind: str) -> list[str]:
    """The tokens of one word, as the docstrings say them in words; some may come twice."""
    if kind == "sex":
        return [word]
    if kind in ("date", "year"):
        if kind == "year":
            word = word[:4] + "------"
        year, month, day = word[0:4], word[5:7], word[8:10]
        out = []
        if year != "----":
            out += ["y" + year, "y" + year[2] + ".", "y." + year[3]]
        if month != "--":
            out.append("m" + month)
        if day != "--":
            out += ["d" + day, "d" + day[0] + ".", "d." + day[1]]
        if month != "--" and day != "--":
            out.append(min(month, day) + "/" + max(month, day))
        return out
    marked = "_" + word
    return [marked[i] + marked[i + 1] for i in range(len(marked) - 1)]


def shake(key: bytes, label: bytes, n_bytes: int) -> bytes:
    seed = hmac.new(key, label, hashlib.sha256).digest()
    return hashlib.shake_256(seed).digest(n_bytes)


def positions(key: bytes, token: str, k: int, n_bits: int) -> list[int]:
    """k little-endian 32-bit numbers of SHAKE-256(HMAC-SHA-256(key, token)), modulo n_bits."""
    stream = shake(key, token.encode("utf-8"), 4 * k)
    return [int.from_bytes(stream[4 * i : 4 * i + 4], "little") % n_bits for i in range(k)]


@lru_cache
def shares(language: str) -> dict[str, float]:
    """How often each name word occurs among all name words, from the public tables."""
    indonesian = _table("name_words.csv.gz", "count")
    if language == "indonesian":
        return indonesian
    western = _table("encode_western_names.csv.gz", "per_million")
    words = sorted(set(indonesian) | set(western))
    return {word: (indonesian.get(word, 0) + western.get(word, 0)) / 2 for word in words}


def _table(name: str, column: str) -> dict[str, float]:
    weights: dict[str, float] = {}
    with gzip.open(RESOURCES / name, "rt", encoding="ascii", newline="") as file:
        for row in csv.DictReader(file):
            # The tables are ASCII: full stops and apostrophes fall away, the rest parts words.
            bare = row["word"].replace(".", "").replace("'", "").replace("`", "")
            for word in re.findall("[A-Z0-9]+", bare.upper()):
                weights[word] = weights.get(word, 0) + int(row[column])
    total = sum(weights.values())
    return {word: weight / total for word, weight in weights.items()}


@lru_cache
def mean_information(language: str) -> float:
    return -sum(share * math.log(share) for share in shares(language).values())


def rarity(word: str, attribute: Case) -> float:
    """Between .35 and 1: what the word tells, against what one tells in the mean."""
    kind = TYPES[attribute["type"]][1]
    if not attribute.get("rarity", kind == "name"):
        return 1.0
    language = attribute.get("language", "any")
    share = shares(language).get(word)
    if share is None:
        return 0.8
    return min(max(-math.log(share) / mean_information(language), 0.35), 1.0)


def base_positions(schema: Case) -> dict[str, float]:
    """c w^2; c as the scheme has it."""
    attributes, encoding = schema["attributes"], schema["encoding"]
    squares = {a["name"]: a["weight"] ** 2 for a in attributes}
    if encoding["scheme"] == "saul":
        unit = 10 * encoding["filter_bits"] / 4096
    else:
        usual = sum(squares[a["name"]] * TYPES[a["type"]][3] for a in attributes)
        unit = math.log(2) * encoding["bits"] / usual
    return {name: unit * square for name, square in squares.items()}


def positions_per_token(attribute: Case, base: float, word: str, word_class: int) -> dict[str, int]:
    """How many positions each token of a word sets, at least one."""
    kind = TYPES[attribute["type"]][1]
    factor = rarity(word, attribute)
    if kind == "name":
        factor *= NAME_CLASS_FACTORS[word_class]
    out = {}
    for token in tokens(word, kind):
        doubtful = kind == "date" and (
            ((token[0] == "d" or "/" in token) and word_class in (DAY_DOUBTFUL, MONTH_DOUBTFUL))
            or (token[0] == "m" and word_class == MONTH_DOUBTFUL)
        )
        out[token] = max(1, round(base * (0.4 if doubtful else factor)))
    return out


def filter_of(schema: Case, keys: Mapping[str, bytes], record: Record) -> list[int]:
    """The Bloom filter of one record, a list of zeros and ones."""
    encoding = schema["encoding"]
    n_bits = encoding["filter_bits"] if encoding["scheme"] == "saul" else encoding["bits"]
    bases = base_positions(schema)
    out = [0] * n_bits
    for attribute in schema["attributes"]:
        space = TYPES[attribute["type"]][0]
        base = bases[attribute["name"]]
        for word, word_class in record.get(attribute["name"], ()):
            k_of = positions_per_token(attribute, base, word, word_class)
            for token, k in k_of.items():
                for position in positions(keys[space], token, k, n_bits):
                    out[position] = 1
    return out


def index_sets(key: bytes, n_bits: int, order: int) -> list[list[int]]:
    """Which filter positions each code bit is the XOR of.

    The pool of all positions is filled `order` times, each time in the order of the
    64-bit numbers of a keyed stream, and the sets are taken from it in a row.
    """
    drawn: list[int] = []
    for filling in range(order):
        stream = shake(key, b"diffusion" + filling.to_bytes(4, "big"), 8 * n_bits)
        numbers = [int.from_bytes(stream[8 * i : 8 * i + 8], "little") for i in range(n_bits)]
        drawn += sorted(range(n_bits), key=lambda i: (numbers[i], i))
    return [drawn[order * bit : order * bit + order] for bit in range(n_bits)]


def diffuse(key: bytes, order: int, bloom: Sequence[int]) -> list[int]:
    sets = index_sets(key, len(bloom), order)
    return [sum(bloom[i] for i in members) % 2 for members in sets]


@lru_cache(maxsize=4)
def keyed_rows(key: bytes, n_positions: int, n_columns: int) -> list[list[int]]:
    """R of every position and, as the last row, of the tie: lists of +1 and -1."""
    rows = []
    for number in range(n_positions + 1):
        stream = shake(key, b"saul" + number.to_bytes(4, "big"), n_columns // 8)
        rows.append([2 * (stream[c // 8] >> c % 8 & 1) - 1 for c in range(n_columns)])
    return rows


@lru_cache(maxsize=4)
def mean_sums(key: bytes, mean: tuple[int, ...], n_columns: int) -> list[int]:
    """Sum of mean_i R_i over all positions, for every column, in units of 1 / UNIT."""
    rows = keyed_rows(key, len(mean), n_columns)
    sums = [0] * n_columns
    for weight, row in zip(mean, rows[:-1], strict=True):
        if weight:
            sums = [s + weight * r for s, r in zip(sums, row, strict=True)]
    return sums


def majority(
    key: bytes, mean: Sequence[int], n_bits: int, order: int, members: Sequence[int]
) -> list[int]:
    """The code of a filter with these set positions; of one with none, zeros.

    Bit b is the XOR over j of [sum of R_i - sum of mean_i R_i + tie / 2 > 0], all in
    column j L + b; here times 2 UNIT, so that every number is whole.
    """
    if not members:
        return [0] * n_bits
    n_columns = n_bits * order
    rows = keyed_rows(key, len(mean), n_columns)
    sums = [0] * n_columns
    for i in members:
        sums = [s + r for s, r in zip(sums, rows[i], strict=True)]
    means = mean_sums(key, tuple(mean), n_columns)
    signs = [
        2 * UNIT * s - 2 * m + UNIT * tie > 0
        for s, m, tie in zip(sums, means, rows[-1], strict=True)
    ]
    return [sum(signs[j * n_bits + b] for j in range(order)) % 2 for b in range(n_bits)]


def occupancy(attribute: Case, base: float) -> dict[str, list[float]]:
    """How likely a usual record sets the j-th position of each token it can have."""
    _, kind, _, mean_tokens = TYPES[attribute["type"]]
    if kind in ("name", "text"):
        # So many words of six letters and a half, drawn one by one.
        n_words = mean_tokens / 6.5
        return {
            token: [1 - (1 - min(p, 1)) ** n_words for p in chances]
            for token, chances in _in_one_word(attribute, base).items()
        }
    k = max(1, round(base))
    chances: dict[str, float] = {}
    if kind in ("date", "year"):
        first, last = datetime.date(1940, 1, 1), datetime.date(2019, 12, 31)
        if kind == "date":
            n_days = (last - first).days + 1
            words = [(first + datetime.timedelta(n)).isoformat() for n in range(n_days)]
        else:
            words = [f"{year}------" for year in range(first.year, last.year + 1)]
        counts: dict[str, int] = {}
        for word in words:
            for token in tokens(word, kind):
                counts[token] = counts.get(token, 0) + 1
        chances = {token: count / len(words) for token, count in counts.items()}
    elif kind == "sex":
        chances = {"L": 0.5, "P": 0.5}
    else:
        for a in "0123456789":
            chances["_" + a] = 0.1
            for b in "0123456789":
                chances[a + b] = 1 - 0.99 ** max(mean_tokens - 1, 0)
    return {token: [p] * k for token, p in chances.items()}


def _in_one_word(attribute: Case, base: float) -> dict[str, list[float]]:
    """How often one word sets the j-th position of each bigram.

    A bigram that comes twice in a word is counted twice.
    """
    of_words = shares(attribute.get("language", "any"))
    is_name = TYPES[attribute["type"]][1] == "name"
    with_k: dict[str, dict[int, float]] = {}
    for word, share in of_words.items():
        k = max(1, round(base * rarity(word, attribute)))
        for token in tokens(word, "name"):
            at = with_k.setdefault(token, {})
            at[k] = at.get(k, 0.0) + (share if is_name else 1 / len(of_words))
    return {
        token: [math.fsum(p for k, p in at.items() if k > j) for j in range(max(at))]
        for token, at in with_k.items()
    }


def mean_filter(schema: Case, keys: Mapping[str, bytes]) -> list[int]:
    """How often a usual record sets each position of the filter, in units of 1 / UNIT."""
    n_bits, bases = schema["encoding"]["filter_bits"], base_positions(schema)
    absent: dict[tuple[str, str, int], float] = {}
    for attribute in schema["attributes"]:
        space = TYPES[attribute["type"]][0]
        for token, chances in occupancy(attribute, bases[attribute["name"]]).items():
            for j, p in enumerate(chances):
                absent[space, token, j] = absent.get((space, token, j), 1.0) * (1 - p)
    most: dict[tuple[str, str], int] = {}
    for space, token, j in absent:
        most[space, token] = max(most.get((space, token), 0), j + 1)
    empty = [1.0] * n_bits
    for (space, token), k in most.items():
        for j, position in enumerate(positions(keys[space], token, k, n_bits)):
            empty[position] *= absent[space, token, j]
    return [round((1 - p) * UNIT) for p in empty]


def code_of(
    schema: Case,
    keys: Mapping[str, bytes],
    hardening_key: bytes,
    mean: Sequence[int],
    record: Record,
) -> list[int]:
    """The code of one record; `mean` matters for `saul` alone."""
    encoding, bloom = schema["encoding"], filter_of(schema, keys, record)
    if encoding["scheme"] == "clk":
        return bloom
    if encoding["scheme"] == "diffused":
        return diffuse(hardening_key, encoding["order"], bloom)
    members = [i for i, bit in enumerate(bloom) if bit]
    return majority(hardening_key, mean, encoding["bits"], encoding["order"], members)


def packed(bits: Sequence[int]) -> bytes:
    """Bit i is bit i % 8 of byte i // 8."""
    return bytes(sum(bits[8 * i + b] << b for b in range(8)) for i in range(len(bits) // 8))


def key(what: str) -> bytes:
    """A key; a vector's key is no secret."""
    return hashlib.sha256(b"vector key of " + what.encode()).digest()


def attribute(name: str, type_: str, weight: float | None = None, **more: object) -> Case:
    weight = TYPES[type_][2] if weight is None else weight
    return {"name": name, "type": type_, "weight": weight, **more}


def words(*texts: str, word_class: int = 0) -> list[tuple[str, int]]:
    return [(text, word_class) for text in texts]


CLK_NAME = {
    "encoding": {"scheme": "clk", "bits": 512},
    "attributes": [attribute("nama", "name", 1.3)],
}
FIVE = [
    attribute("nama", "name", 1.6),
    attribute("tgl_lahir", "date"),
    attribute("jk", "sex"),
    attribute("ibu", "mother_name"),
    attribute("tempat", "place"),
]
CLK_FIVE = {"encoding": {"scheme": "clk", "bits": 1024}, "attributes": FIVE}
CLK_TWO_NAMES = {
    "encoding": {"scheme": "clk", "bits": 1088},
    "attributes": [attribute("depan", "given_name"), attribute("belakang", "surname", 0.9)],
}
CLK_CODES = {
    "encoding": {"scheme": "clk", "bits": 2048},
    "attributes": [attribute("tahun", "year"), attribute("pos", "postcode")],
}
CLK_CHOSEN = {
    "encoding": {"scheme": "clk", "bits": 512},
    "attributes": [
        attribute("nama", "name", rarity=False),
        attribute("kampung", "place", rarity=True, language="indonesian"),
    ],
}
DIFFUSED = {
    "encoding": {"scheme": "diffused", "bits": 1088, "order": 6},
    "attributes": FIVE,
}
# Heavier than usual, so that tokens have several positions in so short a filter.
SAUL_PERSON = {
    "encoding": {"scheme": "saul", "bits": 1024, "order": 2, "filter_bits": 512},
    "attributes": [
        attribute("depan", "given_name", 2.0),
        attribute("belakang", "surname", 1.5, language="indonesian"),
        attribute("tgl_lahir", "date", 2.0),
        attribute("jk", "sex"),
    ],
}
SAUL_OTHERS = {
    "encoding": {"scheme": "saul", "bits": 2048, "order": 1, "filter_bits": 576},
    "attributes": [
        attribute("tempat", "place", 1.5),
        attribute("tahun", "year", 1.5),
        attribute("pos", "postcode", 1.5),
    ],
}
WHOLE: Record = {
    "nama": words("BUDI", "SANTOSO"),
    "tgl_lahir": words("1990-02-13"),
    "jk": words("L"),
    "ibu": words("SITI", word_class=NAME_CLASSES["light"]) + words("AMINAH"),
    "tempat": words("KOTA", "BANDUNG"),
}
PERSON: Record = {
    "depan": words("SITI", word_class=NAME_CLASSES["light"]) + words("QONITAH"),
    "belakang": words("HUTAGALUNG"),
    "tgl_lahir": words("1987-11-05"),
    "jk": words("P"),
}

CODES: list[tuple[str, Case, dict[str, Record]]] = [
    (
        "clk of one name",
        CLK_NAME,
        {
            "a common word": {"nama": words("MUHAMMAD")},
            "a rare word": {"nama": words("QONITAH")},
            "a word of no table": {"nama": words("XQZWYV")},
            "two words": {"nama": words("SITI", "NURHALIZA")},
            "words in the other order": {"nama": words("NURHALIZA", "SITI")},
            "a word with a bigram twice": {"nama": words("ANANDANAN")},
            "words of every class": {
                "nama": [
                    ("SUHARTO", NAME_CLASSES["full"]),
                    ("RADEN", NAME_CLASSES["light"]),
                    ("BINTI", NAME_CLASSES["faint"]),
                    ("A", NAME_CLASSES["initial"]),
                ]
            },
            "missing": {},
        },
    ),
    (
        "clk of five attributes",
        CLK_FIVE,
        {
            "complete": WHOLE,
            "date without a day": {"tgl_lahir": words("1990-02---", word_class=3)},
            "date without a year": {"tgl_lahir": words("-----02-13", word_class=5)},
            "doubtful day": {"tgl_lahir": words("1990-02-15", word_class=DAY_DOUBTFUL)},
            "doubtful day and month": {"tgl_lahir": words("1990-07-01", word_class=MONTH_DOUBTFUL)},
        },
    ),
    (
        "clk of two names of one token space, unlike weights",
        CLK_TWO_NAMES,
        {
            "given name and surname": {"depan": words("MARIA"), "belakang": words("GORETTI")},
            "the two swapped": {"depan": words("GORETTI"), "belakang": words("MARIA")},
        },
    ),
    (
        "clk of year and postcode",
        CLK_CODES,
        {"both": {"tahun": words("1998------"), "pos": words("40115")}},
    ),
    (
        "clk with rarity as the schema chooses",
        CLK_CHOSEN,
        {"both": {"nama": words("MUHAMMAD"), "kampung": words("MUHAMMAD", "SMITH")}},
    ),
    ("diffused code of five attributes", DIFFUSED, {"complete": WHOLE, "missing": {}}),
    (
        "saul of a person",
        SAUL_PERSON,
        {
            "complete": PERSON,
            "a doubtful birthday": {
                **PERSON,
                "tgl_lahir": words("1987-07-01", word_class=MONTH_DOUBTFUL),
            },
            "only a sex": {"jk": words("L")},
            "missing": {},
        },
    ),
    (
        "saul of a place, a year and a postcode",
        SAUL_OTHERS,
        {
            "complete": {
                "tempat": words("KOTA", "BANDUNG"),
                "tahun": words("1998------"),
                "pos": words("40115"),
            }
        },
    ),
]


def position_cases() -> Iterator[Case]:
    for desc, token, k, n_bits in (
        ("a bigram", "_A", 12, 512),
        ("a part of a date", "02/13", 40, 1088),
        ("a year in a long filter", "y1990", 9, 32704),
    ):
        yield {
            "layer": "positions",
            "desc": f"positions of {desc}",
            "key": key("positions").hex(),
            "token": token,
            "n_positions": k,
            "bits": n_bits,
            "expect": positions(key("positions"), token, k, n_bits),
        }


def diffusion_cases() -> Iterator[Case]:
    for desc, n_bits, order, bloom in (
        ("order 1 is a permutation", 64, 1, [int(i < 7) for i in range(64)]),
        ("order 3, sets over two fillings", 64, 3, [int(i % 5 == 0) for i in range(64)]),
        ("order 8", 512, 8, [int(i % 3 == 0) for i in range(512)]),
        ("order 5 of all bits: each is one", 128, 5, [1] * 128),
        ("order 16", 192, 16, [int(i * i % 7 < 3) for i in range(192)]),
    ):
        yield {
            "layer": "diffusion",
            "desc": f"diffusion: {desc}",
            "key": key("diffusion").hex(),
            "bits": n_bits,
            "order": order,
            "filter": packed(bloom).hex(),
            "expect": packed(diffuse(key("diffusion"), order, bloom)).hex(),
        }


def majority_cases() -> Iterator[Case]:
    n = 70
    none, rising = [0] * n, [i * 937 for i in range(n)]
    for desc, mean, n_bits, order, members in (
        ("one position is its own row", none, 1024, 1, [3]),
        ("two positions, so the tie decides", none, 1024, 1, [3, 69]),
        ("eight positions, one whole group", none, 1024, 2, list(range(8))),
        ("nine positions, one more", none, 1024, 2, list(range(9))),
        ("means of one half", [UNIT // 2] * n, 1024, 3, list(range(0, n, 2))),
        ("a mean that is every position", [UNIT] * n, 1024, 1, list(range(n))),
        ("rising means", rising, 1024, 5, list(range(0, n, 3))),
        ("means of odd sum, two chunks", [*rising[:-1], 1], 2048, 4, list(range(20))),
        ("few positions against heavy means", [UNIT - 1] * n, 1024, 6, [0]),
        ("an empty filter", rising, 1024, 1, []),
    ):
        hardening = key("majority")
        yield {
            "layer": "majority",
            "desc": f"majority: {desc}",
            "key": hardening.hex(),
            "mean": mean,
            "bits": n_bits,
            "order": order,
            "positions": members,
            "expect": packed(majority(hardening, mean, n_bits, order, members)).hex(),
        }


def code_cases() -> Iterator[Case]:
    for desc, schema, records in CODES:
        spaces = sorted({TYPES[a["type"]][0] for a in schema["attributes"]})
        keys, hardening = {space: key(space) for space in spaces}, key("hardening")
        bases = base_positions(schema)
        mean = mean_filter(schema, keys) if schema["encoding"]["scheme"] == "saul" else []
        for what, record in records.items():
            k_of = {
                a["name"]: [
                    positions_per_token(a, bases[a["name"]], *word) for word in record[a["name"]]
                ]
                for a in schema["attributes"]
                if a["name"] in record
            }
            yield {
                "layer": "code",
                "desc": f"{desc}: {what}",
                "schema": schema,
                "space_keys": {space: value.hex() for space, value in keys.items()},
                "hardening_key": hardening.hex(),
                "record": record,
                "positions_per_token": k_of,
                "filter": packed(filter_of(schema, keys, record)).hex(),
                "expect": packed(code_of(schema, keys, hardening, mean, record)).hex(),
            }


def cases() -> Iterator[Case]:
    yield from position_cases()
    yield from diffusion_cases()
    yield from majority_cases()
    yield from code_cases()


def write() -> int:
    """Write every case to a file of its own; return how many there are."""
    for old in HERE.glob("*.json"):
        old.unlink()
    written = list(cases())
    for n, case in enumerate(written, 1):
        text = json.dumps(case, indent=1, sort_keys=True) + "\n"
        (HERE / f"{case['layer']}-{n:02}.json").write_text(text, encoding="ascii")
    return len(written)


if __name__ == "__main__":
    print(f"{write()} vectors")  # noqa: T201 (a program's result)
