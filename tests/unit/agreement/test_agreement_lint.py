"""The agreement matrix, first half: every article made wrong gives its named finding."""

from datetime import date
from typing import Any

import pytest
from agreement_world import START, agreement, changed, public

from linkage.agreement.articles import LEVELS, Process
from linkage.agreement.finding import FINDINGS, Finding
from linkage.agreement.lint import least_quorum, lint, lint_schema
from linkage.agreement.matrix import (
    HIGHEST,
    PROCESS_NAMES,
    PROCESSES,
    class_of,
    highest_level,
    missing_rows,
    need,
)
from linkage.agreement.model import Agreement
from linkage.encode.encoder import resolve_schema, schema_id
from linkage.schema import parse_schema
from linkage.types import ATTRIBUTE_TYPES

TODAY = START.date()


def codes(document: Agreement, today: date = TODAY) -> set[str]:
    return {finding.code for finding in lint(document, today)}


def data(name: str, element: str, data_class: str = "spesifik") -> dict[str, str]:
    return {"name": name, "element": element, "data_class": data_class}


FULL = [data(n, e) for n, e in (("nik", "nik"), ("nama", "nama"), ("tgl_lahir", "kelahiran"))]
WAIVER = {
    "reason": {"id": "uji coba", "en": "a trial"}, "approved_by": "Menteri",
    "expires_on": "2027-06-30",
}  # fmt: skip
EXEMPTION = {
    "article": "Ps. 15", "law": "UU 17/2011", "balancing_sha256": "ab" * 32, "letter": "S-1",
    "expires_on": "2027-02-28",
}  # fmt: skip

WRONG: list[tuple[Process, str, Any, str]] = [
    ("P1", "nk", None, "NK_MISSING"),
    ("P2", "parties.0.role", "recipient", ""),
    ("P1", "legal_basis", [], "BASIS_MISSING"),
    ("P1", "legal_basis.0.basis", "legitimate-interest", "BASIS_NOT_PUBLIC"),
    ("P1", "parties.1.data", [], "DATA_MISSING"),
    ("P1", "parties.0.data", [*FULL, data("agama", "lain")], "ATTRIBUTE_REFUSED"),
    ("P1", "parties.0.data", [*FULL, data("sidik_jari", "biometrik")], "ATTRIBUTE_REFUSED"),
    ("P1", "parties.0.data", [*FULL, data("alamat", "alamat")], "ATTRIBUTE_NOT_NEEDED"),
    ("P1", "parties.0.data", [*FULL, data("akta", "no_akta")], "ATTRIBUTE_NOT_NEEDED"),
    ("P1", "parties.0.data", [*FULL, data("kode", "lain")], "ATTRIBUTE_NOT_NEEDED"),
    ("P4", "parties.0.data", [data("kk", "no_kk")], "ATTRIBUTE_NOT_NEEDED"),
    ("P1", "parties.0.data", [data("nama", "nama", "umum")], "CLASS_TOO_LOW"),
    ("P2", "parties.0.data", [data("paspor", "no_paspor", "umum")], "CLASS_TOO_LOW"),
    ("P1", "method.scheme", "clk", "WAIVER_MISSING"),
    ("P1", "method.gate_limit", 1.0, "WAIVER_MISSING"),
    ("P1", "method.waiver", {**WAIVER, "expires_on": "2027-02-28"}, "WAIVER_EXPIRED"),
    ("P1", "results", [], "RESULTS_MISSING"),
    ("P1", "results.0.level", "R4", "LEVEL_NOT_SUPPORTED"),
    ("P1", "results.0.level", "R3", "LEVEL_TOO_HIGH"),
    ("P4", "results.0.level", "R2", "LEVEL_TOO_HIGH"),
    ("P1", "results.0.recipient", "coordinator", "LEVEL_TOO_HIGH"),
    ("P3", "results.0.recipient", "kemenlu", "LEVEL_TOO_HIGH"),
    ("P2", "parties.1.institution", "bin", "LEVEL_TOO_HIGH"),
    ("P1", "results.0.recipient", "dukcapil", "RESULT_TO_ITSELF"),
    ("P3", "subjects.children", False, "CHILDREN_EXPECTED"),
    ("P1", "subjects.guardian", None, "GUARDIAN_MISSING"),
    ("P1", "scope.quota.jobs", 0, "QUOTA_CONTRADICTS"),
    ("P1", "scope.quota.jobs_per_day", 9_999, "QUOTA_CONTRADICTS"),
    ("P1", "scope.quota.records_per_run", 999_999, "QUOTA_CONTRADICTS"),
    ("P1", "scope.quota.records_per_run", 0, "QUOTA_CONTRADICTS"),
    ("P1", "dpia.review_on", "2027-02-28", "DPIA_REVIEW_DUE"),
    ("P1", "dpia.approved_on", "2027-01-02", "DPIA_TOO_LATE"),
    ("P1", "notice.published_on", "2027-01-02", "NOTICE_TOO_LATE"),
    ("P1", "term.valid_until", "2027-02-28", "TERM_OVER"),
    ("P1", "exemptions", [EXEMPTION], "EXEMPTION_EXPIRED"),
    ("P1", "retention.artefact_days", 91, "RETENTION_LONG"),
    ("P1", "key_custody.holders", ["imigrasi", "dukcapil", "matcher"], "KEY_AT_PROCESSOR"),
    ("P1", "processor.id", "dukcapil", "KEY_AT_PROCESSOR"),
    ("P1", "parties.1.role", "processor", "KEY_AT_PROCESSOR"),
    ("P1", "key_custody.holders", ["imigrasi"], "KEY_HOLDERS_MISSING"),
    ("P1", "key_custody.rotation_days", 400, "KEY_TOO_OLD"),
    ("P1", "processor.country", "SGP", "HOSTED_ABROAD"),
    (
        "P1",
        "processor.sub_processors",
        [{"name": "Awan", "country": "SGP", "approval": "S-1"}],
        "HOSTED_ABROAD",
    ),
    ("P1", "transfer.rule", "article-56", "ROUTE_MISSING"),
    ("P1", "parties.0.country", "MYS", "FOREIGN_PARTY"),
    ("P6", "parties.2.institution", "bin", "PARTY_KEPT_OUT"),
    ("P1", "rights.hours", 73, "TOO_SLOW"),
    ("P1", "incident.notify_hours", 73, "TOO_SLOW"),
    ("P1", "incident.processor_hours", 25, "TOO_SLOW"),
    ("P1", "joint_contact.tested_on", "2026-02-01", "NOT_TESTED"),
    ("P1", "incident.drill_on", "2027-03-02", "NOT_TESTED"),
    ("P4", "decision.two_officers", False, "ONE_OFFICER"),
    ("P1", "audit.months", 13, "AUDIT_TOO_RARE"),
    ("P1", "witnesses.names", ["imigrasi", "bpk"], "WITNESS_MISSING"),
    ("P3", "witnesses.quorum", 3, "WITNESS_QUORUM_WEAK"),
    ("P1", "witnesses.replacement_quorum", 1, "REPLACEMENT_QUORUM"),
    ("P1", "witnesses.names", ["imigrasi", "dukcapil", "bpk"], "REPLACEMENT_QUORUM"),
    ("P2", "witnesses.replacement_quorum", 0, ""),
    ("P2", "witnesses.replacement_quorum", 2, "REPLACEMENT_QUORUM"),
    ("P3", "witnesses.replacement_quorum", 1, "REPLACEMENT_QUORUM"),
    ("P7", "parties.0.sign_keys", [public("x")], "ORDER_NOT_COSIGNED"),
]


