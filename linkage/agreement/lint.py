"""What the law and the design do not let stand in an agreement.

A draft that reads well can still be unlawful or weak. Each function looks at one article and
yields findings. Whoever signs and whoever admits documents to the log run it; the state of the
log does not, for it must stay the same when a rule here is added.

Source: UU 27/2022 and PP 33/2026, as in `docs/agreements.md`; the quorum: Sigsum, on dishonest
witnesses (2023).
"""

from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import Any

from linkage.agreement.articles import LEVELS
from linkage.agreement.envelope import leaf_bytes
from linkage.agreement.finding import Finding
from linkage.agreement.matrix import class_of, highest_level, missing_rows, need, takes_part
from linkage.agreement.model import Agreement
from linkage.deadlines import RIGHTS_HOURS
from linkage.log.tiles import MAX_ENTRY_BYTES
from linkage.types import refused_word_in

HOME = "IDN"
_YEAR = timedelta(days=366)
_PROCESSOR_HOURS = 24
_LONG_RETENTION_DAYS, _LONGEST_KEY_DAYS, _LONGEST_AUDIT_MONTHS = 90, 366, 12


def lint(agreement: Agreement, today: date) -> list[Finding]:
    """Return all findings, article by article.

    Args:
        agreement: what is to be signed.
        today: the day in western Indonesia.
    """
    return [
        *_identity(agreement),
        *_parties(agreement),
        *_bases(agreement),
        *_data(agreement),
        *_method(agreement, today),
        *_results(agreement),
        *_persons(agreement),
        *_assessment(agreement, today),
        *_keeping(agreement),
        *_answering(agreement, today),
        *_witnesses(agreement),
    ]


def lint_schema(
    agreement: Agreement, schema_id: bytes, resolved: Mapping[str, Any]
) -> list[Finding]:
    """Return where an agreement differs from the linkage schema that it names.

    Args:
        agreement: what is to be signed.
        schema_id: digest of the resolved schema, 32 bytes.
        resolved: the resolved schema.
    """
    method = agreement.method
    found = [
        ("method.schema_id", method.schema_id == schema_id.hex()),
        ("method.scheme", method.scheme == resolved["encoding"]["scheme"]),
        ("method.norm_version", method.norm_version == str(resolved["versions"]["normaliser"])),
        ("method.candidates", method.candidates >= _candidates(resolved)),
    ]
    attributes = {one["name"]: (one["element"], one["class"]) for one in resolved["attributes"]}
    agreed = {data.name for party in agreement.parties for data in party.data}
    found += [(f"parties.data: {name}", name in agreed) for name in attributes]
    found += [
        (
            f"parties.data: {party.id}: {data.name}",
            attributes.get(data.name, ("", ""))[0] == data.element,
        )
        for party in agreement.parties
        for data in party.data
    ]
    return [Finding("SCHEMA_OTHER", where) for where, same in found if not same]


def least_quorum(n_witnesses: int) -> int:
    """Return the smallest quorum with which two of them share an honest witness."""
    return 1 + 2 * n_witnesses // 3


def _identity(agreement: Agreement) -> Iterator[Finding]:
    if leaf_bytes(agreement) > MAX_ENTRY_BYTES:
        yield Finding("TOO_LARGE", "agreement")
    with_dukcapil = any(party.institution == "dukcapil" for party in agreement.parties)
    if agreement.nk is None and with_dukcapil and not agreement.internal:
        yield Finding("NK_MISSING", "nk")


def _parties(agreement: Agreement) -> Iterator[Finding]:
    process, transfer = agreement.purpose.process, agreement.transfer
    if agreement.internal and len(agreement.parties) > 1:
        yield Finding("ORDER_OF_MANY", "parties")
    if agreement.internal and any(len(party.sign_keys) < 2 for party in agreement.parties):
        yield Finding("ORDER_NOT_COSIGNED", "parties.sign_keys")
    if not agreement.internal and len(agreement.parties) < 2:
        yield Finding("PARTIES_TOO_FEW", "parties")
    if not any(party.role in ("controller", "joint-controller") for party in agreement.parties):
        yield Finding("CONTROLLER_MISSING", "parties.role")
    for party in agreement.parties:
        if not takes_part(process, party.institution):
            yield Finding("PARTY_KEPT_OUT", f"parties: {party.id}")
        routed = transfer.rule == "article-56" and process != "P6"
        if party.country != HOME and not routed:
            yield Finding("FOREIGN_PARTY", f"parties: {party.id}")


