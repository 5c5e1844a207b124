"""Lookups in the log: what each minute says, decided on again, and held to its requests.

A minute's leaf counts the answers under each grant. Each of them was asked for by a request that
its caller signed; the leaf has their Merkle root, the matcher has them. An auditor who fetches
them can tell who asked how often, and prove each by itself: not of whom, for that is in none.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from keys.dsse import parse_envelope
from keys.errors import KeysError
from linkage.agreement.decide import decide
from linkage.agreement.decision import Flow, Request
from linkage.agreement.denial import ALLOWED
from linkage.agreement.request import LONGEST, SKEW, parse_request, request_digest
from linkage.agreement.state import State
from linkage.errors import MalformedMessageError, VerificationError
from linkage.log.canonical import Json, JsonObject
from linkage.log.hashing import leaf_hash
from linkage.log.proof import inclusion_proof
from linkage.log.tree import History
from linkage.lookup import LOOKUP_METHOD

# States that are remembered: those of the documents of more than a minute.
_STATES = 256
_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class LookupCount:
    """Lookups under one grant in a minute.

    Attributes:
        grant: its name; "" where there was none.
        caller: role and name of who asked.
        register: whose register.
        key: digest of the key of the certificate that was shown last.
        cosigned: size of the checkpoint that covers the grant.
        answered: how many were answered.
        refused: how many were refused.
        last: the last number of an answer; 0 for none.
    """

    grant: str
    caller: str
    register: str
    key: str
    cosigned: int
    answered: int
    refused: int
    last: int


@dataclass(frozen=True)
class Minute:
    """What a minute's leaf says.

    Attributes:
        begin: its first moment.
        counts: by grant.
        root: Merkle root of the requests that were answered, by grant and number.
    """

    begin: datetime
    counts: tuple[LookupCount, ...]
    root: bytes


@dataclass(frozen=True)
class LookupRequest:
    """A signed request that was answered, as the matcher hands it over.

    Attributes:
        grant: under which grant.
        sequence: the number of its answer.
        request: the envelope.
    """

    grant: str
    sequence: int
    request: bytes


@dataclass(frozen=True)
class ProvenRequest:
    """A signed request that the log has.

    Attributes:
        request: what was handed over.
        caller: role and name of who signed it.
        id: its id.
        signed: when.
        proof: the hashes that lead from it to the minute's root.
    """

    request: LookupRequest
    caller: str
    id: str
    signed: datetime
    proof: tuple[bytes, ...]


def minute_in(body: JsonObject) -> Minute:
    """Return what the body of a minute's leaf says.

    Raises:
        MalformedMessageError: it is not of this form.
    """
    counts, second, root = body.get("counts"), body.get("minute"), body.get("root")
    if not isinstance(counts, list) or type(second) is not int or not isinstance(root, str):
        raise MalformedMessageError("a minute of lookups without counts, time or root")
    try:
        begin = datetime.fromtimestamp(second, UTC)
        return Minute(begin, tuple(_count_in(one) for one in counts), bytes.fromhex(root))
    except (ValueError, OverflowError, OSError) as error:
        raise MalformedMessageError("a minute of lookups of no such time or root") from error


class LookupReplay:
    """Decides again on the lookups of a log, minute by minute."""

    def __init__(self) -> None:
        # What documents made of the log, with the time of each: a minute is logged when it is
        # over, and its lookups were decided on with what held then.
        self._states: deque[tuple[datetime, State]] = deque(maxlen=_STATES)
        self._given: dict[str, int] = {}

    def moved(self, time: datetime, state: State) -> None:
        """Take the state that a document brought."""
        self._states.append((time, state))

    def problems(self, agreement: str, body: JsonObject) -> Iterator[str]:
        """Yield what is wrong with a minute's leaf.

        Args:
            agreement: the leaf's agreement.
            body: what it committed to.

        Raises:
            MalformedMessageError: it is not of the form of a minute.
        """
        minute = minute_in(body)
        for count in minute.counts:
            if not count.answered:
                continue
            before = self._given.get(count.grant, 0)
            self._given[count.grant] = max(count.last, before + count.answered)
            who = f"{count.answered} lookups of {count.caller}"
            if count.last != before + count.answered:
                yield f"{who} are numbered up to {count.last}, and {before} were there before"
            codes = [
                _decided(state, agreement, minute.begin, count)
                for state in self._within(minute.begin)
            ]
            if ALLOWED not in codes:
                yield f"{who}, and the rules give {codes[-1] if codes else 'GRANT_UNKNOWN'}"

    def _within(self, begin: datetime) -> list[State]:
        """Return the states of the log that held since a moment, the oldest first."""
        before = [state for time, state in self._states if time <= begin]
        return [*before[-1:], *(state for time, state in self._states if time > begin)]


def prove_requests(
    state: State, minute: Minute, requests: Sequence[LookupRequest]
) -> list[ProvenRequest]:
    """Return the requests of a minute, each with the proof that the log has it.

    Args:
        state: what the log said when the minute was logged.
        minute: what its leaf says.
        requests: what the matcher handed over, in its order.

    Raises:
        VerificationError: they are not those of the leaf, or one is not signed by the caller
            for whom it is counted.
    """
    tree = History()
    for one in requests:
        tree.append(leaf_hash(one.request))
    if tree.root_at(tree.size) != minute.root:
        raise VerificationError(
            f"{len(requests)} requests that are not those of the leaf: their root is another"
        )
    expected = [
        (count.grant, number)
        for count in sorted(minute.counts, key=lambda one: one.grant)
        for number in range(count.last - count.answered + 1, count.last + 1)
        if count.answered
    ]
    if [(one.grant, one.sequence) for one in requests] != expected:
        raise VerificationError("the requests have other grants or numbers than the leaf counts")
    callers = {count.grant: count.caller for count in minute.counts}
    proven, seen = [], set[bytes]()
    for index, one in enumerate(requests):
        proof = tuple(inclusion_proof(index, tree.size, tree.node))
        made = _signed_by(state, minute.begin, callers[one.grant], one)
        digest = request_digest(parse_envelope(one.request))
        if digest in seen:
            raise VerificationError(f"request {made.id} is counted twice")
        seen.add(digest)
        proven.append(replace(made, proof=proof))
    return proven


def _signed_by(state: State, begin: datetime, caller: str, one: LookupRequest) -> ProvenRequest:
    """Return a request that a caller has signed for about this minute."""
    principal = state.principals.get(state.principals.by_path.get(caller, ""))
    what = f"request {one.sequence} under grant {one.grant}"
    try:
        envelope = parse_envelope(one.request)
        request = parse_request(envelope)
        signed = datetime.fromtimestamp(request.iat, UTC)
    except (KeysError, MalformedMessageError, ValueError, OverflowError) as error:
        raise VerificationError(f"{what} is none") from error
    # Keys that were replaced or revoked since have signed what they have signed.
    keys = principal.keys.values() if principal else ()
    public = {key.id: key.public for key in keys if key.kind == "sign"}
    if not envelope.signers(public):
        raise VerificationError(f"{what} is not signed by {caller}")
    if (request.aud, request.method) != (state.log, LOOKUP_METHOD):
        raise VerificationError(f"{what} was signed for something else")
    if not begin - LONGEST - SKEW <= signed <= begin + _MINUTE + SKEW:
        raise VerificationError(f"{what} was signed at another time")
    return ProvenRequest(one, caller, request.id, signed, ())


def _decided(state: State, agreement: str, begin: datetime, count: LookupCount) -> str:
    """Return what the rules give for the last lookup of a count in a state."""
    grant, standing = state.usage.grants.get(count.grant), state.agreements.get(agreement)
    caller = state.principals.by_path.get(count.caller)
    if grant is None or standing is None or caller is None:
        return "GRANT_UNKNOWN"
    party = count.caller.split("/")[1]
    listed = standing.agreement.by_id.get(party)
    asked = Request(
        action="lookup",
        actor=caller,
        key=count.key,
        time=min(max(begin, grant.valid_from), begin + _MINUTE - timedelta(seconds=1)),
        agreement=agreement,
        digest=standing.version.digest,
        epoch=0,
        schema_id=standing.agreement.method.schema_id,
        purpose=standing.agreement.purpose.code,
        parties=(party, count.register),
        attributes=tuple((one.name, one.element) for one in (listed.data if listed else ())),
        flows=(Flow(count.register, party, "R1"),),
        # What the callers had seen of the log stands in their own requests.
        seen_size=state.size,
        seen_root="seen",
        log_root="seen",
        grant=count.grant,
        n_used=count.last - 1,
        cosigned=count.cosigned,
    )
    epochs = state.epochs.of(agreement)
    codes = [decide(state, replace(asked, epoch=epoch.number)).code for epoch in epochs]
    return ALLOWED if ALLOWED in codes else [*codes, "EPOCH_UNKNOWN"][0]


def _count_in(value: Json) -> LookupCount:
    match value:
        case {
            "grant": str(grant),
            "caller": str(caller),
            "register": str(register),
            "key": str(key),
            "cosigned": int(cosigned),
            "answered": int(answered),
            "refused": int(refused),
            "last": int(last),
        } if min(cosigned, answered, refused, last) >= 0 and caller.count("/") >= 1:
            return LookupCount(grant, caller, register, key, cosigned, answered, refused, last)
    raise MalformedMessageError("a count of lookups that is none")
