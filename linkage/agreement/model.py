"""An agreement (PKS) as the parties write, read and sign it.

The TOML draft and the signed JSON have the same fields. What is signed is the canonical JSON
with every default written out, but for a party's `offices` where it names none; its SHA-256 is
the agreement's digest, and two documents with the same digest are the same to the last byte.

Source: RFC 8785; UU 27/2022 and PP 33/2026 for the fields, see `docs/agreements.md`.
"""

import hashlib
import json
import tomllib
from collections.abc import Collection, Iterator, Mapping
from datetime import date
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, ValidationError, model_validator

from linkage.agreement import articles
from linkage.agreement.articles import Direction, Level, Party
from linkage.agreement.values import (
    ALL_OFFICES,
    AgreementId,
    Digest,
    Origin,
    Strict,
    role_in,
)
from linkage.errors import ConfigError, MalformedMessageError
from linkage.job import COORDINATOR
from linkage.log.canonical import decode_base64, format_json, parse_json

MAX_PARTIES = 16
PLACEHOLDER = "<ISI:"
_PLAIN_PROBLEMS = {
    "missing": "is missing: write it, as `padan agreement new` shows",
    "extra_forbidden": "no such field: remove it, or correct its name",
    "string_type": "must be a text in quotation marks",
    "date_parsing": "must be a date such as 2026-12-31",
    "date_from_datetime_parsing": "must be a date such as 2026-12-31",
}


class Agreement(Strict):
    """A whole agreement; the articles are those of `linkage.agreement.articles`.

    Attributes:
        id: one for each purpose and set of parties; the same in all versions.
        version: 1, and one more with every amendment.
        supersedes: digest of the version before; None for the first.
        log: origin of the match log in which it counts.
        title: what it is called.
        nk: the Nota Kesepahaman above it.
        pks: the Perjanjian Kerja Sama on paper; of an internal order its number.
    """

    id: AgreementId
    version: Annotated[int, Field(ge=1, le=65_535)]
    supersedes: Digest | None = None
    log: Origin
    title: articles.Text
    nk: articles.Reference | None = None
    pks: articles.Reference
    purpose: articles.Purpose
    parties: Annotated[tuple[Party, ...], Field(min_length=1, max_length=MAX_PARTIES)]
    legal_basis: Annotated[tuple[articles.LegalBasis, ...], Field(max_length=64)]
    method: articles.Method
    results: Annotated[tuple[articles.Result, ...], Field(max_length=256)]
    subjects: articles.Subjects
    scope: articles.Scope
    duties: articles.Duties
    joint_contact: articles.JointContact
    dpia: articles.Dpia
    term: articles.Term
    retention: articles.Retention
    key_custody: articles.KeyCustody
    processor: articles.Processor
    transfer: articles.Transfer
    rights: articles.Rights
    incident: articles.Incident
    decision: articles.Decision
    audit: articles.Audit
    exemptions: Annotated[tuple[articles.Exemption, ...], Field(max_length=16)] = ()
    liability: articles.Liability
    notice: articles.Notice
    witnesses: articles.Witnesses

    @model_validator(mode="after")
    def _parts_fit(self) -> "Agreement":
        problems = list(_contradictions(self))
        if problems:
            raise ValueError("; ".join(problems))
        return self

    @cached_property
    def by_id(self) -> Mapping[str, Party]:
        """The parties by their id."""
        return {party.id: party for party in self.parties}

    @property
    def internal(self) -> bool:
        """Whether it is the order of one agency to itself: no counterparty, no upload."""
        return self.purpose.process == "P7"

    def level(self, source: str, recipient: str) -> Level | None:
        """Return what a recipient may learn of a source's records; None for nothing."""
        for result in self.results:
            if (result.source, result.recipient) == (source, recipient):
                return result.level
        return None

    def directions(self) -> frozenset[tuple[str, Direction]]:
        """Return who provides and who receives, by the results."""
        return frozenset(
            pair
            for result in self.results
            for pair in ((result.source, "provides"), (result.recipient, "receives"))
            if pair[0] != COORDINATOR
        )

    def to_json(self) -> dict[str, Any]:
        """Return the agreement with every default written out, as plain JSON values."""
        return self.model_dump(mode="json")

    def to_bytes(self) -> bytes:
        """Return the canonical JSON: what is signed."""
        return format_json(self.to_json())

    def digest(self) -> str:
        """Return SHA-256 of `to_bytes` in hexadecimal."""
        return hashlib.sha256(self.to_bytes()).hexdigest()


def sign_keys(party: Party) -> dict[str, bytes]:
    """Return the raw signing keys of a party by their id."""
    raw = [decode_base64(key) for key in party.sign_keys]
    return {hashlib.sha256(key).hexdigest(): key for key in raw}


