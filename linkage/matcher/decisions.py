"""What a matcher asks `decide`, and what it keeps of the answer.

A job is decided on when it is asked for, at each upload, before it is compared, before it is
released, and again whenever the log says something new while it runs. What was asked stands in
the log beside the answer, so that an auditor can ask again.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from keys.dsse import Envelope, parse_envelope
from keys.errors import KeysError
from linkage.agreement.decide import decide
from linkage.agreement.decision import Action, Decision, Flow, Request, flows_of, released_to
from linkage.agreement.denial import DENIALS
from linkage.agreement.request import (
    SignedRequest,
    check_repeat,
    check_request,
    parse_request,
    request_digest,
)
from linkage.agreement.state import State
from linkage.errors import DeniedError, MalformedMessageError
from linkage.job import COORDINATOR, CodeId, Job, JobSpec
from linkage.lookup import LOOKUP_METHOD, LookupQuestion
from linkage.matcher.journal import Clock, time_of
from linkage.matcher.ledger import Answered, Ledger
from linkage.matcher.match_log import MatchLog
from linkage.matcher.refusals import path_of, told
from linkage.rpc.peer import Peer
from linkage.store.metadata import RequestRow, Transaction


@dataclass(frozen=True)
class Signed:
    """A signed request that counts here and now.

    Attributes:
        peer: who sent it.
        envelope: what was signed.
        request: the same, read.
        first: what was answered when it came first; None if it has not come before.
    """

    peer: Peer
    envelope: Envelope
    request: SignedRequest
    first: Answered | None = None


class Decisions:
    """Decides for a matcher.

    Args:
        ledger: the state of the log.
        log: the published log, for what callers have seen of it.
        origin: its name.
        clock: the matcher's clock.
    """

    def __init__(self, ledger: Ledger, log: MatchLog, origin: str, clock: Clock) -> None:
        self._ledger, self._log = ledger, log
        self._origin, self._clock = origin, clock

    def signed(
        self,
        transaction: Transaction,
        peer: Peer,
        content: bytes,
        method: str,
        body: bytes,
        spec: JobSpec,
    ) -> Signed:
        """Return a signed request, if it counts here and now.

        Args:
            transaction: sees the log.
            peer: who sent it.
            content: the envelope.
            method: full name of the remote procedure.
            body: what the request says that it asks for.
            spec: the specification that it is about.

        Raises:
            MalformedMessageError: it is no envelope.
            DeniedError: it does not count, or is about another agreement or key than the
                specification.
        """
        state, now = self._ledger.state(transaction), transaction.time(self._clock)
        signed = self._signed(state, now, peer, content, method, body)
        meant = spec.agreement_sha256.hex(), spec.codes.epoch
        if (signed.request.agreement, signed.request.epoch) != meant:
            raise _refused("REQUEST_OTHER_BODY")
        first = self._ledger.answered(transaction, path_of(peer), signed.request.id)
        check_repeat(first.sha256 if first else None, signed.envelope)
        return replace(signed, first=first)

    def signed_lookup(self, peer: Peer, content: bytes, question: LookupQuestion) -> Signed:
        """Return the signed request of a lookup, if it counts here and now; raises as `signed`."""
        body = question.to_bytes()
        now = time_of(self._clock)
        signed = self._signed(self._ledger.known, now, peer, content, LOOKUP_METHOD, body)
        if signed.request.epoch != question.codes.epoch:
            raise _refused("REQUEST_OTHER_BODY")
        if signed.request.seen.size > self._ledger.known.size:
            self._ledger.refresh()  # what was published a moment ago
        return signed

    def _signed(
        self, state: State, now: datetime, peer: Peer, content: bytes, method: str, body: bytes
    ) -> Signed:
        try:
            envelope = parse_envelope(content)
        except KeysError as error:
            raise MalformedMessageError(f"the request is not signed: {error}") from error
        caller = state.principals.get(peer.identity.uri)
        if caller is None:
            raise _refused("NOT_ADMITTED")
        request = check_request(envelope, caller, self._origin, method, body, now)
        return Signed(peer, envelope, request)

    def submit(self, transaction: Transaction, signed: Signed, spec: JobSpec) -> Decision:
        """Decide on a request for a job."""
        asked = self._of_spec(transaction, "submit", spec, *_caller(signed))
        asked = replace(asked, flows=flows_of(spec.results))
        return decide(self._ledger.state(transaction), self._seen(asked, signed))

    def upload(
        self, transaction: Transaction, signed: Signed, job: Job, n_records: int, gate: bytes
    ) -> Decision:
        """Decide on an upload."""
        asked = replace(
            self._of_spec(transaction, "upload", job.spec, *_caller(signed)),
            requester=transaction.request_of(job.job_id).actor,
            n_records=n_records,
            gate=gate.hex(),
        )
        return decide(self._ledger.state(transaction), self._seen(asked, signed))

    def start(self, transaction: Transaction, job: Job, made_by: RequestRow) -> Decision:
        """Decide whether a job may go on."""
        asked = replace(
            self._of_spec(transaction, "start", job.spec, made_by.actor, made_by.key),
            flows=flows_of(job.spec.results),
        )
        return decide(self._ledger.state(transaction), asked)

    def release(
        self, transaction: Transaction, job: Job, uploads: list[tuple[str, str]]
    ) -> Decision:
        """Decide whether all recipients may get their results; the first denial counts.

        A party that is told nothing is not asked about: nothing is released to it.

        Args:
            transaction: sees the log.
            job: the job.
            uploads: of each party, who uploaded and with which key, in the job's order.
        """
        state, decision = self._ledger.state(transaction), None
        requester = transaction.request_of(job.job_id).actor
        for party, (actor, key) in zip(job.spec.parties, uploads, strict=True):
            flows = released_to(flows_of(job.spec.results), party)
            if not flows:
                continue
            asked = replace(
                self._of_spec(transaction, "release", job.spec, actor, key),
                flows=flows,
                requester=requester,
            )
            decision = decide(state, asked)
            if not decision.allowed:
                return decision
        if decision is None:
            raise ValueError("a job tells somebody something")
        return decision

    def lookup(
        self, signed: Signed, question: LookupQuestion, grant: str, n_used: int, cosigned: int
    ) -> Decision:
        """Decide whether a lookup may be answered now.

        Args:
            signed: the request.
            question: what is asked.
            grant: name of the grant; "" for none.
            n_used: how many lookups were made under it.
            cosigned: size of a checkpoint that all parties have cosigned.
        """
        state, caller = self._ledger.known, signed.peer.identity.party
        standing = state.agreements.get(question.agreement_id)
        listed = standing.agreement.by_id.get(caller) if standing else None
        asked = Request(
            action="lookup",
            actor=signed.peer.identity.uri,
            key=signed.peer.key,
            time=time_of(self._clock),
            agreement=question.agreement_id,
            digest=signed.request.agreement,
            epoch=question.codes.epoch,
            schema_id=question.codes.schema_id.hex(),
            purpose=standing.agreement.purpose.code if standing else "",
            parties=(caller, question.register),
            attributes=tuple((one.name, one.element) for one in (listed.data if listed else ())),
            flows=(Flow(question.register, caller, "R1"),),
            grant=grant,
            n_used=n_used,
            cosigned=cosigned,
        )
        return decide(state, self._seen(asked, signed))

    def are_parties(self, peer: Peer, agreement_id: str, register: str) -> bool:
        """Return whether a caller, or its head office, and another are parties of an agreement."""
        standing = self._ledger.known.agreements.get(agreement_id)
        by_id = standing.agreement.by_id if standing else {}
        return peer.identity.party in by_id and register in by_id

    def now(self) -> float:
        """Return the matcher's time, in seconds since 1970."""
        return self._clock()

    def digest_of(self, content: bytes) -> tuple[bytes, float]:
        """Return what stands for a request that was taken before, and until when it counts."""
        envelope = parse_envelope(content)
        return request_digest(envelope), float(parse_request(envelope).exp)

    def register(self, peer: Peer, agreement_id: str, codes: CodeId) -> Decision:
        """Decide whether a party may keep a register at the matcher now, for all who may ask.

        There is no job: purpose and attributes are the agreement's own.
        """
        state, owner = self._ledger.known, peer.identity.party
        standing = state.agreements.get(agreement_id)
        agreement = standing.agreement if standing else None
        if agreement and not agreement.scope.quota.lookups_per_day:
            return Decision(False, "QUOTA_LOOKUPS", (DENIALS["QUOTA_LOOKUPS"].rule,), ())
        results = agreement.results if agreement else ()
        askers = tuple(dict.fromkeys(r.recipient for r in results if r.source == owner))
        parties = (owner, *(asker for asker in askers if asker != COORDINATOR))
        asked = Request(
            action="start",
            actor=peer.identity.uri,
            key=peer.key,
            time=time_of(self._clock),
            agreement=agreement_id,
            digest=standing.version.digest if standing else "",
            epoch=codes.epoch,
            schema_id=codes.schema_id.hex(),
            purpose=agreement.purpose.code if agreement else "",
            parties=parties,
            attributes=tuple(
                (data.name, data.element)
                for party in (agreement.parties if agreement else ())
                if party.id in parties
                for data in party.data
            ),
            flows=tuple(Flow(owner, asker, "R1") for asker in askers),
        )
        return decide(state, asked)

    def _of_spec(
        self, transaction: Transaction, action: Action, spec: JobSpec, actor: str, key: str
    ) -> Request:
        return Request(
            action=action,
            actor=actor,
            key=key,
            time=transaction.time(self._clock),
            agreement=spec.agreement_id,
            digest=spec.agreement_sha256.hex(),
            epoch=spec.codes.epoch,
            schema_id=spec.codes.schema_id.hex(),
            purpose=spec.purpose,
            parties=spec.parties,
            attributes=spec.attributes,
            candidates=spec.refinement.candidates if spec.refinement else 0,
        )

    def _seen(self, asked: Request, signed: Signed) -> Request:
        seen = signed.request.seen
        root = self._log.root_at(seen.size)
        return replace(
            asked,
            seen_size=seen.size,
            seen_root=seen.root,
            log_root=root.hex() if root is not None else "",
        )


def _refused(code: str) -> DeniedError:
    denial = DENIALS[code]
    return DeniedError(code, denial.en, [denial.rule])


class NotAllowedError(DeniedError):
    """A job may not go on; for those who log why.

    Attributes:
        decision: why not.
    """

    def __init__(self, decision: Decision) -> None:
        self.decision = decision
        super().__init__(*decision.outward())


def denied(decision: Decision) -> DeniedError:
    """Return the error that tells a caller of a denial what it may know."""
    return told(decision.code)


def _caller(signed: Signed) -> tuple[str, str]:
    return signed.peer.identity.uri, signed.peer.key


def evidence(signed: Signed) -> dict[str, Any]:
    """Return what the log keeps of a signed request."""
    return {"key": signed.peer.key, "request": signed.envelope.to_json()}


def verdict(decision: Decision) -> dict[str, Any]:
    """Return what the log keeps of a decision."""
    return {"code": decision.code, "rules": list(decision.rules)}
