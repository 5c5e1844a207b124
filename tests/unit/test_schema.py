"""Linkage schemas: checked as a whole, resolved to one spelling, known by their digest."""

import contextlib
import hashlib
import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.blockentry import MAX_ENTRIES, default_entries, problem_with
from linkage.encode.encoder import resolve_schema, schema_id
from linkage.errors import ConfigError
from linkage.schema import (
    MAX_ATTRIBUTES,
    LinkageSchema,
    canonical_json,
    parse_schema,
    resolve,
    schema_id_of,
)
from linkage.types import ATTRIBUTE_TYPES, REFUSED_WORDS

SMALLEST = """
name = "paspor-dukcapil"
[[attributes]]
name = "nama"
type = "name"
"""

FULL = """
name = "paspor-dukcapil"
version = 3
[encoding]
scheme = "clk"
bits = 1024
[match]
cardinality = "one-to-one"
threshold = 0.8
[[attributes]]
name = "nama"
type = "name"
weight = 1.6
element = "nama"
[[attributes]]
name = "tgl_lahir"
type = "date"
[[attributes]]
name = "jk"
type = "sex"
"""

VERSIONS = {"encoder": "1", "normaliser": "1"}


def problems_in(text: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_schema(text, "a.toml")
    assert caught.value.what == "a.toml"
    return list(caught.value.problems)


def id_of(text: str) -> bytes:
    return schema_id(parse_schema(text))


def with_attribute(name: str, type_: str = "text") -> str:
    return f'{SMALLEST}\n[[attributes]]\nname = "{name}"\ntype = "{type_}"\n'


def test_the_smallest_schema_has_every_default() -> None:
    schema = parse_schema(SMALLEST)
    encoding = schema.encoding
    assert (schema.version, encoding.scheme, encoding.code_bits) == (1, "saul", 8192)
    assert (encoding.code_order, encoding.filter_length) == (5, 4096)
    assert schema.match.cardinality == "many-to-many"
    assert (schema.match.rounds, schema.match.candidates, schema.match.decoys) == (2, 10, True)
    assert schema.threshold == 0.5
    assert schema.attributes[0].weight is None
    assert schema.attributes[0].token_weight == ATTRIBUTE_TYPES["name"].weight


def test_a_full_schema_keeps_what_was_written() -> None:
    schema = parse_schema(FULL)
    assert (schema.version, schema.encoding.bits) == (3, 1024)
    assert (schema.match.cardinality, schema.match.threshold) == ("one-to-one", 0.8)
    assert [a.name for a in schema.attributes] == ["nama", "tgl_lahir", "jk"]
    assert [a.token_weight for a in schema.attributes] == [
        1.6,
        ATTRIBUTE_TYPES["date"].weight,
        ATTRIBUTE_TYPES["sex"].weight,
    ]


def test_every_problem_is_listed_at_once() -> None:
    problems = problems_in(
        """
        name = "Paspor Dukcapil"
        version = 0
        colour = "red"
        [encoding]
        scheme = "md5"
        bits = 1000
        salt = "abc"
        [match]
        cardinality = "all"
        threshold = 1.5
        rounds = 3
        candidates = 0
        decoys = "no"
        [[attributes]]
        name = "agama"
        type = "text"
        [[block]]
        on = []
        [exact]
        names = ["NIK"]
        [[attributes]]
        name = "Nama"
        type = "nome"
        weight = 0.0
        colour = 1
        """
    )
    places = [problem.split(":")[0] for problem in problems]
    assert sorted(places) == sorted(
        [
            "name",
            "version",
            "colour",
            "encoding.scheme",
            "encoding.bits",
            "encoding.salt",
            "match.cardinality",
            "match.threshold",
            "match.rounds",
            "match.candidates",
            "match.decoys",
            "attributes.0.name",
            "attributes.1.name",
            "attributes.1.type",
            "attributes.1.weight",
            "attributes.1.colour",
            "block.0.on",
            "exact.names.0",
        ]
    )


def test_the_error_text_names_the_file_and_each_problem_on_a_line() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_schema("version = 0", "schemas/a.toml")
    lines = str(caught.value).splitlines()
    assert lines[0] == "schemas/a.toml:"
    assert [line.strip() for line in lines[1:]] == list(caught.value.problems)
    assert len(lines) == 4  # version, and the missing name and attributes


def test_problems_do_not_echo_what_was_written() -> None:
    text = SMALLEST.replace('"name"', '"SENTINEL"') + 'weight = "SENTINEL"\n'
    assert "SENTINEL" not in " ".join(problems_in(text))


@pytest.mark.parametrize("word", sorted(REFUSED_WORDS))
def test_a_refused_word_is_an_error_wherever_it_stands_in_a_name(word: str) -> None:
    for name in (word, f"data_{word}", f"{word}_ibu", f"a_{word}_b"):
        (problem,) = problems_in(with_attribute(name))
        assert problem.startswith("attributes.1.name: ")
        assert repr(word) in problem
        assert "leave it out" in problem


@pytest.mark.parametrize("name", ["nama", "jarimanis", "bloodhound", "pidanan", "agamawan"])
def test_a_word_that_only_holds_a_refused_one_is_allowed(name: str) -> None:
    assert parse_schema(with_attribute(name.replace("nama", "nama2"))).attributes[1].name


@pytest.mark.parametrize(
    "type_", [t.name for t in ATTRIBUTE_TYPES.values() if t.kind == "identifier"]
)
def test_an_identifier_never_enters_the_fuzzy_code(type_: str) -> None:
    (problem,) = problems_in(with_attribute("nomor", type_))
    assert problem == (
        f"attributes.1.type: an identifier such as {type_} never enters the fuzzy "
        'code: add it to [exact] names = ["nomor"]'
    )
    schema = parse_schema(with_attribute("nomor", type_) + '[exact]\nnames = ["nomor"]\n')
    assert [a.name for a in schema.fuzzy] == ["nama"]
    assert [a.name for a in schema.exact_attributes] == ["nomor"]


def test_a_type_of_identifier_among_the_exact_names_is_an_attribute() -> None:
    schema = parse_schema(f'{SMALLEST}[exact]\nnames = ["nik"]\n')
    assert [(a.name, a.type) for a in schema.attributes] == [("nama", "name"), ("nik", "nik")]
    assert [a.name for a in schema.exact_attributes] == ["nik"]


@pytest.mark.parametrize("type_", ["name", "sex", "date", "place", "postcode"])
def test_what_many_share_is_no_exact_token(type_: str) -> None:
    text = with_attribute("lain", type_) + '[exact]\nnames = ["lain"]\n'
    (problem,) = problems_in(text)
    assert f"lain is a {type_}, which many people share" in problem


@pytest.mark.parametrize("type_", ["phone", "email"])
def test_what_one_or_few_have_may_be_an_exact_token(type_: str) -> None:
    schema = parse_schema(with_attribute("lain", type_) + '[exact]\nnames = ["lain"]\n')
    assert [a.name for a in schema.exact_attributes] == ["lain"]
    assert schema.identifiers == ()


def test_an_exact_name_that_is_nothing_is_refused() -> None:
    (problem,) = problems_in(f'{SMALLEST}[exact]\nnames = ["nomor"]\n')
    assert problem == "as a whole: exact.names: nomor is no attribute of the schema"


def test_identifiers_alone_make_no_code() -> None:
    nik = '[[attributes]]\nname = "nik"\ntype = "nik"\n[exact]\nnames = ["nik"]\n'
    (problem,) = problems_in(f'name = "a"\n{nik}')
    assert "at least one attribute that is no identifier" in problem


@pytest.mark.parametrize(
    ("on", "reason"),
    [
        ('["phonetic(nama)", "initial(lain)"]', "write an attribute, or one of"),
        ('["phonetic(nama)", "lain)"]', "write an attribute, or one of"),
        ('["phonetic(nama)", ""]', "write an attribute, or one of"),
        ("[]", "at least one part"),
        ('["phonetic(nama)", "month(lain)"]', "write an attribute, or one of"),
        ('["phonetic(nama)", "year(umur)"]', "umur: no such attribute"),
        ('["phonetic(nama)", "year(lain)"]', "year takes attributes of kind"),
        ('["phonetic(nama, lain)", "lain"]', "of one kind"),
    ],
)
def test_a_block_that_cannot_be_is_refused(on: str, reason: str) -> None:
    (problem,) = problems_in(with_attribute("lain", "place") + f"[[block]]\non = {on}\n")
    assert reason in problem


@pytest.mark.parametrize("on", ['["phonetic(nama)"]', '["phonetic(nama)", "word(nama)"]'])
def test_a_block_of_one_attribute_is_for_jobs_of_two_rounds(on: str) -> None:
    # There a token stands once, and nothing says whose it is.
    text = f"{SMALLEST}[[block]]\non = {on}\n[match]\nrounds = "
    assert len(parse_schema(f"{text}2\n").entries) == 1
    (problem,) = problems_in(f"{text}1\n")
    assert "two attributes at least" in problem


def test_an_exact_attribute_is_an_entry_of_its_own_in_jobs_of_two_rounds() -> None:
    text = with_attribute("nik", "nik") + '[exact]\nnames = ["nik"]\n[match]\nrounds = '
    two, one = parse_schema(f"{text}2\n"), parse_schema(f"{text}1\n")
    assert [str(entry) for entry in two.entries[-1:]] == ["value(nik)"]
    assert two.entries[:-1] == two.block_entries
    assert one.entries == one.block_entries


@pytest.mark.parametrize(("type_", "n_entries"), [("sex", 1), ("nationality", 1), ("age", 0)])
def test_attributes_that_all_tell_little_have_to_do_in_two_rounds(
    type_: str, n_entries: int
) -> None:
    text = f'name = "a"\n[[attributes]]\nname = "satu"\ntype = "{type_}"\n'
    assert len(parse_schema(text).entries) == n_entries
    assert parse_schema(text + "[match]\nrounds = 1\n").entries == ()
    # An identifier is an entry more.
    nik = '[[attributes]]\nname = "nik"\ntype = "nik"\n[exact]\nnames = ["nik"]\n'
    assert len(parse_schema(text + nik).entries) == n_entries + 1


def test_blocks_by_type_where_none_are_given() -> None:
    text = with_attribute("tgl", "date") + '[[attributes]]\nname = "jk"\ntype = "sex"\n'
    # Pairs of parts of two attributes: the best of every two attributes, then the second
    # best, and so on, the most telling first; what tells less than 12 bits (year or day with
    # the sex, and the names with it but for their sounds) is none.
    one = parse_schema(text + "[match]\nrounds = 1\n")
    assert [str(entry) for entry in one.block_entries] == [
        "phonetic(nama) & value(tgl)",
        "value(tgl) & value(jk)",
        "phonetic(nama) & value(jk)",
        "word(nama) & value(tgl)",
        "phonetic(nama) & monthday(tgl)",
        "word(nama) & monthday(tgl)",
        "phonetic(nama) & year(tgl)",
        "word(nama) & year(tgl)",
    ]
    # With two rounds also what tells 6 bits, and alone what tells 8.
    two = {str(entry) for entry in parse_schema(text).block_entries}
    assert two == {str(entry) for entry in one.block_entries} | {
        "word(nama) & value(jk)", "monthday(tgl) & value(jk)", "year(tgl) & value(jk)",
        "phonetic(nama)", "word(nama)", "value(tgl)", "monthday(tgl)",
    }  # fmt: skip


def test_names_that_may_be_swapped_are_also_a_part_together() -> None:
    names = with_attribute("marga", "surname") + '[[attributes]]\nname = "jk"\ntype = "sex"\n'
    entries = [str(entry) for entry in parse_schema(names).block_entries]
    assert "value(jk) & phonetic(nama, marga)" in entries
    # A mother's name is no name of the person's own, and no part has an attribute twice.
    mother = with_attribute("ibu", "mother_name") + '[[attributes]]\nname="jk"\ntype="sex"\n'
    for entry in parse_schema(mother).block_entries:
        assert all(len(part.attributes) == 1 for part in entry.parts)
    for entry in parse_schema(names).block_entries:
        used = [name for part in entry.parts for name in part.attributes]
        assert len(used) == len(set(used))


@pytest.mark.parametrize(("rounds", "most"), [(1, 96), (2, MAX_ENTRIES)])
def test_blocks_by_type_are_as_many_as_there_may_be_and_the_same_at_every_party(
    rounds: int, most: int
) -> None:
    kinds = [t.name for t in ATTRIBUTE_TYPES.values() if t.kind != "identifier"]
    attributes = [(f"a{i}", kind) for i, kind in enumerate(kinds)]
    entries = default_entries(attributes, rounds)
    assert len(entries) == most == len(set(map(str, entries)))
    assert entries == default_entries(attributes, rounds)
    types = dict(attributes)
    assert [entry for entry in entries if problem_with(entry, types, rounds)] == []
    # An age is one party's year of birth, more or less: nobody is looked for by it.
    ages = [name for name, kind in attributes if kind == "age"]
    parts = [part for entry in entries for part in entry.parts]
    assert not {name for part in parts for name in part.attributes} & set(ages)


@pytest.mark.parametrize(
    ("rounds", "records", "n_bytes"),
    [
        (1, 1, 2), (1, 40_000, 4), (1, 1_000_000, 4), (1, 2_000_000_000, 6),
        (2, 1, 3), (2, 40_000, 5), (2, 1_000_000, 5), (2, 2_000_000_000, 7),
    ],
)  # fmt: skip
def test_block_tokens_are_long_enough_that_strangers_share_none(
    rounds: int, records: int, n_bytes: int
) -> None:
    text = f"{SMALLEST}[match]\nrounds = {rounds}\nexpected_records = {records}\n"
    assert parse_schema(text).match.block_bytes == n_bytes
    # A stranger's token is met by chance once in 2^10 records, over the whole register; with
    # two rounds 2^8 times more rarely, for there chance costs a question.
    rarely = 2**-10 if rounds == 1 else 2**-18
    assert records / 256**n_bytes <= rarely < 256 * (records + 1) / 256**n_bytes


@pytest.mark.parametrize(
    ("scheme", "one_round"),
    [("clk", 0.7), ("saul", 0.5 + 6.4 * 0.5 / 8192**0.5), ("diffused", 0.5 + 6.4 * 0.5 / 64)],
)
def test_the_default_threshold_is_that_of_the_rounds(scheme: str, one_round: float) -> None:
    text = f'{SMALLEST}[encoding]\nscheme = "{scheme}"\n[match]\nrounds = '
    assert parse_schema(f"{text}1\n").threshold == pytest.approx(one_round)
    assert parse_schema(f"{text}2\n").threshold == 0.5
    for rounds in (1, 2):
        assert parse_schema(f"{text}{rounds}\nthreshold = 0.9\n").threshold == 0.9


def test_other_rounds_take_no_threshold_that_was_meant_for_these() -> None:
    one = parse_schema(FULL.replace("[match]", "[match]\nrounds = 1"))
    two = one.with_rounds(2)
    assert one.with_rounds(1) is one
    assert (two.match.rounds, two.match.threshold, two.threshold) == (2, None, 0.5)
    assert (two.with_rounds(1).threshold, one.threshold) == (0.7, 0.8)
    assert two.match.cardinality == one.match.cardinality
    assert two.attributes == one.attributes
    assert schema_id(two) != schema_id(one)


@pytest.mark.parametrize("type_", ["name", "date", "email"])
def test_a_single_attribute_has_no_block_in_one_round_and_some_in_two(type_: str) -> None:
    text = f'name = "a"\n[[attributes]]\nname = "satu"\ntype = "{type_}"\n[match]\nrounds = '
    assert parse_schema(f"{text}1\n").block_entries == ()
    assert parse_schema(f"{text}2\n").block_entries


@pytest.mark.parametrize(
    "type_", [t.name for t in ATTRIBUTE_TYPES.values() if t.kind != "identifier"]
)
def test_every_other_type_is_taken(type_: str) -> None:
    assert parse_schema(with_attribute("lain", type_)).attributes[1].of_type.name == type_


def test_an_unknown_type_is_refused_with_the_known_ones() -> None:
    (problem,) = problems_in(with_attribute("lain", "fingerprint"))
    assert "mother_name" in problem
    assert "date" in problem


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (SMALLEST.replace('name = "paspor', 'colour = 1\nname = "paspor'), "colour"),
        (SMALLEST + "colour = 1\n", "attributes.0.colour"),
        (SMALLEST + "[encoding]\ncolour = 1\n", "encoding.colour"),
        (SMALLEST + "[match]\ncolour = 1\n", "match.colour"),
        (SMALLEST + "[colour]\n", "colour"),
    ],
)
def test_an_unknown_key_is_refused(text: str, place: str) -> None:
    (problem,) = problems_in(text)
    assert problem.startswith(f"{place}: ")


