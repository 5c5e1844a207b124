"""The fast paths give what the definitions give, value by value."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linkage.normalise.attributes import KINDS, normalise_column, sex_column
from linkage.normalise.columns import NameColumn
from linkage.normalise.flags import NameFlag
from linkage.normalise.identifiers import read_identifier
from linkage.normalise.namecolumns import SEX_CODES, name_column
from linkage.normalise.names import normalise_name
from linkage.normalise.options import NormaliseOptions, SexSystem
from linkage.normalise.places import normalise_place, place_column
from linkage.normalise.rules import LANGUAGES, RULES
from linkage.normalise.sexes import parse_sex, sex_system
from linkage.normalise.spelling import modern_spelling
from linkage.normalise.text import fold, fold_code, fold_words
from linkage.normalise.wordlists import all_words

VECTORS = Path(__file__).parents[1] / "vectors" / "normalise"

ORDINARY = [
    "Budi", "Santoso", "Sri", "Wahyuni", "Siti", "Aminah", "Rahman", "Rizky", "Putri", "Dewi",
    "Agus", "Wijaya", "Hutabarat", "Ruth", "Soekarno", "Djoko", "Sjahrir", "Njoto", "Tjipto",
    "Joenoes", "Abdurrahman", "Abdussalam", "Abdulah", "Müller", "Søren", "José", "Peña", "Żółć",
    "Ōta", "Großmann", "De'Ath", "O'Brien", "Nur-Aini", "W1lliam", "2nd", "12345", "XX", "XXXX",
    "A", "B", "Z",
]  # fmt: skip
SPECIAL = sorted({word for entry in all_words() for word in entry.split()})
SEPARATORS = [
    " ", "  ", ", ", ",", ".", ". ", "-", "/", "<", "<<", "'", "`", "\u2019", "\t", "\u00a0", "",
]  # fmt: skip

words = st.one_of(
    st.sampled_from(ORDINARY),
    st.sampled_from(SPECIAL),
    st.sampled_from(SPECIAL).map(str.lower),
    st.sampled_from(SPECIAL).map(str.title),
    st.text(max_size=6),
    st.text(alphabet="OEJTDSNCHABX.'", max_size=8),
)
values = st.lists(st.tuples(words, st.sampled_from(SEPARATORS)), max_size=6).map(
    lambda pairs: "".join(word + separator for word, separator in pairs)
)
long_values = st.integers(36, 62).flatmap(
    lambda n: st.text(alphabet="ABÜ <", min_size=n, max_size=n)
)
columns = st.lists(st.one_of(st.none(), values, values, values, long_values), max_size=12)
SWITCHED = sorted(rule.id for rule in RULES if rule.switch == "without")
options = st.builds(
    NormaliseOptions,
    language=st.sampled_from(LANGUAGES),
    without=st.one_of(st.just(frozenset()), st.frozensets(st.sampled_from(SWITCHED), max_size=4)),
)
name_kinds = st.sampled_from(["name", "mother_name"])


def assert_column_is_the_definition(
    column: NameColumn, raw: list[str | None], settings_: NormaliseOptions, kind: str, sex: str
) -> None:
    for record, value in enumerate(raw):
        name = normalise_name(value, settings_, sex, kind)  # type: ignore[arg-type]
        got = (column.words_of(record), column.patronym_of(record), column.variants_of(record))
        assert got == (name.words, name.patronym, name.variants), repr(value)
        assert NameFlag(int(column.flags[record])) == name.flags, repr(value)
        ids = column.word_ids[column.offsets[record] : column.offsets[record + 1]]
        assert tuple(column.classes[ids]) == name.classes, repr(value)


@settings(max_examples=400, deadline=None)
@given(columns, options, name_kinds, st.sampled_from(SEX_CODES))
def test_name_columns_are_the_definition(
    raw: list[str | None], chosen: NormaliseOptions, kind: str, sex: str
) -> None:
    sexes = np.full(len(raw), SEX_CODES.index(sex), dtype=np.uint8)
    column = name_column(raw, chosen, kind, sexes)
    assert_column_is_the_definition(column, raw, chosen, kind, sex)


@pytest.mark.parametrize("language", LANGUAGES)
def test_names_of_all_vectors_and_all_listed_words(language: str) -> None:
    chosen = NormaliseOptions(language=language)  # type: ignore[arg-type]
    raw: list[str | None] = [*SPECIAL, *(f"{word} Santoso" for word in SPECIAL)]
    raw += [f"Siti {word}" for word in SPECIAL] + [f"I {word} Rai" for word in SPECIAL]
    for path in VECTORS.glob("N*.json"):
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
            if isinstance(case["input"], dict):
                raw.append(case["input"]["value"])
    assert len(raw) > 2000
    column = name_column(raw, chosen)
    assert_column_is_the_definition(column, raw, chosen, "name", "U")


def test_a_long_column_of_real_words_is_the_definition() -> None:
    table = Path(__file__).parents[2] / "linkage" / "resources" / "name_words.csv.gz"
    if not table.exists():
        pytest.skip("name_words.csv.gz is not there")
    lines = gzip.decompress(table.read_bytes()).decode().splitlines()[1:]
    listed = [line.split(",")[0] for line in lines]
    rng = np.random.default_rng(20260101)
    weights = 1 / np.arange(1, len(listed) + 1)
    drawn = rng.choice(len(listed), size=(20_000, 3), p=weights / weights.sum())
    raw: list[str | None] = [" ".join(listed[i] for i in row) for row in drawn]
    chosen = NormaliseOptions(language="indonesian")
    assert_column_is_the_definition(name_column(raw, chosen), raw, chosen, "name", "U")


@settings(max_examples=400, deadline=None)
@given(values, options, name_kinds, st.sampled_from(SEX_CODES))
def test_normalising_again_changes_nothing(
    value: str, chosen: NormaliseOptions, kind: str, sex: str
) -> None:
    once = normalise_name(value, chosen, sex, kind).words  # type: ignore[arg-type]
    again = normalise_name(" ".join(once), chosen, sex, kind).words  # type: ignore[arg-type]
    assert again == once


@settings(max_examples=300, deadline=None)
@given(columns)
def test_vocabulary_is_in_order_of_first_appearance(raw: list[str | None]) -> None:
    column = name_column(raw, NormaliseOptions(language="indonesian"))
    seen = list(dict.fromkeys(column.word_ids.tolist()))
    assert seen == sorted(seen) == list(range(len(seen)))
    assert len(set(column.vocabulary)) == len(column.vocabulary)


@given(st.text(alphabet="OEJTDSNCA", max_size=12))
def test_modern_spelling_is_stable(word: str) -> None:
    once = modern_spelling(word)
    assert modern_spelling(once) == once


@settings(deadline=None)
@given(columns)
def test_text_and_code_columns_are_the_definition(raw: list[str | None]) -> None:
    text, code = normalise_column(raw, "text"), normalise_column(raw, "code")
    for record, value in enumerate(raw):
        assert list(text.words_of(record)) == fold_words(value or "")
        assert list(code.words_of(record)) == fold_code(value or "")


PLACES = [
    "Kab. Bogor", "BOGOR", "Kota Bandung", "UJUNG PANDANG", "Djakarta", "LAHAD DATU", "Dili",
    "Irian Jaya", "Nunukan, Kalimantan Timur", "Kuala Lumpur (Malaysia)", "Atlantis", "-",
]  # fmt: skip
places = st.lists(st.one_of(st.none(), st.sampled_from(PLACES), values), max_size=12)


@settings(deadline=None)
@given(places, options)
def test_place_columns_are_the_definition(raw: list[str | None], chosen: NormaliseOptions) -> None:
    column = place_column(raw, chosen)
    for record, value in enumerate(raw):
        place = normalise_place(value, chosen) if value else None
        number = int(column.place_ids[record])
        assert column.words_of(record) == (place.words if place else ())
        assert int(column.flags[record]) == (place.flags if place else 0)
        assert (column.places[number] if number >= 0 else None) == place


SEXES = st.sampled_from(["L", "P", "W", "LK", "pr", "Pria", "wanita", "M", "F", "1", "2", "<", ""])


@given(st.lists(st.none() | SEXES, max_size=8), st.sampled_from(["LP", "PW", None]))
def test_sex_columns_are_the_definition(raw: list[str | None], system: SexSystem | None) -> None:
    column = sex_column(raw, system)
    meant = system or sex_system({value for value in raw if value})
    for record, value in enumerate(raw):
        sex = parse_sex(value or "", meant)
        assert column.words_of(record) == (() if sex == "U" else (sex,))


@given(st.text())
def test_folding_is_stable(value: str) -> None:
    assert fold(fold(value)) == fold(value)


numbers = st.one_of(
    st.text(alphabet="0123456789", min_size=14, max_size=17),
    st.from_regex(r"[0139][0-9]{5}[0-7][0-9][01][0-9]{3}000[01]", fullmatch=True),
    st.from_regex(r"[0139][0-9]{5}[ .]?[0-6][0-9][01][0-9]{3}000[0-9A-Z]", fullmatch=True),
    values,
    st.none(),
)


@settings(deadline=None)
@given(
    st.lists(numbers, max_size=8),
    st.sampled_from(["nik", "nit", "kk", "passport", "permit", "deed"]),
)
def test_identifier_columns_are_the_definition(raw: list[str | None], kind: str) -> None:
    column = normalise_column(raw, kind)
    for record, value in enumerate(raw):
        expected, flags = read_identifier(value or "", kind)
        assert list(column.words_of(record)) == expected
        assert int(column.flags[record]) == flags


@settings(deadline=None)
@given(columns, st.sampled_from(sorted(KINDS)))
def test_no_kind_raises_and_slices_and_chunks_change_nothing(
    raw: list[str | None], kind: str
) -> None:
    chosen = NormaliseOptions(language="indonesian", reference_year=2026, year_pivot=2026)
    whole = normalise_column(raw, kind, chosen)
    array = pa.array(["Ahmad", *raw, "Siti"], type=pa.string())[1:-1]
    chunked = pa.chunked_array([array[: len(raw) // 2], array[len(raw) // 2 :]])
    for other in (array, chunked, pa.array(raw, pa.string()).dictionary_encode()):
        column = normalise_column(other, kind, chosen)
        assert column.vocabulary == whole.vocabulary
        assert column.word_ids.tolist() == whole.word_ids.tolist()
        assert column.offsets.tolist() == whole.offsets.tolist()
        assert column.flags.tolist() == whole.flags.tolist()
