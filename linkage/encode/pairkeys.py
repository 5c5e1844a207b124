"""One-time keys: one for each pair of the second round.

The key of pair n is AES-256(K, n || 0) || AES-256(K, n || 1), K the key of the job and
the two parties: key derivation in counter mode with a block cipher as its keyed function
(NIST SP 800-108, section 4.1), on single blocks, for all pairs of a chunk in one call.
"""

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB
from numpy.typing import NDArray

PAIR_KEY_BYTES = 32


def pair_keys(key: bytes, pairs: NDArray[np.uint32]) -> NDArray[np.uint8]:
    """Return the keys of pairs, shape (n, 32).

    Args:
        key: key of the job and the two parties, 32 bytes.
        pairs: numbers of the pairs.
    """
    blocks = np.zeros((len(pairs), 2, 2), dtype="<u8")
    blocks[:, :, 0] = pairs[:, None]
    blocks[:, 1, 1] = 1
    # Every block is one value of a keyed function of its own: that is what ECB is.
    encryptor = Cipher(AES256(key), ECB()).encryptor()  # noqa: S305
    keys = np.frombuffer(encryptor.update(blocks.tobytes()), dtype=np.uint8)
    return keys.reshape(len(pairs), PAIR_KEY_BYTES)
