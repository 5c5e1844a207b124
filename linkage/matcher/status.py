"""How a matcher is: counts and days, of nobody's records, for its operator.

Read from the database and the files, so that it can be told of a matcher that does not run.
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509

from linkage.errors import ConfigError, LinkageError
from linkage.job import JobState
from linkage.log.canonical import JsonObject
from linkage.log.checkpoint import parse_checkpoint
from linkage.log.note import parse_note
from linkage.matcher.config import MatcherConfig
from linkage.matcher.lock import is_locked
from linkage.store.counts import Counts
from linkage.store.log_files import LogFiles
from linkage.store.metadata import Metadata

# Less of these, and an operator is told to act.
_FREE_BYTES, _CERTIFICATE_DAYS = 5 << 30, 14


@dataclass(frozen=True)
class Status:
    """What an operator is told.

    Attributes:
        log_entries: entries that are committed.
        log_published: entries under the published checkpoint.
        jobs: how many there are in each state, also of none.
        oldest_open: when the oldest job that has not ended was requested.
        comparisons: made in all jobs.
        registers: standing registers.
        free_bytes: left on the disk of the data.
        certificate_until: end of the server's certificate.
    """

    log_entries: int
    log_published: int
    jobs: Mapping[JobState, int]
    oldest_open: datetime | None
    comparisons: int
    registers: int
    free_bytes: int
    certificate_until: datetime

    def to_json(self) -> JsonObject:
        """Return it with plain names, times in UTC."""
        oldest = self.oldest_open
        return {
            "log_entries": self.log_entries,
            "log_published": self.log_published,
            "jobs": {state.value: count for state, count in self.jobs.items()},
            "oldest_open_job": None if oldest is None else oldest.isoformat(),
            "comparisons": self.comparisons,
            "registers": self.registers,
            "free_bytes": self.free_bytes,
            "certificate_until": self.certificate_until.isoformat(),
        }

    def problems(self, now: datetime) -> list[str]:
        """Return what an operator has to do something about, one sentence each."""
        found = []
        if self.free_bytes < _FREE_BYTES:
            found.append(
                f"{self.free_bytes / (1 << 30):.1f} GiB are free on the disk of the data: make room"
            )
        days = (self.certificate_until - now).days
        if days < _CERTIFICATE_DAYS:
            found.append(
                f"the server's certificate ends on {self.certificate_until:%Y-%m-%d}: have a new "
                "one issued, and enrol its key (padan enrol rotate)"
            )
        if self.log_published < self.log_entries:
            found.append(
                f"{self.log_entries - self.log_published} entries of the log are not published: "
                "start the matcher, and look into its log if this stays"
            )
        return found


def status_of(config: MatcherConfig, metadata: Metadata) -> Status:
    """Return how a matcher is, running or not.

    Raises:
        UnavailableError: the database cannot be read.
        ConfigError: the certificate cannot be read.
    """
    with metadata.read() as transaction:
        entries = transaction.entry_count()
        counts = Counts(transaction.connection)
        oldest = counts.oldest_open()
        return Status(
            log_entries=entries,
            log_published=_signed(config),
            jobs=counts.jobs(),
            oldest_open=None if oldest is None else datetime.fromtimestamp(oldest, UTC),
            comparisons=counts.comparisons(),
            registers=counts.registers(),
            free_bytes=shutil.disk_usage(config.data).free,
            certificate_until=_certificate_until(config),
        )


def runs(config: MatcherConfig) -> bool:
    """Return whether a matcher runs on the data."""
    return is_locked(config.data / "lock")


def _signed(config: MatcherConfig) -> int:
    note = LogFiles(config.data / "log").read_checkpoint()
    try:
        return 0 if note is None else parse_checkpoint(parse_note(note).text).size
    except LinkageError:
        return 0


def _certificate_until(config: MatcherConfig) -> datetime:
    path = config.tls.certificate
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).not_valid_after_utc
    except (OSError, ValueError) as error:
        raise ConfigError(str(path), ["no certificate in PEM can be read there"]) from error
