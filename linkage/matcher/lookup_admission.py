"""Whether a lookup may be answered: signed by its caller, once, and under a grant that serves.

What is refused is counted for its caller, if that is a party of the agreement or its office;
strangers leave no trace in a leaf of others.
"""

from collections.abc import Callable

from linkage.agreement.denial import DENIALS
from linkage.agreement.request import SKEW, request_digest
from linkage.errors import DeniedError, LinkageError
from linkage.lookup import LookupQuestion
from linkage.matcher.decisions import Decisions, Signed, denied
from linkage.matcher.grants import Grants
from linkage.matcher.lookup_counts import Admitted, LookupCounts, Route
from linkage.matcher.probing import Probing
from linkage.matcher.refusals import path_of, told
from linkage.rpc.peer import Peer


class LookupAdmission:
    """Admits the lookups of a matcher; for one thread.

    Args:
        decisions: says what is allowed.
        grants: the grants of callers.
        counts: counts lookups, and remembers the requests of those before a restart.
        probing: watches them.
    """

    def __init__(
        self, decisions: Decisions, grants: Grants, counts: LookupCounts, probing: Probing
    ) -> None:
        self._decisions, self._grants, self._counts = decisions, grants, counts
        self._probing = probing
        # Digests of signed requests and until when they have to be known, oldest first.
        self._seen: dict[bytes, float] = {}
        for content in counts.recent_requests():
            self._remember(*decisions.digest_of(content))

    def admit(
        self, peer: Peer, question: LookupQuestion, request: bytes, check: Callable[[], None]
    ) -> Admitted:
        """Return leave to answer a question; it is taken off its grant.

        Args:
            peer: who asks.
            question: what it asks.
            request: the envelope that it signed.
            check: raises if the register cannot answer the question.

        Raises:
            MalformedMessageError: the request is not signed.
            DeniedError: it does not count, or nothing allows it.
            QuotaExceededError: too many lookups in this minute.
            LinkageError: what `check` raised.
        """
        route = Route(question.agreement_id, path_of(peer), question.register)
        try:
            signed = self._decisions.signed_lookup(peer, request, question)
            self._check_new(signed)
            admitted = self._granted(signed, question, request)
            route = Route.of(admitted.grant)
            check()
            self._counts.admit(admitted.grant)
        except LinkageError as error:
            if self._decisions.are_parties(peer, question.agreement_id, question.register):
                self._counts.refuse(route)
            if isinstance(error, DeniedError):
                raise told(error.code) from error
            raise
        return admitted

    def _granted(self, signed: Signed, question: LookupQuestion, request: bytes) -> Admitted:
        """Return the first grant that serves; raises what speaks against the last."""
        agreement, caller = question.agreement_id, path_of(signed.peer)
        cosigned = self._grants.cosigned(agreement)
        decision = None
        for grant in self._grants.of(caller, agreement, question.register):
            used = self._counts.used(grant.id)
            decision = self._decisions.lookup(signed, question, grant.id, used, cosigned)
            if decision.allowed and self._probing.suspends(grant):
                raise DeniedError("GRANT_SUSPENDED", "", [DENIALS["GRANT_SUSPENDED"].rule])
            if decision.allowed:
                digest = request_digest(signed.envelope)
                return Admitted(grant, signed.peer.key, cosigned, request, digest)
        raise denied(decision or self._decisions.lookup(signed, question, "", 0, cosigned))

    def _check_new(self, signed: Signed) -> None:
        """Check that a request is used for the first time; its answer is not kept for another."""
        digest, now = request_digest(signed.envelope), self._decisions.now()
        while self._seen and (oldest := next(iter(self._seen.items())))[1] < now:
            del self._seen[oldest[0]]
        if digest in self._seen:
            raise DeniedError("REQUEST_REUSED", "", [DENIALS["REQUEST_REUSED"].rule])
        self._remember(digest, float(signed.request.exp))

    def _remember(self, digest: bytes, expires: float) -> None:
        self._seen[digest] = expires + SKEW.total_seconds() + 1