@pytest.mark.parametrize(
    ("section", "line", "right"),
    [
        ("encoding", "bits = 512", True),
        ("encoding", "bits = 32768", True),
        ("encoding", "bits = 448", False),
        ("encoding", "bits = 32832", False),
        ("encoding", "bits = 1000", False),
        ("encoding", "bits = 1024.0", False),
        ("encoding", 'bits = "1024"', False),
        ("encoding", "bits = true", False),
        ("match", "threshold = 1.0", True),
        ("match", "threshold = 1", True),
        ("match", "threshold = 0.0", False),
        ("match", "threshold = 1.01", False),
        ("match", "threshold = nan", False),
        ("match", "threshold = inf", False),
        ("match", "threshold = -0.5", False),
        ("match", 'threshold = "0.7"', False),
        ("match", "rounds = 1", True),
        ("match", "rounds = 2", True),
        ("match", "rounds = 0", False),
        ("match", "rounds = 3", False),
        ("match", "candidates = 1", True),
        ("match", "candidates = 512", True),
        ("match", "candidates = 0", False),
        ("match", "candidates = 513", False),
        ("match", "candidates = 2.0", False),
        ("match", "decoys = false", True),
        ("match", "decoys = 0", False),
        ("match", "expected_records = 2000000000", True),
        ("match", "expected_records = 0", False),
        ("match", "expected_records = 2000000001", False),
    ],
)
def test_numbers_stay_in_their_range_and_kind(section: str, line: str, right: bool) -> None:
    scheme = 'scheme = "clk"\n' if section == "encoding" else ""
    text = f"{SMALLEST}[{section}]\n{scheme}{line}\n"
    if right:
        parse_schema(text)
    else:
        (problem,) = problems_in(text)
        assert problem.startswith(f"{section}.{line.split(maxsplit=1)[0]}: ")