def _bases(agreement: Agreement) -> Iterator[Finding]:
    stated = {(basis.party, basis.direction) for basis in agreement.legal_basis}
    for party, direction in sorted(agreement.directions() - stated):
        yield Finding("BASIS_MISSING", f"legal_basis: {party} {direction}")
    for basis in agreement.legal_basis:
        public = agreement.by_id[basis.party].public_body
        if public and basis.basis == "legitimate-interest":
            yield Finding("BASIS_NOT_PUBLIC", f"legal_basis: {basis.party} {basis.direction}")


def _data(agreement: Agreement) -> Iterator[Finding]:
    process, children = agreement.purpose.process, agreement.subjects.children
    for source in sorted({result.source for result in agreement.results}):
        if not agreement.by_id[source].data:
            yield Finding("DATA_MISSING", f"parties.data: {source}")
    for party in agreement.parties:
        for data in party.data:
            where = f"parties.data: {party.id}: {data.name} ({data.element})"
            if refused_word_in(data.name) or refused_word_in(data.element):
                yield Finding("ATTRIBUTE_REFUSED", where)
            elif need(process, data.element) == "not":
                yield Finding("ATTRIBUTE_NOT_NEEDED", where)
            elif data.data_class == "umum" and (children or class_of(data.element) == "spesifik"):
                yield Finding("CLASS_TOO_LOW", where)
    elements = frozenset(data.element for party in agreement.parties for data in party.data)
    for element in missing_rows(process, elements):
        yield Finding("ATTRIBUTE_MISSING", f"parties.data: {element}")


def _method(agreement: Agreement, today: date) -> Iterator[Finding]:
    method = agreement.method
    if method.waiver is None and (method.scheme == "clk" or method.gate_limit >= 1):
        yield Finding("WAIVER_MISSING", "method.waiver")
    if method.waiver is not None and method.waiver.expires_on < today:
        yield Finding("WAIVER_EXPIRED", "method.waiver")


def _results(agreement: Agreement) -> Iterator[Finding]:
    if not agreement.results and not agreement.internal:
        yield Finding("RESULTS_MISSING", "results")
    for result in agreement.results:
        where = f"results: {result.source} -> {result.recipient}"
        source = agreement.by_id[result.source].institution
        recipient = agreement.by_id.get(result.recipient)
        highest = highest_level(
            agreement.purpose.process, source, recipient.institution if recipient else None
        )
        if result.level == "R4":
            yield Finding("LEVEL_NOT_SUPPORTED", where)
        elif LEVELS.index(result.level) > LEVELS.index(highest):
            yield Finding("LEVEL_TOO_HIGH", where)
        if result.source == result.recipient and not agreement.internal:
            yield Finding("RESULT_TO_ITSELF", where)


def _persons(agreement: Agreement) -> Iterator[Finding]:
    subjects, quota = agreement.subjects, agreement.scope.quota
    if agreement.purpose.process == "P3" and not subjects.children:
        yield Finding("CHILDREN_EXPECTED", "subjects.children")
    if subjects.children and subjects.guardian is None:
        yield Finding("GUARDIAN_MISSING", "subjects.guardian")
    idle = not quota.jobs and not quota.lookups_per_day
    if (
        idle
        or quota.records_per_run > quota.records_per_day
        or quota.jobs_per_day > quota.jobs
        or bool(quota.jobs) != bool(quota.records_per_run and quota.jobs_per_day)
    ):
        yield Finding("QUOTA_CONTRADICTS", "scope.quota")


