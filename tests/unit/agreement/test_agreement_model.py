"""Agreements as TOML drafts, as canonical JSON, and everything in them that cannot be."""

import pytest
from agreement_world import agreement, changed, changed_json, filled, public, seal_key
from pydantic import ValidationError

from linkage.agreement.draft import draft
from linkage.agreement.matrix import PROCESSES
from linkage.agreement.model import Agreement, parse_agreement, parse_draft
from linkage.errors import ConfigError, MalformedMessageError
from linkage.log.canonical import format_json


@pytest.mark.parametrize("process", PROCESSES)
def test_a_filled_draft_is_read_back_from_its_canonical_bytes(process: str) -> None:
    document = parse_draft(filled(process))
    again = parse_agreement(document.to_bytes())
    assert again == document
    assert again.digest() == document.digest()


@pytest.mark.parametrize("process", PROCESSES)
def test_a_draft_as_it_ships_is_refused_by_every_place_not_filled_in(process: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_draft(draft(process))
    n_places = sum(line.count('"<ISI:') for line in draft(process).splitlines() if line[0:1] != "#")
    assert len(refused.value.problems) == n_places
    assert all("not filled in yet" in problem for problem in refused.value.problems)


def test_all_problems_of_a_draft_are_told_at_once() -> None:
    text = filled("P1")
    text = text.replace("version = 1\n", 'version = "one"\nnews = 1\n')
    text = text.replace('rule = "none"', 'rule = "perhaps"').replace("quorum = 2\n", "", 1)
    text = text.replace('tested_on = "2026-10-01"', 'tested_on = "soon"')
    with pytest.raises(ConfigError) as refused:
        parse_draft(text)
    problems = "\n".join(refused.value.problems)
    for told in (
        "version: Input should be a valid integer",
        "news: no such field",
        "transfer.rule: Input should be 'none', 'mission-only' or 'article-56'",
        "witnesses.quorum: is missing: write it",
        "joint_contact.tested_on: must be a date such as",
    ):
        assert told in problems


def test_an_agreement_without_offices_is_signed_as_those_from_before_there_were_any() -> None:
    without = changed(agreement(), "parties.0.offices", [])
    assert b"offices" not in without.to_bytes()
    assert parse_agreement(without.to_bytes()) == without
    fields = without.to_json()
    fields["parties"][0]["offices"] = []
    with pytest.raises(MalformedMessageError, match="second spelling"):
        parse_agreement(format_json(fields))


@pytest.mark.parametrize(
    ("offices", "said"),
    [
        (["tawau", "tawau"], "offices occur twice"),
        (["*", "tawau"], "alone, or names"),
        (["imigrasi/tawau"], "an office's name is"),
        (["Tawau"], "an office's name is"),
    ],
)
def test_offices_are_named_once_and_by_their_own_names(offices: list[str], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        changed(agreement(), "parties.0.offices", offices)


@pytest.mark.parametrize("article", ["dpia", "notice", "term", "joint_contact", "processor"])
def test_an_article_that_is_missing_is_named(article: str) -> None:
    fields = agreement().to_json()
    del fields[article]
    with pytest.raises(ValidationError, match=article):
        Agreement.model_validate_json(format_json(fields))


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("parties.1.id", "imigrasi", "ids occur twice"),
        ("parties.0.principal", "spiffe://padan.test/party/dukcapil", "principal is not"),
        ("parties.0.principal", "spiffe://padan.test/office/imigrasi/a", "principal is not"),
        ("parties.0.principal", "https://padan.test/party/imigrasi", "a principal is"),
        ("parties.0.sign_keys", [public("party/dukcapil")], "signing keys occur twice"),
        ("parties.0.sign_keys", [], "at least 1 item"),
        ("parties.0.sign_keys", ["AAAA"], "32 bytes"),
        ("parties.0.seal_key", seal_key("party/dukcapil"), "seal keys occur twice"),
        ("parties.0.seal_key", "AAAA", "1216 bytes"),
        (
            "parties.0.data",
            [{"name": "nama", "element": "nama", "data_class": "umum"}] * 2,
            "attributes occur twice",
        ),
        ("results.0.source", "setneg", "results: setneg is no party"),
        ("results.0.level", "R5", "R0"),
        ("duties.breach", "setneg", "duties: setneg is no party"),
        ("legal_basis.0.party", "setneg", "legal_basis: setneg is no party"),
        ("supersedes", "ab" * 32, "supersedes"),
        ("version", 2, "supersedes"),
        ("version", 0, "greater than or equal to 1"),
        ("term.valid_until", "2026-12-31", "ends before it begins"),
        ("witnesses.quorum", 3, "larger than their number"),
        ("witnesses.names", ["imigrasi", "imigrasi"], "names occur twice"),
        ("method.schema_id", "AB" * 32, "64 hexadecimal digits"),
        ("method.gate_limit", 1.5, "less than or equal to 1"),
        ("processor.country", "Indonesia", "three capital letters"),
        ("liability.joint_and_several", False, "True"),
        ("id", "PKS 1", "an id is"),
        ("log", "", "an origin is"),
    ],
)
def test_what_contradicts_itself_or_has_no_meaning_is_refused(
    path: str, value: object, said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        changed(agreement(), path, value)


@pytest.mark.parametrize(
    "hidden",
    [
        "a\u202eb",
        "a\u200bb",
        "a\u0000b",
        "a\x1bb",
        "a\u2028b",
        "e\u0301",
        " a",
        "a ",
        "\ufeffa",
        "",
    ],
)
def test_a_text_holds_nothing_that_a_screen_does_not_show(hidden: str) -> None:
    for path in ("parties.0.name", "purpose.text.id"):
        with pytest.raises(ValidationError, match="visible"):
            changed(agreement(), path, hidden)


def test_bytes_in_a_second_spelling_are_no_agreement() -> None:
    document = agreement()
    data = document.to_bytes()
    for other in (
        b" " + data,
        data.replace(b'"version":1', b'"version":1.0'),
        format_json({**document.to_json(), "nk": {"number": "1", "signed_on": "2026-10-01T00:00"}}),
        format_json({**document.to_json(), "extra": 1}),
        format_json({k: v for k, v in document.to_json().items() if k != "exemptions"}),
        b"[]",
        b"",
    ):
        with pytest.raises(MalformedMessageError):
            parse_agreement(other)


def test_dates_may_be_written_as_toml_dates() -> None:
    text = filled("P1").replace('valid_from = "2027-01-01"', "valid_from = 2027-01-01")
    assert parse_draft(text) == agreement()


def test_what_is_no_toml_is_said_to_be_none() -> None:
    with pytest.raises(ConfigError, match="not valid TOML"):
        parse_draft("id = ")


def test_every_field_is_in_the_digest() -> None:
    document = agreement()
    other = changed_json(document, "rights.hours", 71)
    assert Agreement.model_validate_json(format_json(other)).digest() != document.digest()