@pytest.mark.parametrize("weight", ["0.0", "-1.0", "10.5", "nan", "inf", '"1"', "true"])
def test_a_weight_out_of_range_is_refused(weight: str) -> None:
    (problem,) = problems_in(f"{SMALLEST}weight = {weight}\n")
    assert problem.startswith("attributes.0.weight: ")


@pytest.mark.parametrize("name", ["", "A", "nama lengkap", "1nama", "_nama", "nama-a", "a" * 41])
def test_an_attribute_name_of_another_form_is_refused(name: str) -> None:
    (problem,) = problems_in(with_attribute(name))
    assert problem.startswith("attributes.1.name: ")


def test_attributes_named_twice_are_named() -> None:
    assert problems_in(with_attribute("nama")) == ["attributes named twice: nama"]


def test_a_schema_needs_an_attribute_and_not_too_many() -> None:
    with pytest.raises(ConfigError, match="0 attributes: a schema has 1 to 32"):
        parse_schema('name = "a"\nattributes = []\n')
    lines = "".join(
        f'[[attributes]]\nname = "a{i}"\ntype = "text"\n' for i in range(MAX_ATTRIBUTES)
    )
    assert len(parse_schema(f'name = "a"\n{lines}').attributes) == MAX_ATTRIBUTES
    more = '[[attributes]]\nname = "b"\ntype = "text"\n'
    (problem,) = problems_in(f'name = "a"\n{lines}{more}')
    assert problem.startswith("attributes: ")


