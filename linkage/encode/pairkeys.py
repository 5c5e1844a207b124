"""One-time keys: one for each pair of records of the second round, and their secret order.

Both owners of a pair hold equal tickets, that is one entry e and token t. The key of the pair
is AES-256(K, t || e || 0) || AES-256(K, t || e || 1), K the key of the job and the two
parties: key derivation in counter mode with a block cipher as its keyed function (NIST SP
800-108, section 4.1), on single blocks, for all pairs of a chunk in one call. The block
numbered 2 gives the pair its place where owners name records in an order that the
matcher cannot know.
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


def secret_order(key: bytes, tickets: Tickets) -> NDArray[np.int64]:
    """Return the order of pairs that both owners know and nobody else, shape (n,).

    Args:
        key: as for `pair_keys`.
        tickets: own tickets of the pairs; both owners' have the same entries and tokens.
    """
    places = encrypted(_block(tickets, 2), key)[:, 0]
    # Ties cannot be left to the place of arrival, which the matcher chose.
    return np.lexsort((tickets.token, tickets.entry, places))


def _block(tickets: Tickets, counter: int) -> NDArray[np.uint64]:
    labels = tickets.entry.astype(np.uint64) | np.uint64(counter) << _COUNTER_AT
    return np.stack([tickets.token, labels], axis=1)
