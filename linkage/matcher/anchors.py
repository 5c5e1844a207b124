"""Anchors: an authority's timestamp over the log, logged from time to time.

Whoever runs the matcher cannot date what he writes back past an anchor. The authority sees a hash
of a checkpoint, and nothing of the log.
"""

import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from datetime import timedelta

from cryptography import x509

from linkage.errors import ConfigError, UnavailableError, VerificationError
from linkage.log.checkpoint import Checkpoint, format_checkpoint, parse_checkpoint
from linkage.log.entry import parse_entry
from linkage.log.note import parse_note
from linkage.log.timestamp import (
    MAX_RESPONSE_BYTES,
    format_anchor,
    load_authorities,
    timestamp_query,
    verify_timestamp,
)
from linkage.matcher.config import MatcherConfig
from linkage.matcher.journal import Journal, time_of
from linkage.matcher.match_log import MatchLog
from linkage.store.metadata import Metadata

_ANCHOR, _MATCHER = "anchor", "matcher"
_TIMEOUT_S = 30.0
_PAGE = 512
Ask = Callable[[bytes], bytes]


class Anchors:
    """The anchors of a matcher's log.

    Args:
        metadata: the database.
        journal: makes log entries.
        log: publishes them.
        origin: its name.
        authorities: certificates of those whose timestamps count.
    """

    def __init__(
        self,
        metadata: Metadata,
        journal: Journal,
        log: MatchLog,
        origin: str,
        authorities: Sequence[x509.Certificate],
    ) -> None:
        self._metadata, self._journal, self._log = metadata, journal, log
        self._origin, self._authorities = origin, tuple(authorities)

    def due(self, every: timedelta) -> bool:
        """Return whether there is no anchor of late, and something new to anchor."""
        now = time_of(self._journal.clock)
        with self._metadata.read() as transaction:
            size = end = transaction.entry_count()
            while end > 0:
                start = max(0, end - _PAGE)
                entries = [parse_entry(one.leaf) for one in transaction.entries(start, end)]
                for index, entry in zip(range(end - 1, -1, -1), reversed(entries), strict=False):
                    if entry.type == _ANCHOR:
                        return index < size - 1 and now - entry.time >= every
                    if now - entry.time >= every:
                        return True
                end = start
        # It was never anchored.
        return size > 0

    def anchor(self, ask: Ask) -> int:
        """Have the last checkpoint timestamped, and return the leaf that says so.

        Args:
            ask: sends a request to the authority, and returns its response.

        Raises:
            UnavailableError: the authority does not answer.
            VerificationError: its response does not hold.
        """
        text = parse_note(self._log.checkpoint()).text
        response = ask(timestamp_query(text.encode()))
        return self._record(parse_checkpoint(text).size, text, response)

    def query(self) -> bytes:
        """Return a request for a timestamp over the last checkpoint, to be carried by hand."""
        return timestamp_query(parse_note(self._log.checkpoint()).text.encode())

    def take(self, response: bytes) -> int:
        """Log a response that was carried by hand; return the leaf.

        Raises:
            VerificationError: it is over no checkpoint of this log, or does not hold.
        """
        newest = parse_checkpoint(parse_note(self._log.checkpoint()).text).size
        refused: VerificationError | None = None
        for size in range(newest, 0, -1):
            root = self._log.root_at(size)
            text = format_checkpoint(Checkpoint(self._origin, size, root or b""))
            try:
                return self._record(size, text, response)
            except VerificationError as error:
                refused = refused or error
        raise refused or VerificationError("the log has nothing to be timestamped")

    def _record(self, size: int, text: str, response: bytes) -> int:
        verify_timestamp(response, text.encode(), self._authorities)
        with self._metadata.write() as transaction:
            body = format_anchor(size, response)
            leaf = self._journal.record(transaction, _ANCHOR, _MATCHER, None, body)
        self._log.publish()
        return leaf


def anchors_of(
    config: MatcherConfig, metadata: Metadata, journal: Journal, log: MatchLog
) -> Anchors | None:
    """Return the anchors of a matcher; None where its settings name no authority.

    Raises:
        ConfigError: the authority's certificates cannot be read.
    """
    if config.anchors is None:
        return None
    path = config.anchors.authority
    try:
        authorities = load_authorities(path.read_bytes(), str(path))
    except OSError as error:
        raise ConfigError(str(path), [f"cannot be read: {error.strerror}"]) from error
    return Anchors(metadata, journal, log, config.log.origin, authorities)


def asking(url: str) -> Ask:
    """Return a call to a timestamp authority over HTTP (RFC 3161, section 3.4)."""

    def ask(query: bytes) -> bytes:
        request = urllib.request.Request(  # noqa: S310 -- the settings take http and https alone
            url, query, {"Content-Type": "application/timestamp-query"}
        )
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310
                response: bytes = answer.read(MAX_RESPONSE_BYTES + 1)
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise UnavailableError(f"{url}: the timestamp authority does not answer") from error
        return response

    return ask