@pytest.mark.parametrize("process", PROCESSES)
def test_the_filled_draft_of_a_process_has_no_findings(process: Process) -> None:
    assert lint(agreement(process), TODAY) == []


@pytest.mark.parametrize(("process", "path", "value", "code"), WRONG)
def test_an_article_made_wrong_gives_its_finding(
    process: Process, path: str, value: Any, code: str
) -> None:
    found = codes(changed(agreement(process), path, value))
    assert code in found if code else not found


def test_findings_that_need_several_fields() -> None:
    p1 = agreement("P1")
    alone = agreement("P7").to_json()
    alone["purpose"]["process"] = "P1"
    assert "PARTIES_TOO_FEW" in codes(agreement("P7", purpose=alone["purpose"]))
    assert "ORDER_OF_MANY" in codes(changed(p1, "purpose.process", "P7"))
    recipients = [{**p, "role": "recipient"} for p in p1.to_json()["parties"]]
    assert "CONTROLLER_MISSING" in codes(agreement(parties=recipients))
    assert "ATTRIBUTE_MISSING" in codes(
        agreement(parties=[{**p, "data": [data("nik", "nik")]} for p in p1.to_json()["parties"]])
    )
    foreign = changed(changed(agreement("P6"), "parties.0.country", "MYS"), "transfer", {
        "rule": "article-56", "route": {"id": "jalur", "en": "route"},
    })  # fmt: skip
    assert "FOREIGN_PARTY" in codes(foreign)
    text = {"id": "x" * 2_000, "en": "y" * 2_000}
    long = agreement(
        incident={
            **p1.to_json()["incident"],
            "contacts": [{"name": "n" * 200, "contact": "c" * 200}] * 16,
        },
        notice={**p1.to_json()["notice"], "text": text},
        title=text,
        exemptions=[{**EXEMPTION, "law": "l" * 200, "letter": "t" * 200}] * 16,
        subjects={**p1.to_json()["subjects"], "guardian": text, "categories": ["k" * 200] * 20},
        scope={**p1.to_json()["scope"], "population": text},
        rights={"hours": 72, "channel": text},
        dpia={**p1.to_json()["dpia"], "ppdp_advice": text},
        term={**p1.to_json()["term"], "renewal": text},
    )
    assert "TOO_LARGE" in codes(long)


