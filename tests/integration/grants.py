"""Grants of lookups for tests: signed by both parties, in the log, and cosigned."""

import os
from datetime import UTC, datetime, timedelta
from typing import Any

from in_process import Service

from keys.dsse import Envelope, sign
from linkage.agreement.payload import GrantRevocation, LookupGrant
from linkage.cli.demo_site import DOMAIN


def grant(service: Service, caller: str = "imigrasi", **own: Any) -> LookupGrant:
    """Leave for a party, or an office as `office/x/y`, for the hours around now."""
    path = caller if "/" in caller else f"party/{caller}"
    agreement = service.site.agreement
    now = datetime.fromtimestamp(int(datetime.now(UTC).timestamp() + service.now), UTC)
    fields = {
        "log": agreement.log,
        "agreement": agreement.id,
        "digest": agreement.digest(),
        "grant": os.urandom(16).hex(),
        "caller": f"spiffe://{DOMAIN}/{path}",
        "register_of": "dukcapil",
        "purpose": agreement.purpose.code,
        "number": 1_000,
        "per_minute": 1_000,
        "valid_from": now - timedelta(hours=1),
        "valid_until": now + timedelta(hours=8),
    }
    return LookupGrant(**{**fields, **own})


def signed(service: Service, wanted: LookupGrant | GrantRevocation, *parties: str) -> Envelope:
    """The document, signed by some parties; a grant by its two if none are named."""
    if isinstance(wanted, LookupGrant) and not parties:
        parties = (wanted.register_of, wanted.caller.split("/")[4])
    signers = [service.site.signers[party] for party in parties]
    return sign(wanted.TYPE, wanted.to_bytes(), signers)


def give(service: Service, wanted: LookupGrant) -> int:
    """Bring a grant into the log of a matcher that runs, and have all parties cosign it."""
    with service.client("dukcapil") as client:
        leaf = client.submit_document(signed(service, wanted).to_bytes())
    for _ in range(2):  # a minute may be logged while the first parties do
        cosign(service)
    return leaf


def end(service: Service, wanted: LookupGrant, by: str = "dukcapil") -> int:
    revocation = GrantRevocation(
        log=wanted.log, agreement=wanted.agreement, grant=wanted.grant, reason="test"
    )
    with service.client(by) as client:
        return client.submit_document(signed(service, revocation, by).to_bytes())


def cosign(service: Service, *parties: str) -> None:
    """Let parties cosign the log, all if none are named."""
    for party in parties or service.site.parties:
        with service.client(party) as client:
            service.session(party).witness.cosign_all(client)