def _assessment(agreement: Agreement, today: date) -> Iterator[Finding]:
    term, dpia = agreement.term, agreement.dpia
    if dpia.review_on < today:
        yield Finding("DPIA_REVIEW_DUE", "dpia.review_on")
    if dpia.approved_on > term.valid_from:
        yield Finding("DPIA_TOO_LATE", "dpia.approved_on")
    if agreement.notice.published_on > term.valid_from:
        yield Finding("NOTICE_TOO_LATE", "notice.published_on")
    if term.valid_until < today:
        yield Finding("TERM_OVER", "term.valid_until")
    for number, exemption in enumerate(agreement.exemptions):
        if exemption.expires_on < today:
            yield Finding("EXEMPTION_EXPIRED", f"exemptions.{number}")


def _keeping(agreement: Agreement) -> Iterator[Finding]:
    custody, processor, transfer = agreement.key_custody, agreement.processor, agreement.transfer
    if agreement.retention.artefact_days > _LONG_RETENTION_DAYS:
        yield Finding("RETENTION_LONG", "retention.artefact_days")
    makers = {party.id for party in agreement.parties if party.role != "processor"}
    for holder in sorted(set(custody.holders) - (makers - {processor.id})):
        yield Finding("KEY_AT_PROCESSOR", f"key_custody.holders: {holder}")
    for party in sorted(makers - set(custody.holders)):
        yield Finding("KEY_HOLDERS_MISSING", f"key_custody.holders: {party}")
    if custody.rotation_days > _LONGEST_KEY_DAYS:
        yield Finding("KEY_TOO_OLD", "key_custody.rotation_days")
    places = [("processor.country", processor.country)]
    places += [(f"processor.sub_processors: {s.name}", s.country) for s in processor.sub_processors]
    for where, country in places:
        if country != HOME:
            yield Finding("HOSTED_ABROAD", where)
    if transfer.rule == "article-56" and transfer.route is None:
        yield Finding("ROUTE_MISSING", "transfer.route")


def _answering(agreement: Agreement, today: date) -> Iterator[Finding]:
    incident = agreement.incident
    for where, hours, most in (
        ("rights.hours", agreement.rights.hours, RIGHTS_HOURS),
        ("incident.notify_hours", incident.notify_hours, RIGHTS_HOURS),
        ("incident.processor_hours", incident.processor_hours, _PROCESSOR_HOURS),
    ):
        if hours > most:
            yield Finding("TOO_SLOW", where)
    for where, day in (
        ("joint_contact.tested_on", agreement.joint_contact.tested_on),
        ("incident.drill_on", incident.drill_on),
    ):
        if not today - _YEAR <= day <= today:
            yield Finding("NOT_TESTED", where)
    if agreement.purpose.process == "P4" and not agreement.decision.two_officers:
        yield Finding("ONE_OFFICER", "decision.two_officers")
    if agreement.audit.months > _LONGEST_AUDIT_MONTHS:
        yield Finding("AUDIT_TOO_RARE", "audit.months")


def _witnesses(agreement: Agreement) -> Iterator[Finding]:
    names, parties = agreement.witnesses.names, set(agreement.by_id)
    for party in sorted(parties - set(names)):
        yield Finding("WITNESS_MISSING", f"witnesses.names: {party}")
    if agreement.witnesses.quorum < max(least_quorum(len(names)), len(parties)):
        yield Finding("WITNESS_QUORUM_WEAK", "witnesses.quorum")
    # Only who is not in a job stands in for a party of it, and a job has two or more.
    outside = max(len(names) - 2, 0)
    enough = range(min(least_quorum(outside), outside), outside + 1)
    waits = agreement.witnesses.replacement_quorum == 0 and parties.issuperset(names)
    if agreement.witnesses.replacement_quorum not in enough and not waits:
        yield Finding("REPLACEMENT_QUORUM", "witnesses.replacement_quorum")


def _candidates(resolved: Mapping[str, Any]) -> int:
    match = resolved["match"]
    return int(match["candidates"]) if match["rounds"] == 2 else 0