def test_an_accepted_risk_is_no_finding_while_it_lasts() -> None:
    clk = changed(changed(agreement(), "method.scheme", "clk"), "method.waiver", WAIVER)
    assert codes(changed(clk, "method.gate_limit", 1.0)) == set()


def test_warnings_do_not_refuse() -> None:
    found = lint(changed(agreement(), "retention.artefact_days", 91), TODAY)
    assert [finding.refuses for finding in found] == [False]


def test_every_finding_is_reached_and_says_what_to_do_in_both_languages() -> None:
    tried = {code for *_, code in WRONG} | {
        "PARTIES_TOO_FEW", "ORDER_OF_MANY", "CONTROLLER_MISSING", "ATTRIBUTE_MISSING", "TOO_LARGE",
        "SCHEMA_OTHER",
    }  # fmt: skip
    assert tried - {""} == FINDINGS
    for code in FINDINGS:
        finding = Finding(code, "dpia")
        texts = {finding.text("en"), finding.text("id")}
        assert len(texts) == 2
        assert all(text.startswith("dpia: ") and text.count(":") >= 2 for text in texts)


@pytest.mark.parametrize(
    ("n", "quorum"),
    [(2, 2), (3, 3), (4, 3), (5, 4), (6, 5), (7, 5), (8, 6), (9, 7), (10, 7)],
)
def test_the_quorum_lets_two_of_them_share_an_honest_witness(n: int, quorum: int) -> None:
    # The list of Sigsum (2023); the reason: 2 quorum - n > number that may be dishonest.
    assert least_quorum(n) == quorum
    assert 2 * quorum - n > n - quorum


def test_the_matrix_has_a_row_for_every_element_but_other_things() -> None:
    elements = {entry.element for entry in ATTRIBUTE_TYPES.values()} - {"lain"}
    for element in elements:
        assert any(need(process, element) != "not" for process in PROCESSES)
    assert all(need(process, "lain") == "not" for process in PROCESSES)
    assert class_of("nik") == "spesifik"
    assert class_of("nama") == "umum"


def test_rows_of_the_matrix() -> None:
    # domain facts: address in P6 and P7 only; NIK must be there in P1, P4, P7.
    assert [p for p in PROCESSES if need(p, "alamat") != "not"] == ["P6", "P7"]
    assert [p for p in PROCESSES if need(p, "nik") == "must"] == ["P1", "P4", "P7"]
    assert missing_rows("P3", frozenset({"nama", "kelahiran", "no_akta"})) == (
        "no_paspor", "nama_orang_tua", "kewarganegaraan",
    )  # fmt: skip
    assert missing_rows("P1", frozenset({"nik", "nama", "kelahiran"})) == ()


def test_levels_that_a_process_allows() -> None:
    for process in PROCESSES:
        assert highest_level(process, "dukcapil", "ahu") == HIGHEST[process]
        assert highest_level(process, "dukcapil", None) == "R0"
        assert highest_level(process, "bin", "ahu") == "R1"
        assert "R4" not in HIGHEST.values()
    assert highest_level("P3", "ahu", "kemenlu") == "R2"
    assert set(PROCESS_NAMES) == set(PROCESSES) == set(HIGHEST)
    assert LEVELS == ("R0", "R1", "R2", "R3", "R4")


def test_an_agreement_is_compared_with_the_schema_that_it_names() -> None:
    schema = parse_schema(
        'name = "p1"\nattributes = [{name="nama", type="name"}, {name="tgl_lahir", type="date"},'
        '{name="tempat_lahir", type="place"}, {name="jenis_kelamin", type="sex"},'
        '{name="nama_ibu", type="mother_name"}]\n[exact]\nnames = ["nik"]\n'
    )
    resolved, digest = resolve_schema(schema), schema_id(schema)
    document = changed(agreement(), "method.schema_id", digest.hex())
    document = changed(document, "method.norm_version", str(resolved["versions"]["normaliser"]))
    assert lint_schema(document, digest, resolved) == []
    for path, value in (
        ("method.schema_id", "00" * 32),
        ("method.scheme", "diffused"),
        ("method.norm_version", "0"),
        ("method.candidates", 9),
        ("parties.0.data.0.name", "nomor"),
        ("parties.0.data.1.element", "kelahiran"),
    ):
        found = lint_schema(changed(document, path, value), digest, resolved)
        assert {finding.code for finding in found} == {"SCHEMA_OTHER"}, path
    dropped = [{**p, "data": p["data"][:3]} for p in document.to_json()["parties"]]
    short = changed(document, "parties", dropped)
    assert lint_schema(short, digest, resolved)
