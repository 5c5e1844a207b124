"""Lookups in the log: what a matcher writes against the rules, or cannot show, is found."""

import hashlib
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "agreement"))
from agreement_world import LOG, START, World, grant_id, signer, tls, usual

from keys.dsse import sign
from linkage.agreement.model import Agreement
from linkage.agreement.request import REQUEST_TYPE, Seen, SignedRequest, request_id
from linkage.audit.lookups import LookupRequest, minute_in, prove_requests
from linkage.audit.replay import replay_decisions
from linkage.audit.verify import Contents
from linkage.errors import MalformedMessageError, VerificationError
from linkage.log.entry import format_entry
from linkage.log.hashing import leaf_hash
from linkage.log.proof import verify_inclusion
from linkage.log.tree import root_of
from linkage.lookup import LOOKUP_METHOD

CALLER, OFFICE = "party/imigrasi", "office/imigrasi/tawau"
G1, G2 = grant_id("g1"), grant_id("g2")


def request(number: int, path: str = CALLER, **own: Any) -> bytes:
    now = int(START.timestamp())
    fields: dict[str, Any] = {
        "aud": LOG, "method": LOOKUP_METHOD, "agreement": "ab" * 32, "epoch": 1,
        "id": request_id(START, number.to_bytes(10, "big")), "iat": now, "exp": now + 60,
        "body": hashlib.sha256(bytes([number])).hexdigest(), "seen": Seen(size=1, root="cd" * 32),
    }  # fmt: skip
    made = SignedRequest(**{**fields, **own})
    return sign(REQUEST_TYPE, made.to_bytes(), [signer(path)]).to_bytes()


def row(world: World, answered: int = 2, **own: Any) -> dict[str, Any]:
    fields = {
        "grant": G1, "caller": CALLER, "register": "dukcapil", "key": tls(CALLER),
        "cosigned": len(world.entries), "answered": answered, "refused": 0, "last": answered,
    }  # fmt: skip
    return {**fields, **own}


def minute(
    world: World, document: Agreement, *rows: dict[str, Any], later: int = 0, **own: Any
) -> dict[str, Any]:
    """Log a minute of lookups, a minute after it began."""
    begin = int(START.timestamp()) + later
    world.now = START + timedelta(seconds=later + 60)
    root = root_of([leaf_hash(request(number)) for number in range(2)]).hex()
    body = {"minute": begin, "counts": list(rows), "answered": 2, "root": root, **own}
    world.add("lookup.minute", body, document.id)
    return body


def findings(world: World) -> list[str]:
    leaves = [leaf_hash(format_entry(entry)) for entry in world.entries]
    return [
        one.text for one in replay_decisions(Contents(world.entries, leaves, world.bodies)).findings
    ]


def test_an_honest_minute_follows_from_the_log() -> None:
    world, document = usual()
    office = {"grant": G2, "caller": OFFICE, "key": tls(OFFICE)}
    minute(world, document, row(world), row(world, 1, **office))
    minute(world, document, row(world, 3, last=5), row(world, 0, refused=9, grant=""), later=60)
    assert findings(world) == []


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "more than the grant": ({"answered": 11, "last": 11}, "GRANT_EXHAUSTED"),
    "a number left out": ({"last": 3}, "numbered up to 3, and 0 were there before"),
    "under no grant": ({"grant": grant_id("g9")}, "GRANT_UNKNOWN"),
    "under another's grant": ({"grant": G2}, "GRANT_UNKNOWN"),
    "in another register": ({"register": "imigrasi"}, "PARTIES_MISMATCH"),
    "with a certificate of nobody": ({"key": tls("nobody")}, "KEY_UNKNOWN"),
    "before all had cosigned": ({"cosigned": 3}, "GRANT_NOT_COSIGNED"),
    "by nobody": ({"caller": "office/imigrasi/nowhere"}, "GRANT_UNKNOWN"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_minute_against_the_rules_is_found(what: str) -> None:
    own, says = WRONG[what]
    world, document = usual()
    minute(world, document, row(world, **{"answered": 2, **own}))
    assert any(says in text for text in findings(world))


def test_what_was_right_in_its_minute_stays_right() -> None:
    world, document = usual()
    counted = row(world)
    world.now = START + timedelta(seconds=30)
    world.end_grant(document, "g1", [CALLER])
    minute(world, document, counted)
    assert findings(world) == []
    minute(world, document, row(world, 1, last=3), later=60)
    assert ["GRANT_REVOKED" in text for text in findings(world)] == [True]


def test_a_minute_of_another_form_is_a_finding() -> None:
    world, document = usual()
    for wrong in ({"counts": 1}, {"counts": [{}]}, {"minute": 1.5}, {"root": "x"}):
        minute(world, document, **{"root": "00", **wrong})
    assert len(findings(world)) == 4
    with pytest.raises(MalformedMessageError):
        minute_in({})


def proved(change: Callable[[list[LookupRequest]], list[LookupRequest]]) -> int:
    world, document = usual()
    body = minute(world, document, row(world))
    handed = [LookupRequest(G1, number + 1, request(number)) for number in range(2)]
    root = root_of([leaf_hash(one.request) for one in change(list(handed))]).hex()
    # A matcher that lies logs the root of what it will show.
    said = minute_in({**body, "root": root})
    proven = prove_requests(world.state, said, change(handed))
    for index, one in enumerate(proven):
        leaf = leaf_hash(one.request.request)
        verify_inclusion(leaf, index, len(proven), one.proof, said.root)
        assert one.caller == CALLER
    return len(proven)


def test_the_requests_of_a_minute_are_proved_one_by_one() -> None:
    assert proved(lambda handed: handed) == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda h: h[:1], "other grants or numbers"),
        (lambda h: [*h, replace(h[1], sequence=3)], "other grants or numbers"),
        (lambda h: [h[0], replace(h[0], sequence=2)], "counted twice"),
        (lambda h: [h[0], replace(h[1], request=request(1, OFFICE))], "not signed by"),
        (lambda h: [h[0], replace(h[1], request=request(1, aud="x.test/log"))], "something else"),
        (lambda h: [h[0], replace(h[1], request=request(1, method="/a/b"))], "something else"),
        (lambda h: [h[0], replace(h[1], request=request(1, iat=9, exp=20))], "another time"),
        (lambda h: [h[0], replace(h[1], request=b"{}")], "is none"),
    ],
)  # fmt: skip
def test_requests_that_nobody_made_are_found(change: Any, says: str) -> None:
    with pytest.raises(VerificationError, match=says):
        proved(change)


def test_requests_of_another_minute_are_found() -> None:
    world, document = usual()
    body = minute(world, document, row(world))
    handed = [LookupRequest(G1, number + 1, request(number + 5)) for number in range(2)]
    with pytest.raises(VerificationError, match="not those of the leaf"):
        prove_requests(world.state, minute_in(body), handed)
