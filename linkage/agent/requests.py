"""Signed requests of an agent: what it asks for, and what it has seen of the log."""

import hashlib
import math
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime

from keys.dsse import Signer
from linkage.agent.mirror import Mirror
from linkage.agreement.request import (
    LONGEST,
    RANDOM_BYTES,
    Seen,
    SignedRequest,
    request_id,
    sign_request,
)
from linkage.agreement.standing import Standing
from linkage.errors import DeniedError, UnavailableError
from linkage.store.log_copy import LogSource

# A request is made of what was just read: the log need not be fetched for its signature again.
_FRESH_S = 1.0


class Requests:
    """Signs the requests of one party under one agreement and epoch.

    Args:
        agreement_id: the agreement.
        epoch: number of the linkage key.
        signer: signs with a key that is enrolled for the party.
        mirror: the agent's copy of the log.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        agreement_id: str,
        epoch: int,
        signer: Signer,
        mirror: Mirror,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._agreement_id, self._epoch = agreement_id, epoch
        self._signer, self._mirror, self._clock = signer, mirror, clock
        self._updated = -math.inf

    def standing(self, source: LogSource, fresh_s: float = 0.0) -> Standing:
        """Return the agreement as the log has it now.

        Args:
            source: where the log comes from.
            fresh_s: how many seconds ago it may have been fetched.

        Raises:
            DeniedError: it is not in force.
            VerificationError: the log contradicts this agent's copy.
        """
        if time.monotonic() - self._updated >= fresh_s:
            self._mirror.update(source)
            self._updated = time.monotonic()
        standing = self._mirror.state.agreements.get(self._agreement_id)
        if standing is None:
            raise DeniedError(
                "AGREEMENT_NOT_ACTIVE",
                f"{self._agreement_id} is not in force: have all parties sign and register it",
            )
        return standing

    def sign(self, source: LogSource, method: str, body: bytes, fresh_s: float = _FRESH_S) -> bytes:
        """Return the envelope of a request, over the newest checkpoint.

        Args:
            source: where the log comes from.
            method: full name of the remote procedure.
            body: what is asked for.
            fresh_s: how many seconds ago the checkpoint may have been fetched.

        Raises:
            DeniedError: the agreement is not in force.
            VerificationError: the log contradicts this agent's copy.
        """
        standing, head = self.standing(source, fresh_s), self._mirror.head
        if head is None:
            raise UnavailableError("the log has published nothing yet: try again")
        now = int(self._clock())
        request = SignedRequest(
            aud=head.origin,
            method=method,
            agreement=standing.version.digest,
            epoch=self._epoch,
            id=request_id(datetime.fromtimestamp(now, UTC), os.urandom(RANDOM_BYTES)),
            iat=now,
            exp=now + int(LONGEST.total_seconds()),
            body=hashlib.sha256(body).hexdigest(),
            seen=Seen(size=head.size, root=head.root.hex()),
        )
        return sign_request(request, self._signer).to_bytes()
