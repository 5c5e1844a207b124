"""Rows in which an owner names the records of tickets, to be opened where pairs are likely.

Both owners of equal tickets have the keys, the matcher none. With F(label; a, b) the block
AES-256(K_label, a || b) of two words, T the tag of a ticket and s the own word of its share, a
row has

    T = first word of F(tag; token, entry)
    check of s = first word of F(side check; T, s),  mask of s = F(side mask; T, s)

for the own side, with a seal of the mask and the reference, and the same of the other side for
the words that are the other owner's own if the pair is of band 1, 2 or 3. So where either's own
word is the other's v-th, each has what unmasks the other's reference; for any others all that
there is in both rows are values of a keyed function at unlike places, each as good as a random
number. Who opens a pair that was not dealt has guessed a word. The order and the tag follow from
the ticket alone, by a key that the matcher lacks: it does not know which of its tickets a row is
about.

The own share of the steps is masked by F(side steps; T, 0), which both owners can take off.
`linkage.namerow` has the layout.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from linkage.encode.oncetokens import Side, encrypted
from linkage.namerow import N_BANDS, NameForm, seals
from linkage.ticket import Tickets

_OTHER: dict[Side, Side] = {"left": "right", "right": "left"}


class NameKeys:
    """What two parties name records by in one job.

    Args:
        key_of: returns the 32-byte key of a label, of the job and the two parties.
    """

    def __init__(self, key_of: Callable[[str], bytes]) -> None:
        self._tag = key_of("tag")
        self._keys = {
            (side, what): key_of(f"{side} {what}")
            for side in _OTHER
            for what in ("check", "mask", "steps")
        }

    def __repr__(self) -> str:
        return "NameKeys(...)"

    def tags(self, tickets: Tickets) -> NDArray[np.uint64]:
        """Return the tag of each ticket, equal at both owners, shape (n,)."""
        blocks = np.stack([tickets.token, tickets.entry.astype(np.uint64)], axis=1)
        return np.ascontiguousarray(encrypted(blocks, self._tag)[:, 0])

    def rows(
        self,
        side: Side,
        tags: NDArray[np.uint64],
        shares: NDArray[np.void],
        references: NDArray[np.uint8],
    ) -> NDArray[np.void]:
        """Return the rows of tickets, in their order, shape (n,).

        Args:
            side: `left` for the party that the job names first.
            tags: of the tickets, shape (n,).
            shares: as `NameForm.share` has them, shape (n,).
            references: of the records, shape (n, 16).
        """
        form, other = NameForm(shares["steps"].shape[1]), _OTHER[side]
        own, opens = (shares[name].astype(np.uint64) for name in ("own", "opens"))
        rows = np.empty(len(tags), dtype=form.row)
        rows["tag"] = tags
        rows["check"] = self._values(side, "check", tags, own)[:, 0]
        mask = _bytes(self._values(side, "mask", tags, own))
        rows["reference"], rows["seal"] = references ^ mask, seals(mask, references)
        for band in range(N_BANDS):
            word = opens[:, band]
            rows["checks"][:, band] = self._values(other, "check", tags, word)[:, 0]
            rows["masks"][:, band] = _bytes(self._values(other, "mask", tags, word))
        rows["steps"] = shares["steps"] ^ self._steps_mask(side, tags, form)
        return rows

    def steps(self, tags: NDArray[np.uint64], masked: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Return the packed steps of pairs, which the matcher has under both owners' masks.

        Args:
            tags: of the pairs, shape (n,).
            masked: shape (n, steps_bytes).
        """
        form = NameForm(masked.shape[1])
        left, right = (self._steps_mask(side, tags, form) for side in _OTHER)
        return masked ^ left ^ right

    def _steps_mask(
        self, side: Side, tags: NDArray[np.uint64], form: NameForm
    ) -> NDArray[np.uint8]:
        values = self._values(side, "steps", tags, np.zeros(len(tags), np.uint64))
        return _bytes(values)[:, : form.steps_bytes]

    def _values(
        self, side: Side, what: str, tags: NDArray[np.uint64], words: NDArray[np.uint64]
    ) -> NDArray[np.uint64]:
        return encrypted(np.stack([tags, words], axis=1), self._keys[side, what])


def _bytes(values: NDArray[np.uint64]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(values).view(np.uint8)
