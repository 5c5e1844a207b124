"""Grants of lookups at the matcher: which of a caller's may serve, and which of them are covered.

A grant serves once all parties of its agreement have cosigned a checkpoint over it. Such a
checkpoint is kept: what was covered once is so after a restart.
"""

import threading
from collections.abc import Sequence

from linkage.agreement.usage import Grant
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.note import parse_note
from linkage.matcher.cosignatures import Cosignatures
from linkage.matcher.journal import Clock, time_of
from linkage.matcher.ledger import Ledger
from linkage.store.metadata import Metadata
from linkage.store.registers import CosignedRows

# A caller, an agreement, and the party whose register it is.
_Asks = tuple[str, str, str]


class Grants:
    """The grants that a matcher knows of.

    Args:
        metadata: the database.
        ledger: the state of the log.
        cosignatures: of the parties.
        clock: the matcher's clock.
    """

    def __init__(
        self, metadata: Metadata, ledger: Ledger, cosignatures: Cosignatures, clock: Clock
    ) -> None:
        self._metadata, self._ledger = metadata, ledger
        self._cosignatures, self._clock = cosignatures, clock
        self._lock = threading.Lock()
        self._known: object = None
        self._by_asks: dict[_Asks, tuple[Grant, ...]] = {}
        with metadata.read() as transaction:
            self._sizes = CosignedRows(transaction.connection).sizes()

    def of(self, caller: str, agreement_id: str, register: str) -> Sequence[Grant]:
        """Return the grants of a caller that are not over, in the order in which they end."""
        grants = self._ledger.known.usage.grants
        if grants is not self._known:
            by_asks: dict[_Asks, list[Grant]] = {}
            now = time_of(self._clock)
            for grant in sorted(grants.values(), key=lambda one: (one.valid_until, one.leaf)):
                if now < grant.valid_until:
                    asks = grant.caller, grant.agreement, grant.register
                    by_asks.setdefault(asks, []).append(grant)
            self._by_asks = {asks: tuple(found) for asks, found in by_asks.items()}
            self._known = grants
        found = self._by_asks.get((caller, agreement_id, register), ())
        now = time_of(self._clock)
        return [grant for grant in found if now < grant.valid_until] if found else ()

    def cosigned(self, agreement_id: str) -> int:
        """Return the size of a checkpoint that all parties of an agreement have cosigned."""
        return self._sizes.get(agreement_id, 0)

    def cover(self) -> None:
        """Keep new checkpoints that all parties of an agreement have cosigned, for its grants."""
        state = self._ledger.known
        last: dict[str, int] = {}
        for grant in state.usage.grants.values():
            last[grant.agreement] = max(grant.leaf, last.get(grant.agreement, 0))
        with self._lock:
            for agreement_id, leaf in last.items():
                size = self._sizes.get(agreement_id, 0)
                standing = state.agreements.get(agreement_id)
                if leaf < size or standing is None:
                    continue
                parties = tuple(standing.agreement.by_id)
                # Not only over the last: another may have been given since they cosigned.
                note = self._cosignatures.complete(agreement_id, parties, size)
                if note is None:
                    continue
                covered = parse_checkpoint(parse_note(note).text).size
                with self._metadata.write() as transaction:
                    CosignedRows(transaction.connection).set(agreement_id, covered, note)
                self._sizes[agreement_id] = covered
