"""The keys of link ids: one for each agreement and pair of parties, the matcher's own.

They are no linkage keys: they turn group numbers into link ids that two parties
share and nobody else can relate to anything.
"""

import hashlib
import os
import threading
from datetime import UTC, datetime
from pathlib import Path

from keys.keystore import KeyHeader, open_keystore, write_keystore
from keys.providers import KeyProvider
from linkage.matcher.journal import Clock


class PairKeys:
    """Keystore files of pair keys, made when first needed.

    Args:
        directory: where the files lie.
        provider: opens them.
        clock: the matcher's clock.
    """

    def __init__(self, directory: Path, provider: KeyProvider, clock: Clock) -> None:
        self._directory, self._provider, self._clock = directory, provider, clock
        self._lock = threading.Lock()

    def key(self, agreement_id: str, parties: tuple[str, str]) -> bytes:
        """Return the key of one agreement and pair of parties, in either order.

        Raises:
            KeystoreError: its file was damaged, or the provider does not open it.
        """
        name = "\n".join((agreement_id, *sorted(parties)))
        key_id = "pair-" + hashlib.sha256(name.encode()).hexdigest()[:32]
        path = self._directory / key_id
        with self._lock:
            if not path.exists():
                created = datetime.fromtimestamp(int(self._clock()), UTC).isoformat()
                header = KeyHeader(key_id, "pair", agreement_id, 0, created, self._provider.name)
                write_keystore(path, os.urandom(32), header, self._provider)
            return open_keystore(path, self._provider)[1]
