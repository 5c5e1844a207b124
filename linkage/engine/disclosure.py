"""Conditional disclosure at the matcher: owners get shares, and likely pairs open.

Whoever is asked learns nothing from a share, and has to answer for every ticket alike. What
comes back opens where the two shares of a pair were dealt the words of a band, and says no
more of any other pair than that there is one (Gertner, Ishai, Kushilevitz and Malkin 1998:
conditional disclosure of secrets). The matcher has no key: it compares checks and takes masks
off.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linkage.namerow import N_BANDS, NameForm, seals


def share_out(
    bands: NDArray[np.uint8], steps: NDArray[np.uint8], random: Callable[[int], bytes]
) -> tuple[NDArray[np.void], NDArray[np.void]]:
    """Return the left and the right owners' shares of questions.

    Left's are what is drawn, whatever the bands. An owner that is asked alone gets either. Words
    that open are dealt and not computed: were one the sum of another and the band, an owner that
    answers as though its own were greater would open pairs that are not likely.

    Args:
        bands: of each question, 0 where it is no likely pair, shape (n,).
        steps: packed, of each, shape (n, steps_bytes).
        random: returns so many random bytes, which no owner may foresee.
    """
    form = NameForm(steps.shape[1]).share
    left, drawn = (np.frombuffer(random(len(bands) * form.itemsize), form) for _ in range(2))
    right = drawn.copy()
    likely = np.flatnonzero(bands)
    band = bands[likely] - 1
    right["opens"][likely, band] = left["own"][likely]
    right["own"][likely] = left["opens"][likely, band]
    right["steps"] = left["steps"] ^ steps
    return left, right


@dataclass(frozen=True)
class Opened:
    """The pairs that opened, in the order of their tags.

    Attributes:
        left: references of the left records, shape (n, 16).
        right: those of the right records, shape (n, 16).
        band: from 1, shape (n,).
        tag: shape (n,).
        steps: how the pairs compare, under masks that only their owners know, shape
            (n, steps_bytes).
    """

    left: NDArray[np.uint8]
    right: NDArray[np.uint8]
    band: NDArray[np.uint8]
    tag: NDArray[np.uint64]
    steps: NDArray[np.uint8]

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self.tag)

    def at(self, chosen: "NDArray[np.int64] | NDArray[np.bool_]") -> "Opened":
        """Return some of the pairs."""
        return Opened(*(getattr(self, name)[chosen] for name in _FIELDS))


def open_pairs(
    left: Iterable[NDArray[np.void]], right: Iterable[NDArray[np.void]], form: NameForm
) -> Opened:
    """Return the pairs of two owners that open.

    Args:
        left: rows of the left owner, in pieces, by ascending tag, each tag once.
        right: those of the right owner.
        form: what a row holds.
    """
    none = np.zeros(0, dtype=form.row)
    return _together([_open(none, none), *(_open(*both) for both in _joined(left, right))])


def _joined(
    left: Iterable[NDArray[np.void]], right: Iterable[NDArray[np.void]]
) -> Iterator[tuple[NDArray[np.void], NDArray[np.void]]]:
    """Yield the rows of both that have one tag, holding a piece of each at a time."""
    ours, theirs = (filter(len, pieces) for pieces in (left, right))
    one, other = next(ours, None), next(theirs, None)
    while one is not None and other is not None:
        end = min(one["tag"][-1], other["tag"][-1])
        n, m = (int(np.searchsorted(rows["tag"], end, side="right")) for rows in (one, other))
        _, i, j = np.intersect1d(
            one["tag"][:n], other["tag"][:m], assume_unique=True, return_indices=True
        )
        yield one[i], other[j]
        one = one[n:] if n < len(one) else next(ours, None)
        other = other[m:] if m < len(other) else next(theirs, None)


def _open(left: NDArray[np.void], right: NDArray[np.void]) -> Opened:
    """Return what opens of rows that have the same tags."""
    parts = []
    for at in range(N_BANDS):
        # Both owners have to say so: one alone names nobody.
        opens = (left["checks"][:, at] == right["check"]) & (
            right["checks"][:, at] == left["check"]
        )
        ours, theirs = left[opens], right[opens]
        of_left = ours["reference"] ^ theirs["masks"][:, at]
        of_right = theirs["reference"] ^ ours["masks"][:, at]
        # An owner that sends a wrong mask would have the other one named as somebody else.
        sealed = (seals(theirs["masks"][:, at], of_left) == ours["seal"]) & (
            seals(ours["masks"][:, at], of_right) == theirs["seal"]
        )
        found = Opened(
            of_left,
            of_right,
            np.full(len(ours), at + 1, np.uint8),
            ours["tag"].astype(np.uint64),
            ours["steps"] ^ theirs["steps"],
        )
        parts.append(found.at(sealed))
    whole = _together(parts)
    return whole.at(np.argsort(whole.tag))


_FIELDS = ("left", "right", "band", "tag", "steps")


def _together(parts: list[Opened]) -> Opened:
    return Opened(*(np.concatenate([getattr(part, name) for part in parts]) for name in _FIELDS))
