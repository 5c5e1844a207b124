"""Grants of lookups: one part of the log's state.

A grant is a document in a confidential leaf: who looks whom up is told to nobody else. The party
whose register it is signs it, and the party that looks up, or whose office does, for its quota
of the day is used. Either of them ends it.
"""

from dataclasses import replace
from datetime import datetime

from keys.dsse import Envelope
from linkage.agreement.decision import Flow, Request
from linkage.agreement.payload import GrantRevocation, LookupGrant, envelope_of, parse_payload
from linkage.agreement.principals import Principals
from linkage.agreement.refusal import Refused
from linkage.agreement.standing import Agreements, Standing, party_signers
from linkage.agreement.usage import Grant, Usage
from linkage.agreement.values import path_of, role_in
from linkage.log.canonical import JsonObject
from linkage.log.entry import Entry


def with_grant(
    usage: Usage,
    log: str,
    index: int,
    entry: Entry,
    body: JsonObject,
    agreements: Agreements,
    principals: Principals,
) -> Usage:
    """Return the counts with one grant more, or one ended.

    Args:
        usage: the counts before.
        log: origin of the log.
        index: the leaf that has the document.
        entry: the leaf itself.
        body: what it committed to, which the caller has checked.
        agreements: what is agreed.
        principals: who is enrolled.

    Raises:
        MalformedMessageError: the body holds no such document.
        Refused: it does not count.
    """
    envelope = envelope_of(body)
    wanted = grant_in(envelope)
    if wanted.log != log:
        raise Refused("OTHER_LOG")
    if wanted.agreement != entry.agreement:
        raise Refused("OTHER_AGREEMENT")
    standing = agreements.get(wanted.agreement)
    if standing is None or standing.terminated is not None:
        raise Refused("NOT_IN_FORCE")
    if isinstance(wanted, LookupGrant):
        grant = _granted(usage, index, entry.time, wanted, envelope, standing, principals)
        return usage.granted(grant)
    revoked = _revoked(usage, index, entry.time, wanted, envelope, standing, principals)
    return replace(usage, grants={**usage.grants, revoked.id: revoked})


def grant_in(envelope: Envelope) -> LookupGrant | GrantRevocation:
    """Return the grant or revocation in an envelope; its signatures are not checked here.

    Raises:
        MalformedMessageError: it holds neither.
    """
    if envelope.payload_type == GrantRevocation.TYPE:
        return parse_payload(GrantRevocation, envelope)
    return parse_payload(LookupGrant, envelope)


def asked_for(wanted: LookupGrant, standing: Standing | None, time: datetime) -> Request:
    """Return what a grant asks for, as `decide` takes it.

    Args:
        wanted: the grant.
        standing: the agreement that it names, if there is one.
        time: now.
    """
    party = role_in(wanted.caller)[1]
    listed = standing.agreement.by_id.get(party) if standing else None
    return Request(
        action="lookup_grant",
        actor=wanted.caller,
        key="",
        time=time,
        agreement=wanted.agreement,
        digest=wanted.digest,
        epoch=0,
        schema_id=standing.agreement.method.schema_id if standing else "",
        purpose=wanted.purpose,
        parties=(party, wanted.register_of),
        attributes=tuple((one.name, one.element) for one in (listed.data if listed else ())),
        flows=(Flow(wanted.register_of, party, "R1"),),
        n_lookups=wanted.number,
        window=(wanted.valid_from, wanted.valid_until),
    )


def _granted(
    usage: Usage,
    index: int,
    time: datetime,
    wanted: LookupGrant,
    envelope: Envelope,
    standing: Standing,
    principals: Principals,
) -> Grant:
    if wanted.digest != standing.version.digest:
        raise Refused("NOT_IN_FORCE")
    if wanted.grant in usage.grants:
        raise Refused("REPLAYED")
    caller = principals.get(wanted.caller)
    if caller is None or caller.revoked is not None or caller.role not in ("party", "office"):
        raise Refused("NO_SUCH_PRINCIPAL")
    both = (caller.party, wanted.register_of)
    if len(set(both)) < len(both) or not standing.agreement.by_id.keys() >= set(both):
        raise Refused("NO_SUCH_PARTY")
    needed = {standing.agreement.by_id[party].principal for party in both}
    if not party_signers(standing.agreement, envelope, principals, time) >= needed:
        raise Refused("NOT_SIGNED")
    return Grant(
        id=wanted.grant,
        agreement=wanted.agreement,
        caller=path_of(wanted.caller),
        register=wanted.register_of,
        number=wanted.number,
        per_minute=wanted.per_minute,
        valid_from=wanted.valid_from,
        valid_until=wanted.valid_until,
        leaf=index,
        on_probing=wanted.on_probing,
    )


def _revoked(
    usage: Usage,
    index: int,
    time: datetime,
    wanted: GrantRevocation,
    envelope: Envelope,
    standing: Standing,
    principals: Principals,
) -> Grant:
    grant = usage.grants.get(wanted.grant)
    if grant is None or grant.agreement != wanted.agreement:
        raise Refused("NO_SUCH_GRANT")
    if grant.revoked is not None:
        raise Refused("NO_CHANGE")
    both = {grant.register, grant.caller.split("/")[1]}
    listed = (standing.agreement.by_id.get(party) for party in both)
    signers = party_signers(standing.agreement, envelope, principals, time)
    if not any(party.principal in signers for party in listed if party is not None):
        raise Refused("NOT_SIGNED")
    return replace(grant, revoked=index)
