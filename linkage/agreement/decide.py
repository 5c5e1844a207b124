"""Who may do what: one pure function, and all the rules that it applies, in their order.

Every line `yield CODE, condition` is a rule; the first whose condition is false denies, with
its code. What a rule needs and does not find denies too, so nothing is allowed that the log does
not carry. The matcher asks at submit, upload, start and release of a job and for lookups; an
auditor asks again with the state that the log gives, and gets the same answer.

Codes, rule numbers and sentences are in `linkage.agreement.denial`.
"""

from collections.abc import Iterator
from datetime import timedelta
from typing import TypeAlias

from keys.rotation import end_of
from linkage.agreement.articles import LEVELS
from linkage.agreement.decision import Action, Decision, Request
from linkage.agreement.denial import ALLOWED, DENIALS
from linkage.agreement.epochs import custody_of
from linkage.agreement.model import Agreement
from linkage.agreement.principals import Principal
from linkage.agreement.state import State
from linkage.agreement.usage import day_of
from linkage.job import COORDINATOR

LONGEST_GRANT = timedelta(days=1)
GATE_WAIVED = 1.0
# The caller is at the other end of a connection, with a certificate and a copy of the log.
_PRESENT = frozenset[Action]({"submit", "upload", "lookup"})
# Records of the caller's own party are what it is about.
_OWN = frozenset[Action]({"upload", "lookup_grant", "lookup"})
# The caller encodes them, so it needs the linkage key; who cannot upload asks for no job.
_ENCODES = frozenset[Action]({"submit", "upload", "lookup"})
# It is about a job, and not about a lookup.
_OF_JOBS = frozenset[Action]({"submit", "upload", "start", "release"})
# A party of the job takes part in it: for itself, or by the office that asked for it.
_TAKES_PART = frozenset[Action]({"upload", "release"})
# What is handed over goes to the caller.
_RECEIVES = frozenset[Action]({"release", "lookup_grant", "lookup"})

_Rules: TypeAlias = Iterator[tuple[str, bool]]


def decide(state: State, request: Request) -> Decision:
    """Return whether a request is allowed in a state of the log; never raises.

    Args:
        state: what the log says.
        request: who asks for what, and when.
    """
    applied = []
    for code, holds in _rules(state, request):
        rule = DENIALS[code].rule
        if not holds:
            return Decision(False, code, (rule,), _leaves(state, request))
        applied.append(rule)
    return Decision(True, ALLOWED, tuple(applied), _leaves(state, request))


def _rules(state: State, request: Request) -> _Rules:
    caller = state.principals.get(request.actor)
    if caller is None:
        yield "PRINCIPAL_UNKNOWN", False
        return
    yield "PRINCIPAL_UNKNOWN", True
    yield from _who(state, request, caller)
    yield from _seen(state, request)
    standing = state.agreements.get(request.agreement)
    agreement = standing.agreement if standing else _pending(state, request)
    if agreement is None:
        yield "AGREEMENT_UNKNOWN", False
        return
    yield "AGREEMENT_UNKNOWN", True
    yield "NOT_A_PARTY", _is_party(state, agreement, caller)
    if standing is None:
        yield "AGREEMENT_NOT_ACTIVE", False
        return
    yield "AGREEMENT_NOT_ACTIVE", True
    yield "AGREEMENT_TERMINATED", standing.terminated is None
    yield "AGREEMENT_STOPPED", standing.stopped is None
    yield "AGREEMENT_OTHER_VERSION", request.digest == standing.version.digest
    if request.action in _PRESENT:
        yield "SEEN_STALE", request.seen_size > standing.since
    yield from _in_force(request, agreement)
    yield from _what_for(state, request, agreement, caller)
    if request.action != "lookup_grant":  # it is about leave: every lookup needs the key
        yield from _key_of_epoch(state, request, agreement, caller)
    if request.action in ("submit", "upload", "start"):
        yield from _how_much(state, request, agreement, caller)
    # A waived gate need not be shown; one that is shown has to be good.
    if request.action == "upload" and (request.gate or agreement.method.gate_limit < GATE_WAIVED):
        yield from _gate(state, request, agreement, caller)
    if request.action == "lookup_grant":
        yield from _grant(state, request, agreement, caller)
    if request.action == "lookup":
        yield from _lookup(state, request, caller)


def _who(state: State, request: Request, caller: Principal) -> _Rules:
    head = state.principals.of_party(caller.party) if caller.role == "office" else caller
    yield "PRINCIPAL_REVOKED", head is not None and head.revoked is None is caller.revoked
    if request.action == "lookup_grant":  # a document: two parties have signed it
        yield "ROLE_NOT_ALLOWED", caller.role in ("party", "office")
        return
    key = caller.keys.get(request.key)
    if key is None or key.kind != "tls":
        yield "KEY_UNKNOWN", False
        return
    yield "KEY_UNKNOWN", True
    yield "KEY_REVOKED", key.revoked is None
    if request.action in _PRESENT:  # a job goes on when a certificate was renewed in between
        yield "KEY_EXPIRED", key.counts(request.time)
    yield "ROLE_NOT_ALLOWED", caller.role in ("party", "office")