@pytest.mark.parametrize("text", ["name = ", "[[attributes]", "\0", "name = 'a'\nname = 'b'\n"])
def test_what_is_no_toml_is_one_problem(text: str) -> None:
    (problem,) = problems_in(text)
    assert problem.startswith("not valid TOML: ")


@given(st.text(max_size=60))
def test_any_text_is_a_schema_or_a_config_error(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse_schema(text)


def test_the_resolved_form_has_every_default_written_out() -> None:
    resolved = resolve(parse_schema(SMALLEST), VERSIONS)
    assert resolved == {
        "name": "paspor-dukcapil",
        "version": 1,
        "encoding": {"scheme": "saul", "bits": 8192, "order": 5, "filter_bits": 4096},
        "match": {
            "cardinality": "many-to-many",
            "rounds": 2,
            "threshold": 0.5,
            "candidates": 10,
            "decoys": True,
            "expected_records": 1_000_000,
        },
        "exact": [],
        "block": {"copies": 3, "bytes": 5, "entries": [["phonetic(nama)"], ["word(nama)"]]},
        "attributes": [
            {
                "name": "nama",
                "type": "name",
                "weight": 1.0,
                "element": "nama",
                "class": "umum",
                "space": "name",
                "mean_tokens": 14,
                "rarity": True,
                "language": "any",
                "without": [],
                "invalid": "missing",
            }
        ],
        "versions": VERSIONS,
    }


def test_writing_the_defaults_out_changes_nothing() -> None:
    written = (
        SMALLEST + 'weight = 1.0\nelement = "nama"\nrarity = true\nlanguage = "any"\n'
        '[encoding]\nscheme = "saul"\nbits = 8192\norder = 5\nfilter_bits = 4096\n'
        '[match]\ncardinality = "many-to-many"\nrounds = 2\nthreshold = 0.5\ncandidates = 10\n'
        "decoys = true\nexpected_records = 1_000_000\n"
    )
    assert id_of(written) == id_of(SMALLEST)


def test_spelling_comments_and_order_of_keys_change_nothing() -> None:
    spelled = """
        # the same
        attributes = [{ type = 'name', "name" = "nama" }]
        name = 'paspor-dukcapil'
        version = 0x1
    """
    assert id_of(spelled) == id_of(SMALLEST)


def test_an_integer_and_a_float_of_one_value_are_the_same() -> None:
    assert id_of(f"{SMALLEST}weight = 1\n") == id_of(f"{SMALLEST}weight = 1.0\n")


def test_the_canonical_form_is_sorted_compact_json_of_the_resolved_one() -> None:
    resolved = resolve_schema(parse_schema(FULL))
    content = canonical_json(resolved)
    assert json.loads(content) == resolved
    again = canonical_json(json.loads(content))
    assert again == content
    assert b" " not in content
    assert list(json.loads(content)) == sorted(resolved)
    assert schema_id_of(resolved) == hashlib.sha256(content).digest()


# Each line replaces one of `FULL`; all of these schemas must have unlike ids.
CHANGES = {
    "name": ('name = "paspor-dukcapil"', 'name = "paspor-dukcapil-2"'),
    "version": ("version = 3", "version = 4"),
    "bits": ("bits = 1024", "bits = 1088"),
    "cardinality": ('"one-to-one"', '"one-to-many"'),
    "threshold": ("threshold = 0.8", "threshold = 0.81"),
    "rounds": ("threshold = 0.8", "threshold = 0.8\nrounds = 1"),
    "candidates": ("threshold = 0.8", "threshold = 0.8\ncandidates = 9"),
    "decoys": ("threshold = 0.8", "threshold = 0.8\ndecoys = false"),
    "expected records": ("threshold = 0.8", "threshold = 0.8\nexpected_records = 1_000"),
    "blocks": ("[match]", '[[block]]\non = ["phonetic(nama)", "year(tgl_lahir)"]\n[match]'),
    "exact": ("[match]", '[exact]\nnames = ["nik"]\n[match]'),
    "attribute name": ('name = "jk"', 'name = "kelamin"'),
    "attribute type": ('type = "sex"', 'type = "code"'),
    "weight": ("weight = 1.6", "weight = 1.61"),
    "default weight given otherwise": ('type = "sex"', 'type = "sex"\nweight = 1.4'),
    "element": ('element = "nama"', 'element = "kelahiran"'),
    "one attribute less": ('[[attributes]]\nname = "jk"\ntype = "sex"\n', ""),
}


def test_every_field_changes_the_schema_id() -> None:
    ids = {"as it was": id_of(FULL)}
    for what, (old, new) in CHANGES.items():
        assert FULL.count(old) == 1, what
        ids[what] = id_of(FULL.replace(old, new))
    assert len(set(ids.values())) == len(ids)


def test_the_order_of_attributes_changes_the_schema_id() -> None:
    # Attributes are the schema's own sequence: two writers of one order agree on it.
    parts = tomllib.loads(FULL)
    schema = LinkageSchema.model_validate(parts)
    parts["attributes"] = parts["attributes"][::-1]
    assert schema_id(LinkageSchema.model_validate(parts)) != schema_id(schema)


def test_a_version_of_encoder_or_normaliser_changes_the_digest() -> None:
    schema = parse_schema(FULL)
    digests = {
        schema_id_of(resolve(schema, versions))
        for versions in (
            VERSIONS,
            {**VERSIONS, "encoder": "2"},
            {**VERSIONS, "normaliser": "2"},
            {**VERSIONS, "table": "00"},
        )
    }
    assert len(digests) == 4


def test_what_the_encoder_adds_is_part_of_the_digest() -> None:
    schema = parse_schema(FULL)
    resolved: dict[str, Any] = resolve_schema(schema)
    assert {"encoder", "normaliser"} <= set(resolved["versions"])
    assert set(resolved["positions_per_token"]) == {"nama", "tgl_lahir", "jk"}
    assert schema_id(schema) == schema_id_of(resolved)
    assert len(schema_id(schema)) == 32


def test_a_schema_read_from_its_file_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    path.write_text(FULL, encoding="utf-8")
    assert id_of(path.read_text(encoding="utf-8")) == id_of(FULL)


def test_a_wrong_attribute_is_not_said_to_be_missing() -> None:
    (problem,) = problems_in(f"{SMALLEST}weight = 0.0\n")
    assert problem.startswith("attributes.0.weight: ")


def test_a_name_twice_is_listed_with_the_other_problems() -> None:
    problems = problems_in(with_attribute("nama") + "[encoding]\nbits = 1\n")
    places = sorted(problem.split(":")[0] for problem in problems)
    assert places == ["attributes named twice", "encoding.bits"]


def test_attributes_without_a_name_are_not_said_to_be_named_twice() -> None:
    nameless = '[[attributes]]\ntype = "text"\n'
    places = [problem.split(":")[0] for problem in problems_in(SMALLEST + nameless * 2)]
    assert sorted(places) == ["attributes.1.name", "attributes.2.name"]
