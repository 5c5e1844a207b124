"""The table of attribute types, and the words that no attribute may be named by."""

import pytest

from linkage.types import ATTRIBUTE_TYPES, REFUSED_WORDS, AttributeType, refused_word_in

# Every type that a schema may name; adding one is a decision about personal data.
_NAMES = """
    name given_name surname alias mother_name father_name sex date year age place nationality
    address postcode phone email code number text nik nit kk passport permit deed
"""
NAMES = _NAMES.split()
IDENTIFIERS = {"nik", "nit", "kk", "passport", "permit", "deed"}


def test_the_types_are_those_of_the_blueprint() -> None:
    assert sorted(ATTRIBUTE_TYPES) == sorted(NAMES)


@pytest.mark.parametrize("entry", ATTRIBUTE_TYPES.values(), ids=lambda entry: entry.name)
def test_every_type_has_sound_figures(entry: AttributeType) -> None:
    assert ATTRIBUTE_TYPES[entry.name] is entry
    assert 0 < entry.weight <= 10
    assert entry.mean_tokens >= 1
    assert refused_word_in(entry.name) is None
    assert refused_word_in(entry.element) is None


def test_identifiers_and_nothing_else_are_specific_data() -> None:
    specific = {t.name for t in ATTRIBUTE_TYPES.values() if t.data_class == "spesifik"}
    identifiers = {t.name for t in ATTRIBUTE_TYPES.values() if t.kind == "identifier"}
    assert specific == identifiers == IDENTIFIERS


def test_names_of_a_person_share_a_token_space_and_those_of_parents_do_not() -> None:
    spaces = {name: ATTRIBUTE_TYPES[name].space for name in NAMES}
    assert spaces["name"] == spaces["given_name"] == spaces["surname"] == spaces["alias"]
    assert len({spaces[name] for name in ("name", "mother_name", "father_name")}) == 3


def test_types_of_unlike_kinds_never_share_a_token_space() -> None:
    kind_of: dict[str, str] = {}
    for entry in ATTRIBUTE_TYPES.values():
        assert kind_of.setdefault(entry.space, entry.kind) == entry.kind


@pytest.mark.parametrize("word", sorted(REFUSED_WORDS))
def test_a_refused_word_is_found_in_any_spelling_of_a_column_name(word: str) -> None:
    for name in (word, word.upper(), f"x-{word}", f"{word} x", f"X_{word}_y"):
        assert refused_word_in(name) == word


@pytest.mark.parametrize("name", ["", "nama", "agamawan", "tgl_lahir", "irisan", "dnas"])
def test_other_names_hold_no_refused_word(name: str) -> None:
    assert refused_word_in(name) is None


@pytest.mark.parametrize(
    "word", ["agama", "religion", "sidik", "jari", "iris", "blood", "darah", "dna", "kesehatan"]
)
def test_what_the_law_keeps_out_is_refused(word: str) -> None:
    assert word in REFUSED_WORDS