def _seen(state: State, request: Request) -> _Rules:
    if request.action in _PRESENT:
        yield "SEEN_AHEAD", request.seen_size <= state.size
        yield "LOG_FORKED", request.seen_root == request.log_root != ""


def _in_force(request: Request, agreement: Agreement) -> _Rules:
    today, method = day_of(request.time), agreement.method
    yield "AGREEMENT_NOT_YET_VALID", agreement.term.valid_from <= today
    yield "AGREEMENT_EXPIRED", today <= agreement.term.valid_until
    yield "PROCESS_IS_INTERNAL", not agreement.internal
    yield "DPIA_REVIEW_DUE", today <= agreement.dpia.review_on
    yield "NOTICE_NOT_PUBLISHED", agreement.notice.published_on <= today
    yield "EXEMPTION_EXPIRED", all(today <= one.expires_on for one in agreement.exemptions)
    if method.scheme == "clk" or method.gate_limit >= GATE_WAIVED:
        yield "WAIVER_MISSING", method.waiver is not None
        yield "WAIVER_EXPIRED", method.waiver is not None and today <= method.waiver.expires_on


def _what_for(state: State, request: Request, agreement: Agreement, caller: Principal) -> _Rules:
    parties = request.parties
    yield "PURPOSE_MISMATCH", request.purpose == agreement.purpose.code
    known = caller.party in parties and agreement.by_id.keys() >= set(parties)
    yield "PARTIES_MISMATCH", known and len(set(parties)) == len(parties) >= 2
    yield "PARTY_REVOKED", all(_is_live(state, agreement, party) for party in parties)
    yield "SCHEMA_MISMATCH", request.schema_id == agreement.method.schema_id
    # What a party encodes is in its own list; what a job compares, in those of its parties.
    owners = (caller.party,) if request.action in _OWN else parties
    agreed = {(one.name, one.element) for owner in owners for one in agreement.by_id[owner].data}
    yield "ATTRIBUTE_NOT_AGREED", request.attributes != () and agreed.issuperset(request.attributes)
    if request.action != "upload":
        recipients = (caller.party,) if request.action in _RECEIVES else parties
        yield "LEVEL_NOT_SUPPORTED", all(flow.level != "R4" for flow in request.flows)
        flows_agreed = all(
            flow.source in parties
            and flow.recipient in (*recipients, COORDINATOR)
            and _reaches(agreement.level(flow.source, flow.recipient), flow.level)
            for flow in request.flows
        )
        yield "LEVEL_NOT_AGREED", request.flows != () and flows_agreed
    if caller.role == "office" and request.action in _OF_JOBS:
        yield "OFFICE_NOT_AGREED", agreement.by_id[caller.party].lets_ask(caller.office)
    asker = state.principals.get(request.requester)
    if request.action in _TAKES_PART and "office" in (caller.role, asker.role if asker else ""):
        yield "JOB_OF_ANOTHER", asker is not None and _takes_part(caller, asker)


def _key_of_epoch(
    state: State, request: Request, agreement: Agreement, caller: Principal
) -> _Rules:
    epoch = state.epochs.get(request.agreement, request.epoch)
    if epoch is None:
        yield "EPOCH_UNKNOWN", False
        return
    yield "EPOCH_UNKNOWN", True
    yield "EPOCH_ENDED", epoch.ended is None
    if epoch.confirmed_at is None:
        yield "EPOCH_NOT_CONFIRMED", False
        return
    yield "EPOCH_NOT_CONFIRMED", True
    yield "EPOCH_MISMATCH", epoch.is_of(agreement)
    custody, successor = custody_of(agreement), state.epochs.successor(epoch)
    ends = end_of(epoch.confirmed_at, successor, custody.longest, custody.overlap)
    if successor is None or successor >= ends:
        yield "EPOCH_EXPIRED", request.time < ends
    if caller.role == "office" and request.action in _ENCODES:
        yield "EPOCH_NOT_DELEGATED", caller.uri in epoch.delegated
    if successor is not None:  # what was begun may be finished, for a while
        yield "EPOCH_REPLACED", request.action != "submit" and request.time < ends


def _how_much(state: State, request: Request, agreement: Agreement, caller: Principal) -> _Rules:
    quota, today = agreement.scope.quota, day_of(request.time)
    used = state.usage.by_party(agreement.id, caller.party, today)
    by_office = state.usage.on(agreement.id, caller.path, today)
    if request.action == "submit":
        yield "QUOTA_JOBS", state.usage.jobs.get(agreement.id, 0) < quota.jobs
        yield "QUOTA_JOBS_DAY", used.jobs < quota.jobs_per_day
        if caller.quota is not None:
            yield "QUOTA_OFFICE", by_office.jobs < caller.quota.jobs_per_day
    if request.action == "upload":
        yield "TOO_MANY_RECORDS", 0 < request.n_records <= quota.records_per_run
        yield "QUOTA_RECORDS", used.records + request.n_records <= quota.records_per_day
        if caller.quota is not None:
            n_records = by_office.records + request.n_records
            yield "QUOTA_OFFICE", n_records <= caller.quota.records_per_day
    else:
        yield "TOO_MANY_CANDIDATES", 0 <= request.candidates <= agreement.method.candidates


