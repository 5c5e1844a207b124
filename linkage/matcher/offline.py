"""Documents for a log whose matcher does not run: the first enrolments, before it ever did."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from linkage.errors import ConfigError
from linkage.log.canonical import JsonObject
from linkage.log.entry import parse_entry
from linkage.matcher.anchors import Anchors, anchors_of
from linkage.matcher.config import MatcherConfig
from linkage.matcher.documents import Documents
from linkage.matcher.head_record import HeadRecord, RecordedEntries
from linkage.matcher.journal import Clock, Journal
from linkage.matcher.ledger import Ledger
from linkage.matcher.log_keys import open_log_signers
from linkage.matcher.match_log import MatchLog
from linkage.matcher.opened import opened_metadata
from linkage.matcher.retention import Retention
from linkage.store.artefacts import ArtefactStore
from linkage.store.log_files import LogFiles
from linkage.store.metadata import Metadata


def open_log(config: MatcherConfig, metadata: Metadata, journal: Journal) -> MatchLog:
    """Return the log of a matcher, checked against its files, and begun if it is new.

    Raises:
        KeystoreError: a signing key of it cannot be opened.
        CheckpointError: the log on disk contradicts what was signed.
    """
    signers = open_log_signers(config.log)
    recorded = RecordedEntries(metadata, HeadRecord(config.log.signing_key))
    log = MatchLog(
        recorded, LogFiles(config.data / "log", derived=True), signers, config.log.origin
    )
    log.recover()
    with metadata.write() as transaction:
        if transaction.entry_count() == 0:
            journal.record(transaction, "genesis", "matcher", None, _genesis(config))
    log.publish()
    check_genesis(config, metadata.read_entries(0, 1)[0])
    return log


def check_genesis(config: MatcherConfig, leaf: bytes) -> None:
    """Check that the log begins as the settings say: later they change nothing.

    Args:
        config: the settings.
        leaf: the first of the log.

    Raises:
        ConfigError: other administrators, or another name of the log.
    """
    body = parse_entry(leaf).body or {}
    said = _genesis(config)
    if any(body.get(name) != value for name, value in said.items()):
        problem = (
            "administrators, threshold or origin are not those that the log began with, which "
            "cannot be changed: restore them"
        )
        raise ConfigError("[log]", [problem])


def _genesis(config: MatcherConfig) -> JsonObject:
    return {
        "origin": config.log.origin,
        "admins": list(config.log.administrators),
        "threshold": config.log.threshold,
    }


@contextmanager
def offline_documents(config: MatcherConfig, clock: Clock = time.time) -> Iterator[Documents]:
    """Open the log of a matcher that does not run, for documents.

    Raises:
        ConfigError: the matcher runs.
        KeystoreError: the log's signing key cannot be opened.
        CheckpointError: the log on disk contradicts what was signed.
    """
    with opened_metadata(config) as metadata:
        log = open_log(config, metadata, Journal(clock))
        ledger = Ledger(metadata, clock)
        ledger.refresh()
        artefacts = ArtefactStore(config.data / "artefacts", config.keystore / "artefacts")
        retention = Retention(artefacts, ledger, clock, config.artefact_days)
        yield Documents(metadata, artefacts, ledger, log, clock, retention)


@contextmanager
def offline_anchors(config: MatcherConfig, clock: Clock = time.time) -> Iterator[Anchors]:
    """Open the log of a matcher that does not run, for anchors; raises as above.

    Raises:
        ConfigError: also if the settings name no timestamp authority.
    """
    with opened_metadata(config) as metadata:
        journal = Journal(clock)
        anchors = anchors_of(config, metadata, journal, open_log(config, metadata, journal))
        if anchors is None:
            raise ConfigError("[anchors]", ["names no timestamp authority: tsa and authority"])
        yield anchors
