"""The record of processing of an agreement: the elements of PP 33/2026 article 74(2), a to m.

UU 27/2022 article 31 has controllers and processors record all processing; what each element says
stands in the signed agreement, and what was done in the log. The record is complete as far as the
agreement is: an element of which the agreement says nothing says so.

Source: domain study, section 1 (articles 31 and 74); letters in the order of the article.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from linkage.agreement.model import Agreement
from linkage.job import COORDINATOR

_NOTHING = "tidak ada · none"


@dataclass(frozen=True)
class Element:
    """One element of a record of processing.

    Attributes:
        letter: of article 74(2).
        name: what it is, in Indonesian.
        english: the same in English.
        content: lines, in the language of the agreement.
    """

    letter: str
    name: str
    english: str
    content: tuple[str, ...]


def record_of_processing(agreed: Agreement, done: Mapping[str, int]) -> tuple[Element, ...]:
    """Return the thirteen elements of an agreement.

    Args:
        agreed: the agreement.
        done: what the log has of it: number of entries by type, such as `rights.correct`.
    """
    contents = (
        _contacts(agreed),
        (f"{party.id}: {party.ppdp.name}, {party.ppdp.contact}" for party in agreed.parties),
        (f"{one.source} -> {one.recipient} ({one.level})" for one in agreed.results),
        (
            f"{one.party} ({one.direction}): {one.basis}, {one.article}"
            for one in agreed.legal_basis
        ),
        (f"{agreed.purpose.code}: {agreed.purpose.text.id}", agreed.purpose.relation.id),
        (
            f"{party.id}: {data.name} ({data.element}, {data.data_class})"
            for party in agreed.parties
            for data in party.data
        ),
        _subjects(agreed),
        _others(agreed),
        _rights(agreed, done),
        _flow(agreed),
        _retention(agreed, done),
        _measures(agreed),
        _transfer(agreed),
    )
    return tuple(
        Element(letter, name, english, tuple(content) or (_NOTHING,))
        for (letter, name, english), content in zip(_ELEMENTS, contents, strict=True)
    )


_ELEMENTS = (
    ("a", "pengendali dan narahubung", "controllers and contacts"),
    ("b", "pejabat pelindungan data pribadi", "data protection officers"),
    ("c", "sumber dan tujuan data", "source and destination"),
    ("d", "dasar pemrosesan", "legal basis"),
    ("e", "tujuan pemrosesan", "purpose"),
    ("f", "jenis data pribadi", "types of personal data"),
    ("g", "kategori subjek data", "categories of persons"),
    ("h", "pihak lain yang memiliki akses", "other parties with access"),
    ("i", "pemenuhan hak subjek data", "fulfilment of rights"),
    ("j", "peta aliran data", "map of data flows"),
    ("k", "masa retensi", "retention"),
    ("l", "langkah pengamanan", "security measures"),
    ("m", "rincian transfer", "details of transfers"),
)


def _contacts(agreed: Agreement) -> Iterator[str]:
    for party in agreed.parties:
        yield f"{party.id}: {party.name} ({party.role}), {party.signatory.office}"
    contact = agreed.joint_contact
    yield f"narahubung bersama: {contact.name}, {contact.contact}"


def _subjects(agreed: Agreement) -> Iterator[str]:
    yield from agreed.subjects.categories
    if agreed.subjects.children:
        guardian = agreed.subjects.guardian
        yield f"termasuk anak: {guardian.id if guardian else _NOTHING}"
    yield agreed.scope.population.id


def _others(agreed: Agreement) -> Iterator[str]:
    processor = agreed.processor
    yield f"prosesor: {processor.name} ({processor.country}), {processor.appointment}"
    for one in processor.sub_processors:
        yield f"sub-prosesor: {one.name} ({one.country}), {one.approval}"
    for party in agreed.parties:
        if party.offices:
            yield f"kantor {party.id} yang boleh meminta: {', '.join(party.offices)}"
    for auditor in agreed.audit.auditors:
        yield f"auditor (catatan saja): {auditor}"
    if any(one.recipient == COORDINATOR for one in agreed.results):
        yield "koordinator: angka gabungan saja (R0)"


def _rights(agreed: Agreement, done: Mapping[str, int]) -> Iterator[str]:
    yield f"{agreed.duties.rights}, dalam {agreed.rights.hours} jam: {agreed.rights.channel.id}"
    for kind, count in sorted(done.items()):
        if kind.startswith("rights."):
            yield f"{kind}: {count} entri"


def _flow(agreed: Agreement) -> Iterator[str]:
    for party in agreed.parties:
        if party.data:
            names = ", ".join(data.name for data in party.data)
            yield f"{party.id} -> {agreed.processor.id}: kode dari {names}"
    for one in agreed.results:
        yield f"{agreed.processor.id} -> {one.recipient}: {one.level} atas data {one.source}"


def _retention(agreed: Agreement, done: Mapping[str, int]) -> Iterator[str]:
    kept = agreed.retention
    yield f"artefak {kept.artefact_days} hari, hasil {kept.result_days} hari"
    yield f"keputusan: JRA {kept.archive_class}, {kept.archive_years} tahun"
    if count := done.get("destruction"):
        yield f"berita acara pemusnahan: {count} entri"


def _measures(agreed: Agreement) -> Iterator[str]:
    method = agreed.method
    yield f"{method.scheme}, skema {method.schema_id}, batas uji risiko {method.gate_limit}"
    holders, days = ", ".join(agreed.key_custody.holders), agreed.key_custody.rotation_days
    yield f"kunci dipegang {holders}, diganti tiap {days} hari"
    yield f"tingkat pengamanan prosesor: {agreed.processor.security_level}"
    yield f"DPIA {agreed.dpia.ref}, ditinjau {agreed.dpia.review_on}"
    yield f"catatan disaksikan {agreed.witnesses.quorum} dari {len(agreed.witnesses.names)}"


def _transfer(agreed: Agreement) -> Iterator[str]:
    route = agreed.transfer.route
    yield agreed.transfer.rule + (f": {route.id}" if route else "")
