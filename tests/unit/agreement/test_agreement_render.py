"""The text that people read before they sign: whole, in both languages, and what is signed."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from agreement_world import agreement, changed, public, seal_key, uri
from pydantic import ValidationError

from keys.words import check_of
from linkage.agreement.denial import Language
from linkage.agreement.difference import differences
from linkage.agreement.matrix import PROCESSES
from linkage.agreement.model import Agreement
from linkage.agreement.phrases import PHRASES
from linkage.agreement.render import render

LANGUAGES: tuple[Language, ...] = ("id", "en")


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every single value of an agreement, with its path."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from leaves(part, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for number, part in enumerate(value):
            yield from leaves(part, f"{path}.{number}")
    else:
        yield path, value


def full() -> Agreement:
    """An agreement in which no field is empty."""
    base = changed(agreement("P6"), "method.waiver", {
        "reason": {"id": "uji coba", "en": "a trial"}, "approved_by": "Menteri",
        "expires_on": "2027-06-30",
    })  # fmt: skip
    base = changed(base, "exemptions", [
        {
            "article": "Ps. 15", "law": "UU 17/2011", "balancing_sha256": "ab" * 32,
            "letter": "S-1", "expires_on": "2027-12-31",
        }
    ])  # fmt: skip
    base = changed(base, "processor.sub_processors", [
        {"name": "Awan", "country": "IDN", "approval": "S-2"}
    ])  # fmt: skip
    base = changed(base, "transfer.route", {"id": "jalur", "en": "route"})
    return agreement("P6", **{**base.to_json(), "version": 2, "supersedes": "cd" * 32})


OTHER: dict[str, Any] = {
    "supersedes": "ef" * 32, "log": "other.test/log", "purpose.process": "P5",
    "method.scheme": "diffused", "transfer.rule": "mission-only", "processor.country": "MYS",
    "liability.joint_and_several": None,
}  # fmt: skip


def another(path: str, value: Any) -> Any:
    """Another value of the same kind, so that the agreement still reads."""
    if path in OTHER:
        return OTHER[path]
    name = path.rsplit(".", 1)[-1]
    parent = path.rsplit(".", 2)[-2] if path.count(".") else ""
    choices = {
        "institution": ("ahu", "setneg"), "role": ("controller", "recipient"),
        "country": ("MYS", "IDN"), "direction": ("receives", "provides"),
        "basis": ("consent", "contract"), "level": ("R1", "R2"), "data_class": ("umum", "spesifik"),
        "source": ("imigrasi", "dukcapil"), "recipient": ("coordinator", "kemenlu"),
        "seal_key": (seal_key("other"),), "sign_keys": (public("other"),),
        "auditors": (uri("auditor/lain"),),
    }  # fmt: skip
    for key in (name, parent):
        if key in choices:
            return next(choice for choice in choices[key] if choice != value)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, float):
        return value / 2
    if len(value) == 64 and not value.strip("0123456789abcdef"):
        return "12" * 32
    if len(value) == 10 and value[4] == value[7] == "-":
        return value[:8] + ("11" if value[8:] != "11" else "12")
    return f"{value}x"


def articles(page: str) -> str:
    """The text without the lines that show the digest, which change with everything."""
    return "\n".join(row for row in page.splitlines() if not row.startswith(("Digest", "The same")))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_field_is_in_the_text(language: Language) -> None:
    document = full()
    page = articles(render(document, language))
    fields = dict(leaves(document.to_json()))
    tried = 0
    for path, value in fields.items():
        try:
            new = changed(document, path, another(path, value))
        except ValidationError:
            continue  # ids that other parts name, and what may be one value only
        text, _, half = path.rpartition(".")
        of_other_language = f"{text}.en" in fields and half in ("id", "en") and half != language
        assert (articles(render(new, language)) == page) == of_other_language, path
        tried += 1
    assert tried > len(fields) - 30


@pytest.mark.parametrize("process", PROCESSES)
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_text_of_every_process_names_what_is_signed(process: str, language: Language) -> None:
    document = agreement(process)
    page = render(document, language)
    assert page.count(f"`{document.digest()}`") == 2
    words = page.split("**")[1]
    assert check_of(words).hex() == document.digest()
    word = "Pasal" if language == "id" else "Article"
    numbers = [line.split()[2] for line in page.splitlines() if line.startswith(f"## {word}")]
    assert numbers == [f"{number}." for number in range(1, 22)]
    for party in document.parties:
        assert all(data.name.replace("_", "\\_") in page for data in party.data)
    assert page.endswith("\n")
    assert "None" not in page


def test_every_phrase_is_there_in_two_languages() -> None:
    alike = {name for name, (english, indonesian) in PHRASES.items() if english == indonesian}
    assert alike == {"id", "nk"}


@pytest.mark.parametrize(
    "trick",
    [
        "<!-- hidden -->", "# heading", "- item", "1. item", "[text](http://x)", "| a | b |",
        "**bold**", "`code`", "&lt;", "===", "> quote", "~~gone~~", "a\\", "![x](y)", "+ plus",
    ],
)  # fmt: skip
def test_what_a_party_writes_is_no_markup(trick: str) -> None:
    document = changed(agreement(), "rights.channel", {"id": trick, "en": trick})
    page, usual = render(document, "id"), render(agreement(), "id")
    shown = next(
        line
        for line in page.splitlines()
        if line not in usual.splitlines() and line[:6] != "Digest"
    )
    assert not shown.startswith(("#", "-", "+", ">", "1.", "=", "|", "<"))
    bare = re.sub(r"\\.|&#\d+;", "", shown)
    assert not set(bare) & set("*`[]|<&~_\\")


def test_what_an_amendment_changes_is_named_by_party_and_field() -> None:
    document = agreement()
    new = changed(changed(document, "parties.1.ppdp.name", "Lain"), "results.0.level", "R1")
    assert differences(document, new) == [
        ("parties.dukcapil.ppdp.name", "Contoh PPDP dukcapil", "Lain"),
        ("results.dukcapil-imigrasi.level", "R2", "R1"),
    ]
    assert differences(document, document) == []
    gone = [where for where, _, now in differences(full(), changed(full(), "exemptions", []))]
    assert "exemptions" in gone