def _gate(state: State, request: Request, agreement: Agreement, caller: Principal) -> _Rules:
    yield "GATE_MISSING", request.gate != ""
    gate = state.usage.gates.get((agreement.id, caller.party, request.gate))
    limit = agreement.method.gate_limit
    if gate is None:
        yield "GATE_UNKNOWN", False
        return
    yield "GATE_UNKNOWN", True
    yield "GATE_OTHER_SCHEMA", gate.schema_id == request.schema_id
    yield "GATE_OTHER_EPOCH", gate.epoch == request.epoch
    yield "GATE_EXPIRED", request.time < gate.valid_until
    yield "GATE_VOID", not gate.void
    yield "GATE_STRUCTURE", not gate.structure or limit >= GATE_WAIVED
    yield "GATE_RATE", gate.rate <= limit


def _grant(state: State, request: Request, agreement: Agreement, caller: Principal) -> _Rules:
    wanted, begin = request.n_lookups, request.window[0] if request.window else request.time
    today = day_of(begin)
    used = state.usage.by_party(agreement.id, caller.party, today).lookups
    yield "QUOTA_LOOKUPS", 0 < wanted <= agreement.scope.quota.lookups_per_day - used
    if caller.quota is not None:
        by_office = state.usage.on(agreement.id, caller.path, today).lookups
        yield "QUOTA_OFFICE", by_office + wanted <= caller.quota.lookups_per_day
    if request.window is None:
        yield "GRANT_WINDOW", False
        return
    end = request.window[1]
    short = max(begin, request.time) < end and end - begin <= LONGEST_GRANT
    yield "GRANT_WINDOW", short and day_of(end) <= agreement.term.valid_until


def _lookup(state: State, request: Request, caller: Principal) -> _Rules:
    grant = state.usage.grants.get(request.grant)
    if grant is None:
        yield "GRANT_UNKNOWN", False
        return
    mine = (grant.agreement, grant.caller) == (request.agreement, caller.path)
    asked = all(flow.source == grant.register for flow in request.flows)
    yield "GRANT_UNKNOWN", mine and asked
    yield "GRANT_REVOKED", grant.revoked is None
    yield "GRANT_NOT_COSIGNED", grant.leaf < request.cosigned
    yield "GRANT_EXPIRED", grant.valid_from <= request.time < grant.valid_until
    yield "GRANT_EXHAUSTED", 0 <= request.n_used < grant.number


def _pending(state: State, request: Request) -> Agreement | None:
    """Return the document that is meant, where not all have signed it yet."""
    version = state.agreements.versions.get(request.digest)
    found = version.agreement if version else None
    return found if found and found.id == request.agreement else None


def _is_party(state: State, agreement: Agreement, caller: Principal) -> bool:
    listed, head = agreement.by_id.get(caller.party), state.principals.of_party(caller.party)
    return (
        caller.role in ("party", "office")
        and listed is not None
        and head is not None
        and listed.principal == head.uri
    )


def _takes_part(caller: Principal, asker: Principal) -> bool:
    """Return whether somebody acts for its party in the job that another, or itself, asked for."""
    return caller.uri == asker.uri if caller.party == asker.party else caller.role == "party"


def _is_live(state: State, agreement: Agreement, party: str) -> bool:
    listed = agreement.by_id.get(party)
    principal = state.principals.get(listed.principal) if listed else None
    return principal is not None and principal.revoked is None


def _reaches(agreed: str | None, wanted: str) -> bool:
    return agreed is not None and wanted in LEVELS[: LEVELS.index(agreed) + 1]


def _leaves(state: State, request: Request) -> tuple[int, ...]:
    """Return the indexes of the leaves that say something about a request, ascending."""
    caller = state.principals.get(request.actor)
    key = caller.keys.get(request.key) if caller else None
    heads = [state.principals.of_party(name) for name in request.parties]
    heads += [caller, state.principals.of_party(caller.party) if caller else None]
    standing = state.agreements.get(request.agreement)
    epoch = state.epochs.get(request.agreement, request.epoch)
    party = caller.party if caller else ""
    gate = state.usage.gates.get((request.agreement, party, request.gate))
    grant = state.usage.grants.get(request.grant)
    found = [
        *(leaf for one in heads if one for leaf in (one.leaf, one.revoked)),
        *((key.since, key.revoked) if key else ()),
        *((standing.since, standing.terminated, standing.stopped) if standing else ()),
        *((epoch.confirmed, epoch.ended, epoch.delegated.get(request.actor)) if epoch else ()),
        gate.leaf if gate else None,
        *((grant.leaf, grant.revoked) if grant else ()),
    ]
    return tuple(sorted({leaf for leaf in found if leaf is not None}))
