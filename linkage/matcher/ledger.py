"""What the log says, kept beside it: who is admitted, what is agreed, which keys there are.

One pure state (`agreement.state`), brought up to the database entry by entry. Whoever decides
inside a transaction sees what that transaction has logged so far.
"""

import hashlib
import threading
from dataclasses import dataclass
from typing import cast

from keys.dsse import envelope_in
from keys.identity import Identity
from linkage.agreement.request import keep_until, parse_request, request_digest
from linkage.agreement.state import State
from linkage.log.canonical import JsonObject, format_json, parse_json
from linkage.log.entry import parse_entry
from linkage.matcher.journal import Clock, time_of
from linkage.store.metadata import Metadata, StoredEntry, Transaction

_PAGE = 1024
_OF_REQUESTS = ("job.request", "job.admit", "job.refuse")


@dataclass(frozen=True)
class Answered:
    """What is remembered of a signed request, so that it counts once.

    Attributes:
        sha256: digest of what was signed.
        until: until when it could come again, in seconds since 1970.
        code: of an upload, what was decided; "" of a job, whose own state says it.
    """

    sha256: bytes
    until: int
    code: str


class Ledger:
    """The state of a matcher's log.

    Args:
        metadata: the database.
        clock: the matcher's clock.
    """

    def __init__(self, metadata: Metadata, clock: Clock) -> None:
        self._metadata, self._clock = metadata, clock
        self._state = State()
        # Documents by the digest of their envelope, so that one sent again is known.
        self._documents: dict[bytes, int] = {}
        # Requests by caller and id: those in the log that could still come again.
        self._requests: dict[tuple[str, str], Answered] = {}
        self._seen = 0
        self._lock = threading.Lock()

    @property
    def known(self) -> State:
        """The state when it was refreshed last."""
        return self._state

    def state(self, transaction: Transaction) -> State:
        """Return the state after all entries that a transaction sees."""
        state = self._state
        while entries := transaction.entries(state.size, state.size + _PAGE):
            for entry in entries:
                state = state.after(entry.index, parse_entry(entry.leaf), body_of(entry))
        return state

    def refresh(self) -> State:
        """Return the state after all committed entries, and keep it."""
        with self._lock, self._metadata.read() as transaction:
            state = self.state(transaction)
            # The names first: whoever finds the new state finds them, too.
            for entry in transaction.entries(self._state.size, state.size):
                self._documents.update(_named(entry))
                self._requests.update(_asked(entry))
            now = self._clock()
            for key in [key for key, one in self._requests.items() if one.until < now]:
                del self._requests[key]
            self._state = state
            return state

    def index_of(self, transaction: Transaction, body: JsonObject) -> int | None:
        """Return the leaf with the body of a document, if a transaction sees one."""
        digest, size = _digest(body), self._state.size
        if digest in self._documents:
            return self._documents[digest]
        newer = transaction.entries(size, transaction.entry_count())
        return next((entry.index for entry in newer if digest in _named(entry)), None)

    def answered(self, transaction: Transaction, caller: str, name: str) -> Answered | None:
        """Return what a transaction sees of a signed request that came before.

        The log itself is the memory: it survives a restart, and a request that counted is in it.

        Args:
            transaction: sees the log.
            caller: who signed it, as role/name.
            name: the id of the request.
        """
        size = self._state.size
        for entry in transaction.entries(size, transaction.entry_count()):
            if (found := _asked(entry).get((caller, name))) is not None:
                return found
        return self._requests.get((caller, name))

    def admits(self, identity: Identity, key: str) -> bool:
        """Return whether somebody is enrolled with a certificate's key that counts now.

        Args:
            identity: whom the certificate names.
            key: `keys.identity.key_digest` of it.
        """
        principals, time = self._state.principals, time_of(self._clock)
        principal = principals.get(identity.uri)
        if principal is None:
            return False
        head = principals.of_party(principal.party) if principal.role == "office" else principal
        if head is None or head.revoked is not None:
            return False
        return key in {known.id for known in principal.counting("tls", time)}

    def changed(self) -> bool:
        """Return whether documents have come into the log since this was asked last."""
        seen, self._seen = self._seen, len(self._documents)
        return seen != self._seen


def body_of(entry: StoredEntry) -> JsonObject | None:
    """Return what a confidential entry committed to."""
    return None if entry.body is None else cast("JsonObject", parse_json(entry.body))


def _named(entry: StoredEntry) -> dict[bytes, int]:
    """Return the index of an entry by the digest of its document, if it carries one."""
    body = parse_entry(entry.leaf).body if entry.body is None else body_of(entry)
    return {_digest(body): entry.index} if body is not None and body.keys() == {"env"} else {}


def _asked(entry: StoredEntry) -> dict[tuple[str, str], Answered]:
    """Return the signed request in an entry by its caller and id, if it carries one."""
    if entry.body is None or entry.job_id is None:
        return {}
    leaf, body = parse_entry(entry.leaf), body_of(entry)
    if leaf.type not in _OF_REQUESTS or body is None:
        return {}
    envelope = envelope_in(body["request"])
    request = parse_request(envelope)
    code = "" if leaf.type == "job.request" else str(body["code"])
    known = Answered(request_digest(envelope), keep_until(request), code)
    return {(leaf.actor, request.id): known}


def _digest(body: JsonObject) -> bytes:
    return hashlib.sha256(format_json(body)).digest()
