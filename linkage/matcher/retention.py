"""How long artefacts are kept, and their destruction.

Every artefact is of a class, and its agreement says for how many days that class is kept; it ends
with the day. Then its key is destroyed, in three steps that a crash may part: what will be
destroyed is written down, the key is destroyed, and the record (*berita acara*) is logged. So a
key is never gone without a record, and nothing has two.

A legal hold (`agreement.hold`) beats the agreed time, also where a destruction is written down and
not done: what is held is taken out of its day first, and destroyed when the hold has ended.
"""

import datetime
import hashlib
from collections import defaultdict
from dataclasses import replace
from itertools import islice
from typing import Literal, cast

from linkage.errors import UnavailableError
from linkage.log.canonical import Json, JsonObject
from linkage.matcher.jobs import MATCHER
from linkage.matcher.journal import Clock, Journal, time_of
from linkage.matcher.ledger import Ledger
from linkage.matcher.match_log import MatchLog
from linkage.store.artefacts import ArtefactStore, Header, Owner, held_key
from linkage.store.destructions import DestructionRow, Destructions
from linkage.store.metadata import Metadata, Transaction

Kind = Literal["upload", "work", "result", "register", "sealed"]
"""Classes of artefacts: uploads of jobs; candidate pairs, questions and answers of running jobs;
results; standing registers; ciphertexts of key exchanges."""

# Needed until an exchange is over; a complaint carries its own.
_SEALED_DAYS = 30
# So many datasets in one record, so that its body stays small enough to be sent.
_IN_ONE = 256
_METHOD = (
    "the key that wrapped the data keys was overwritten and deleted; they and what they sealed "
    "(AES-256-GCM) were deleted after it"
)


class Retention:
    """Makes datasets that end when their agreement says.

    Args:
        artefacts: where they are kept.
        ledger: knows the agreements.
        clock: the matcher's clock.
        most_days: days after which all but results end, whatever is agreed.
    """

    def __init__(
        self, artefacts: ArtefactStore, ledger: Ledger, clock: Clock, most_days: int
    ) -> None:
        self._artefacts, self._ledger, self._clock = artefacts, ledger, clock
        self._most_days = most_days

    def create(
        self,
        dataset: str,
        kind: Kind,
        agreement_id: str,
        job_id: str | None = None,
        expires: datetime.date | None = None,
    ) -> None:
        """Make an empty dataset; one that is there stays as it is.

        Args:
            dataset: its name.
            kind: its class.
            agreement_id: the agreement that it is made under.
            job_id: the job that it belongs to, if any.
            expires: its last day, if not counted from today.
        """
        last = expires or self.expires(kind, agreement_id)
        self._artefacts.create(dataset, last, Owner(kind, agreement_id, job_id))

    def drop(self, dataset: str, agreement_id: str) -> None:
        """Delete a dataset that nobody needs any more; one that is held is left to its day."""
        self._ledger.refresh()
        standing = self._ledger.known.agreements.get(agreement_id)
        if standing is None or standing.held is None:
            self._artefacts.delete(dataset)

    def expires(self, kind: Kind, agreement_id: str) -> datetime.date:
        """Return the last day of what is made today."""
        today = time_of(self._clock).date()
        return today + datetime.timedelta(days=self._days(kind, agreement_id))

    def _days(self, kind: Kind, agreement_id: str) -> int:
        if kind == "sealed":
            return _SEALED_DAYS
        standing = self._ledger.known.agreements.get(agreement_id)
        if standing is None:
            return self._most_days
        agreed = standing.agreement.retention
        if kind == "result":
            return agreed.result_days
        return min(agreed.artefact_days, self._most_days)


