"""Which own records went into a job: what an agency has to be able to tell whom it concerns.

One bit for each record of the agreement's map of references, encrypted in the agent's store and
kept as long as the map itself. It never leaves the machine.
"""

import datetime
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from linkage.agent.references import References
from linkage.errors import NotFoundError, VerificationError
from linkage.store.artefacts import ArtefactStore

_FILE = "records"


class Participants:
    """Gives references like the map, and remembers to whom.

    Args:
        references: the map.
        store: the agent's encrypted store.
        job_id: the job that they are for.
        expires: day after which what is remembered can no longer be read.
    """

    def __init__(
        self, references: References, store: ArtefactStore, job_id: str, expires: datetime.date
    ) -> None:
        self._references, self._given = references, list[bytes]()
        self._store, self._job_id, self._expires = store, job_id, expires

    def of(self, record_ids: Sequence[str]) -> bytes:
        """Return the references of records, 16 bytes each, in a row; as `References.of`."""
        given = self._references.of(record_ids)
        self._given.append(given)
        return given

    def keep(self) -> None:
        """Keep to whom references were given."""
        numbers = self._references.numbers(b"".join(self._given))
        there = np.zeros(int(numbers.max(initial=-1)) + 1, dtype=np.bool_)
        there[numbers] = True
        self._store.create(_dataset(self._job_id), self._expires)
        self._store.write(_dataset(self._job_id), _FILE, np.packbits(there).tobytes())


def participants_of(store: ArtefactStore, job_id: str) -> NDArray[np.int64] | None:
    """Return the numbers of the own records that went into a job.

    Returns:
        Ascending, as `References.numbered` takes them; None where it is not known: the job was
        not encoded with this work folder, or its time is over.
    """
    try:
        bits = np.frombuffer(store.read(_dataset(job_id), _FILE), dtype=np.uint8)
    except (NotFoundError, VerificationError):
        return None
    return np.flatnonzero(np.unpackbits(bits)).astype(np.int64)


def _dataset(job_id: str) -> str:
    return f"participants-{job_id}"