def parse_draft(text: str, what: str = "draft") -> Agreement:
    """Read a draft from TOML.

    Args:
        text: the file's content.
        what: how to call it in an error, for example its path.

    Raises:
        ConfigError: it is no TOML, has places not filled in, or breaks a rule; lists every
            problem.
    """
    try:
        tables = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(what, [f"not valid TOML: {error}"]) from error
    open_places = dict(_placeholders(tables, ()))
    problems = [
        f"{_dotted(place)}: not filled in yet: {open_places[place]}" for place in open_places
    ]
    try:
        # The signed form is JSON: a draft is read the same way, with the same strictness.
        agreement = Agreement.model_validate_json(json.dumps(tables, default=_plain))
    except ValidationError as error:
        problems += problems_of(error, open_places)
        raise ConfigError(what, problems) from error
    if problems:
        raise ConfigError(what, problems)
    return agreement


def parse_agreement(data: bytes) -> Agreement:
    """Return the agreement in its canonical JSON.

    Raises:
        MalformedMessageError: anything that `Agreement.to_bytes` would not write.
    """
    parse_json(data)
    try:
        agreement = Agreement.model_validate_json(data)
    except ValidationError as error:
        raise MalformedMessageError(f"not an agreement: {problems_of(error)[0]}") from error
    if agreement.to_bytes() != data:
        raise MalformedMessageError("an agreement in a second spelling")
    return agreement


def problems_of(error: ValidationError, known: Collection[tuple[str | int, ...]] = ()) -> list[str]:
    """Return what is wrong, one line for each place, and what to do about it.

    Args:
        error: what pydantic found.
        known: places of which something is said already.
    """
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    places = [*known, *(problem["loc"] for problem in problems)]
    lines = []
    for problem in problems:
        place = problem["loc"]
        # A wrong entry makes its list too short as well: once is enough.
        if place in known or any(_is_inside(other, place) for other in places):
            continue
        said = problem["msg"].removeprefix("Value error, ")
        text = _PLAIN_PROBLEMS.get(problem["type"], said)
        # Contradictions between parts come as one problem with the whole.
        parts = text.split("; ") if not place else [text]
        lines += [f"{_dotted(place)}: {part}" for part in parts]
    return lines


def _is_inside(place: tuple[str | int, ...], other: tuple[str | int, ...]) -> bool:
    return len(place) > len(other) and place[: len(other)] == other


def _contradictions(agreement: Agreement) -> Iterator[str]:
    """Yield where parts name what is not there, or name something twice."""
    ids = [party.id for party in agreement.parties]
    keys = [key for party in agreement.parties for key in party.sign_keys]
    keys_to_seal = [party.seal_key for party in agreement.parties]
    for what, values in (
        ("parties: ids", ids),
        ("parties: principals", [party.principal for party in agreement.parties]),
        ("parties: signing keys", keys),
        ("parties: seal keys", keys_to_seal),
        ("results: directions", [(r.source, r.recipient) for r in agreement.results]),
        ("legal_basis: entries", [(b.party, b.direction) for b in agreement.legal_basis]),
        ("witnesses: names", list(agreement.witnesses.names)),
    ):
        if len(set(values)) < len(values):
            yield f"{what} occur twice: each stands once"
    for party in agreement.parties:
        names = [entry.name for entry in party.data]
        if len(set(names)) < len(names):
            yield f"parties: {party.id}: attributes occur twice: each stands once"
        if len(set(party.offices)) < len(party.offices):
            yield f"parties: {party.id}: offices occur twice: each stands once"
        if ALL_OFFICES in party.offices and len(party.offices) > 1:
            yield f"parties: {party.id}: offices: {ALL_OFFICES} alone, or names"
        if role_in(party.principal) != ("party", party.id):
            yield f"parties: {party.id}: the principal is not spiffe://DOMAIN/party/{party.id}"
    duties = agreement.duties
    for where, named in (
        ("results", [r.source for r in agreement.results]),
        ("results", [r.recipient for r in agreement.results if r.recipient != COORDINATOR]),
        ("legal_basis", [basis.party for basis in agreement.legal_basis]),
        ("duties", [duties.rights, duties.breach, duties.quality, duties.notice]),
    ):
        for name in sorted(set(named) - set(ids)):
            yield f"{where}: {name} is no party of this agreement"
    if (agreement.version == 1) != (agreement.supersedes is None):
        yield "supersedes: the digest of the version before, in all versions but the first"
    if agreement.term.valid_until < agreement.term.valid_from:
        yield "term: it ends before it begins"
    if agreement.witnesses.quorum > len(agreement.witnesses.names):
        yield "witnesses: the quorum is larger than their number"


def _placeholders(value: Any, place: tuple[str | int, ...]) -> Iterator[tuple[Any, str]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _placeholders(part, (*place, key))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _placeholders(part, (*place, number))
    elif isinstance(value, str) and PLACEHOLDER in value:
        yield place, value


def _dotted(place: tuple[str | int, ...]) -> str:
    return ".".join(str(part) for part in place) or "as a whole"


def _plain(value: object) -> str:
    # Times are no part of an agreement: what TOML reads as one is refused as a date.
    return value.isoformat() if isinstance(value, date) else str(value)
