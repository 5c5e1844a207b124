"""The agreement of a demonstration: complete and lawful in form, about people who do not exist.

It starts from the draft of process P6, in which links may be told, and says what is not so in
a demonstration: its records are made up, so the risk gate is waived.
"""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, get_args

from linkage.agreement.articles import Institution, Process
from linkage.agreement.decide import GATE_WAIVED
from linkage.agreement.draft import draft
from linkage.agreement.lint import least_quorum
from linkage.agreement.matrix import missing_rows
from linkage.agreement.model import Agreement
from linkage.log.canonical import encode_base64, format_json

_PROCESS: Process = "P6"
_DIGEST = "00" * 32
_TEXT = {"id": "Demonstrasi dengan data sintetis.", "en": "A demonstration on synthetic data."}
_WHO = {"name": "Demonstrasi", "contact": "demo@example.invalid"}


@dataclass(frozen=True)
class DemoKeys:
    """Public halves of a party's keys: raw Ed25519, and ML-KEM-768 with X25519."""

    sign: bytes
    seal: bytes


def demo_agreement(
    agreement_id: str,
    purpose: str,
    log: str,
    domain: str,
    parties: Mapping[str, DemoKeys],
    schema_id: bytes,
    resolved: Mapping[str, Any],
    today: date,
    gate_limit: float = GATE_WAIVED,
    process: Process = _PROCESS,
    results: Sequence[tuple[str, str, str]] | None = None,
    offices: Mapping[str, Sequence[str]] | None = None,
) -> Agreement:
    """Return the agreement of parties of a demonstration.

    Args:
        agreement_id: its id.
        purpose: its purpose code.
        log: origin of the match log.
        domain: trust domain of the principals.
        parties: their keys, by name.
        schema_id: digest of the resolved linkage schema, 32 bytes.
        resolved: the resolved schema.
        today: the first day of the agreement.
        gate_limit: highest rate of persons named that the risk gate may find.
        process: of which the draft is taken.
        results: source, recipient and level of each result; by default links for all.
        offices: names of the offices that may ask for jobs, by party; by default none may.
    """
    fields: dict[str, Any] = tomllib.loads(draft(process))
    first, names = str(today), list(parties)
    if results is None:
        results = [(a, b, "R3") for a in names for b in names if a != b]
    later = str(today + timedelta(days=180))
    elements = {one["name"]: one["element"] for one in resolved["attributes"]}
    # A process must use what this schema may not compare.
    elements |= {row: row for row in missing_rows(process, frozenset(elements.values()))}
    data = [
        {"name": name, "element": element, "data_class": "spesifik"}
        for name, element in elements.items()
    ]
    fields |= {
        "id": agreement_id,
        "log": log,
        "nk": {"number": "NK-DEMO", "signed_on": first},
        "pks": {"number": agreement_id, "signed_on": first},
        "legal_basis": [
            {
                "party": name,
                "direction": direction,
                "basis": "public-task",
                "article": "Demonstrasi / demonstration",
                "policy_sha256": _DIGEST,
            }
            for name in names
            for direction in ("provides", "receives")
        ],
        "parties": [
            {
                "id": name,
                "name": name,
                "institution": name if name in get_args(Institution) else "partner",
                "role": "joint-controller",
                "public_body": True,
                "country": "IDN",
                "principal": f"spiffe://{domain}/party/{name}",
                "sign_keys": [encode_base64(keys.sign)],
                "seal_key": encode_base64(keys.seal),
                "signatory": {"name": "Demonstrasi", "office": "Demonstrasi"},
                "ppdp": _WHO,
                "data": data,
                "offices": list((offices or {}).get(name, ())),
            }
            for name, keys in parties.items()
        ],
        "results": [
            {"source": source, "recipient": recipient, "level": level}
            for source, recipient, level in results
        ],
        "duties": dict.fromkeys(("rights", "breach", "quality", "notice"), names[0]),
        "joint_contact": {**_WHO, "tested_on": first},
        "dpia": {
            "ref": "DPIA-DEMO",
            "sha256": _DIGEST,
            "approved_by": "Demonstrasi",
            "approved_on": first,
            "review_on": later,
            "ppdp_advice": _TEXT,
        },
        "witnesses": {
            "names": names,
            "quorum": max(least_quorum(len(names)), len(names)),
            "replacement_quorum": least_quorum(len(names) - 2) if len(names) > 2 else 0,
        },
    }
    fields["purpose"] |= {"code": purpose}
    fields["scope"]["quota"] = dict.fromkeys(
        ("records_per_run", "records_per_day", "jobs", "jobs_per_day", "lookups_per_day"),
        1_000_000_000,
    )
    rounds = resolved["match"]["rounds"]
    fields["method"] |= {
        "schema_id": schema_id.hex(),
        "scheme": resolved["encoding"]["scheme"],
        "norm_version": str(resolved["versions"]["normaliser"]),
        "candidates": resolved["match"]["candidates"] if rounds == 2 else 0,
        "gate_limit": gate_limit,
    }
    if gate_limit >= GATE_WAIVED or fields["method"]["scheme"] == "clk":
        fields["method"]["waiver"] = {
            "reason": _TEXT,
            "approved_by": "Demonstrasi",
            "expires_on": later,
        }
    fields["decision"] |= {"official": "Demonstrasi"}
    fields["key_custody"] |= {"holders": names}
    fields["term"] |= {"valid_from": first, "valid_until": later}
    fields["retention"] |= {"archive_class": "demo"}
    fields["processor"] |= {"name": "Demonstrasi", "appointment": "demo", "security_level": "demo"}
    fields["incident"] |= {"drill_on": first, "contacts": [_WHO]}
    fields["audit"] |= {"auditors": [f"spiffe://{domain}/auditor/auditor"]}
    fields["notice"] |= {"published_on": first, "place": "demo"}
    return Agreement.model_validate_json(format_json(fields))
