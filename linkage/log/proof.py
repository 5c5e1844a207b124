"""Inclusion and consistency proofs of the match log.

Pure functions on bytes. Making a proof needs the roots of perfect subtrees,
which the caller looks up; checking one needs nothing but the proof. What a
failed proof means is for the caller to say.

Source: RFC 6962, section 2.1 (what a proof is); RFC 9162, sections 2.1.3.2 and
2.1.4.2 (how to check one).
"""

from collections.abc import Callable, Sequence
from typing import TypeAlias

from linkage.errors import ProofError
from linkage.log.hashing import EMPTY_ROOT, HASH_BYTES, node_hash
from linkage.log.tree import join_subtrees

GetNode: TypeAlias = Callable[[int, int], bytes]
"""(height h, position i) to the root over leaves i * 2**h up to (i + 1) * 2**h."""


def inclusion_proof(index: int, size: int, get_node: GetNode) -> list[bytes]:
    """Return the audit path of leaf `index` in the tree of `size` leaves.

    Raises:
        ValueError: not 0 <= index < size.
    """
    if not 0 <= index < size:
        raise ValueError(f"no leaf {index} in a tree of {size}")
    start, end = 0, size
    path = []
    while end - start > 1:
        middle = _split(start, end)
        if index < middle:
            path.append(_range_root(middle, end, get_node))
            end = middle
        else:
            path.append(_range_root(start, middle, get_node))
            start = middle
    return path[::-1]


def consistency_proof(old: int, new: int, get_node: GetNode) -> list[bytes]:
    """Return the proof that the tree of `new` leaves extends the one of `old`.

    Returns:
        Nothing for old == new, and nothing for old == 0: every tree extends the
        empty one.

    Raises:
        ValueError: not 0 <= old <= new.
    """
    if not 0 <= old <= new:
        raise ValueError(f"no consistency proof from {old} to {new} leaves")
    if old == 0:
        return []
    start, end = 0, new
    path = []
    while old < end:
        middle = _split(start, end)
        if old <= middle:
            path.append(_range_root(middle, end, get_node))
            end = middle
        else:
            path.append(_range_root(start, middle, get_node))
            start = middle
    if start > 0:
        # The old tree ends inside the new one, not at a subtree the verifier knows.
        path.append(_range_root(start, end, get_node))
    return path[::-1]


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Check that the leaf hash `leaf` is at `index` in the tree (size, root).

    Raises:
        ProofError: it is not shown to be: wrong path, wrong length, a hash that
            is not 32 bytes, or not 0 <= index < size.
    """
    _check_hashes([leaf, root, *proof])
    if not 0 <= index < size:
        raise ProofError(f"inclusion proof for leaf {index} of a tree of {size}")
    position, last = index, size - 1
    got = leaf
    for sibling in proof:
        if last == 0:
            raise ProofError("inclusion proof is too long")
        if position & 1 or position == last:
            got = node_hash(sibling, got)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            got = node_hash(got, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("inclusion proof is too short")
    if got != root:
        raise ProofError(f"leaf {index} is not in the tree of {size} under this root")


def verify_consistency(
    old: int, new: int, proof: Sequence[bytes], old_root: bytes, new_root: bytes
) -> None:
    """Check that the tree (new, new_root) extends the tree (old, old_root).

    Raises:
        ProofError: it is not shown to: wrong path, wrong length, a hash that is
            not 32 bytes, a root that is not the one of an empty tree at size 0,
            or not 0 <= old <= new.
    """
    _check_hashes([old_root, new_root, *proof])
    if not 0 <= old <= new:
        raise ProofError(f"consistency proof from {old} to {new} leaves")
    if (old == 0 and old_root != EMPTY_ROOT) or (new == 0 and new_root != EMPTY_ROOT):
        raise ProofError("an empty tree has another root")
    if old in (0, new):
        if proof:
            raise ProofError("consistency proof is too long")
        if old == new and old_root != new_root:
            raise ProofError(f"two roots for the tree of {old} leaves")
        return
    # An old tree that is one perfect subtree is the first node of its own proof.
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not path:
        raise ProofError("consistency proof is too short")
    position, last = old - 1, new - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    got_old = got_new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise ProofError("consistency proof is too long")
        if position & 1 or position == last:
            got_old = node_hash(sibling, got_old)
            got_new = node_hash(sibling, got_new)
            while position and not position & 1:
                position, last = position >> 1, last >> 1
        else:
            got_new = node_hash(got_new, sibling)
        position, last = position >> 1, last >> 1
    if last:
        raise ProofError("consistency proof is too short")
    if got_old != old_root or got_new != new_root:
        raise ProofError(f"the tree of {new} leaves does not extend the tree of {old}")


def _split(start: int, end: int) -> int:
    """Return where the range parts: after the largest power of two smaller than it."""
    return start + (1 << ((end - start - 1).bit_length() - 1))


def root_of_first(size: int, get_node: GetNode) -> bytes:
    """Return the root of the tree of the first `size` leaves."""
    return _range_root(0, size, get_node) if size else EMPTY_ROOT


def _range_root(start: int, end: int, get_node: GetNode) -> bytes:
    """Return the root over leaves start up to end.

    Every range that a proof names starts at a multiple of a power of two that is
    no smaller than the range, so its perfect subtrees are nodes of the tree.
    """
    roots = []
    while start < end:
        height = (end - start).bit_length() - 1
        roots.append(get_node(height, start >> height))
        start += 1 << height
    return join_subtrees(roots)


def _check_hashes(hashes: Sequence[bytes]) -> None:
    for value in hashes:
        if len(value) != HASH_BYTES:
            raise ProofError(f"a hash of {len(value)} bytes in a proof")
