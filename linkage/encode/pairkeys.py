"""One-time keys: one for each pair of records of the second round.

Both owners of a pair hold equal tickets, that is one entry e and token t. The key of the pair
is AES-256(K, t || e || 0) || AES-256(K, t || e || 1), K the key of the job and the two
parties: key derivation in counter mode with a block cipher as its keyed function (NIST SP
800-108, section 4.1), on single blocks, for all pairs of a chunk in one call.
"""

import numpy as np
from numpy.typing import NDArray

from linkage.encode.oncetokens import encrypted
from linkage.ticket import Tickets

PAIR_KEY_BYTES = 32
_COUNTER_AT = np.uint64(8)


def pair_keys(key: bytes, tickets: Tickets) -> NDArray[np.uint8]:
    """Return the keys of pairs, shape (n, 32).

    Args:
        key: key of the job and the two parties, 32 bytes.
        tickets: own tickets of the pairs.
    """
    blocks = np.stack([_block(tickets, 0), _block(tickets, 1)], axis=1)
    made = encrypted(blocks, key)
    return np.ascontiguousarray(made).view(np.uint8).reshape(len(tickets), PAIR_KEY_BYTES)


def _block(tickets: Tickets, counter: int) -> NDArray[np.uint64]:
    labels = tickets.entry.astype(np.uint64) | np.uint64(counter) << _COUNTER_AT
    return np.stack([tickets.token, labels], axis=1)