class Destroyer:
    """Destroys what has reached its end, and logs it.

    Args:
        metadata: the database.
        artefacts: what is destroyed.
        ledger: knows what is held.
        journal: makes log entries.
        log: publishes them.
    """

    def __init__(
        self,
        metadata: Metadata,
        artefacts: ArtefactStore,
        ledger: Ledger,
        journal: Journal,
        log: MatchLog,
    ) -> None:
        self._metadata, self._artefacts, self._ledger = metadata, artefacts, ledger
        self._journal, self._log = journal, log

    def run(self) -> int:
        """Destroy what is due; return how many datasets there were.

        Raises:
            UnavailableError: the database or a disk fails; the next run goes on.
        """
        # First what an earlier run has written down and perhaps not done.
        n_destroyed = self._carry_out()
        today = time_of(self._journal.clock).date()
        due = [*self._artefacts.due(today), *self._artefacts.held()]
        if not due:
            return n_destroyed
        with self._metadata.write() as transaction:
            for key in due:
                Destructions(transaction.connection).plan(key, self._going(transaction, key))
        return n_destroyed + self._carry_out()

    def _carry_out(self) -> int:
        """Destroy what is written down, and log each record once."""
        with self._metadata.read() as transaction:
            keys = {row.key for row in Destructions(transaction.connection).planned()}
        if not keys:
            return 0
        for key in sorted(keys):
            try:
                while not self._destroyed(key):
                    pass
            except OSError as error:
                raise UnavailableError(f"a key cannot be destroyed: {error.strerror}") from error
        with self._metadata.write() as transaction:
            table = Destructions(transaction.connection)
            # Of a key that is held now nothing is planned any more.
            planned = [row for row in table.planned() if row.key in keys]
            for row in planned:
                leaf = None
                if row.body:
                    leaf = self._journal.record(
                        transaction, "destruction", MATCHER, row.agreement_id or None, row.body
                    )
                table.done(row, leaf)
        self._log.publish()
        return sum(_count(row.body) for row in planned)

    def _destroyed(self, key: str) -> bool:
        """Destroy a key if what would go is what is written down, else write that down.

        A hold may have been logged since; none can be in between, for a document is logged by a
        transaction that writes. What is written down is committed before the key goes, so a
        transaction that fails here takes no record with it.
        """
        with self._metadata.write() as transaction:
            if self._artefacts.has_key(key):
                table, going = Destructions(transaction.connection), self._going(transaction, key)
                planned = [replace(row, id=0) for row in table.planned() if row.key == key]
                if going != planned:
                    table.plan(key, going)
                    return False
                if not going:
                    return True
            self._artefacts.destroy(key)
        return True

    def _going(self, transaction: Transaction, key: str) -> list[DestructionRow]:
        """Take what is held out of a key, and return what is to be destroyed with it."""
        by_id = self._ledger.state(transaction).agreements.by_id
        held = {name for name, standing in by_id.items() if standing.held is not None}
        going: dict[str, dict[str, Header]] = defaultdict(dict)
        for dataset, header in self._artefacts.under(key).items():
            agreement = header.owner.agreement_id if header.owner else ""
            if agreement in held:
                self._artefacts.hold(dataset, _case(agreement))
            else:
                going[agreement][dataset] = header
        if key in {held_key(_case(agreement)) for agreement in held}:
            return []
        # A day without anything to log goes as well.
        rows = [DestructionRow(key, "", {})]
        for agreement, datasets in going.items():
            left = iter(datasets.items())
            while some := dict(islice(left, _IN_ONE)):
                rows.append(DestructionRow(key, agreement, _record(key, some)))
        return rows


def _record(key: str, datasets: dict[str, Header]) -> JsonObject:
    """Return the berita acara of some datasets of one agreement."""
    classes: dict[str, list[str]] = defaultdict(list)
    jobs, last = set(), set()
    for name, header in datasets.items():
        owner = header.owner
        classes[owner.kind if owner else "other"].append(name)
        last.add(header.expires.isoformat())
        if owner is not None and owner.job_id is not None:
            jobs.add(owner.job_id)
    return {
        "rule": "HOLD_ENDED" if key.startswith(held_key("")) else "TIME_OVER",
        "expired": sorted(last),
        "method": _METHOD,
        "datasets": {kind: cast("list[Json]", sorted(classes[kind])) for kind in sorted(classes)},
        "jobs": sorted(jobs),
    }


def _count(body: JsonObject) -> int:
    datasets = cast("dict[str, list[str]]", body.get("datasets", {}))
    return sum(len(names) for names in datasets.values())


def _case(agreement_id: str) -> str:
    # An id may hold what no file's name may.
    return hashlib.sha256(agreement_id.encode()).hexdigest()[:32]
