"""A process that writes the match log as the matcher does, to be broken and killed by its test."""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from linkage.errors import LinkageError
from linkage.log.note import Signer
from linkage.log.vkey import VerifierKey
from linkage.matcher import offline
from linkage.matcher.config import Log, load_config
from linkage.matcher.journal import Journal
from linkage.matcher.log_keys import open_log_signers
from linkage.matcher.match_log import MatchLog
from linkage.matcher.offline import open_log, opened_metadata
from linkage.store.metadata import Metadata

Tell = Callable[..., None]


class Watched:
    """A signer that tells what it signs before it does."""

    def __init__(self, signer: Signer, tell: Tell) -> None:
        self._signer, self._tell = signer, tell

    @property
    def key(self) -> VerifierKey:
        return self._signer.key

    def sign(self, text: bytes) -> bytes:
        self._tell("signed", text)
        return self._signer.sign(text)


def append(metadata: Metadata, log: MatchLog, n: int, tell: Tell) -> None:
    """Append entries, publish them, and acknowledge them; `failed` where that fails."""
    try:
        journal = Journal(time.time)
        with metadata.write() as transaction:
            first = transaction.entry_count()
            for number in range(n):
                journal.record(transaction, "admin.note", "matcher", None, {"n": number})
            leaves = [entry.leaf for entry in transaction.entries(first, first + n)]
        log.publish()
    except (LinkageError, OSError) as error:
        tell("failed", type(error).__name__)
    else:
        tell("acknowledged", first, [hashlib.sha256(leaf).digest() for leaf in leaves])


def write_log(folder: Path, talk: Connection, batches: Sequence[int], n_threads: int) -> None:
    """Append batches, each published and acknowledged.

    Says `ready` once the log is open, and waits for a word; of each signature `signed` before it
    is made, `acknowledged` or `failed` of each batch, and `done`.

    Args:
        folder: of the matcher's settings.
        talk: to the test.
        batches: numbers of entries.
        n_threads: so many append at once, each all batches.
    """
    talking = threading.Lock()

    def tell(*words: Any) -> None:
        with talking:
            talk.send(words)

    def watched(log: Log) -> tuple[Signer, ...]:
        return tuple(Watched(signer, tell) for signer in open_log_signers(log))

    offline.open_log_signers = watched
    config = load_config(folder / "matcher.toml")
    with opened_metadata(config) as metadata:
        log = open_log(config, metadata, Journal(time.time))
        append(metadata, log, 1, tell)
        tell("ready")
        talk.recv()

        def work() -> None:
            for n in batches:
                append(metadata, log, n, tell)

        threads = [threading.Thread(target=work) for _ in range(n_threads - 1)]
        for thread in threads:
            thread.start()
        work()
        for thread in threads:
            thread.join()
    tell("done")
