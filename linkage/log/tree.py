"""The growing tree, kept as the roots of its perfect subtrees.

A tree of n leaves splits into one perfect subtree per set bit of n, largest
first. Those roots are all that appending needs: 20 hashes for a million leaves.

Source: RFC 6962, section 2.1.
"""

from collections.abc import Sequence

from linkage.log.hashing import EMPTY_ROOT, HASH_BYTES, node_hash


class Frontier:
    """An append-only tree that remembers only what the next leaf needs."""

    __slots__ = ("_roots", "_size")

    def __init__(self) -> None:
        self._roots: list[bytes] = []
        self._size = 0

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._size

    def append(self, leaf: bytes) -> list[bytes]:
        """Add one leaf hash.

        Returns:
            The roots of the perfect subtrees that this leaf completes: at
            position h the one of height h, so the leaf itself comes first.

        Raises:
            ValueError: `leaf` is not a hash.
        """
        if len(leaf) != HASH_BYTES:
            raise ValueError(f"a leaf hash has {HASH_BYTES} bytes, not {len(leaf)}")
        completed = [leaf]
        root = leaf
        below = self._size
        while below & 1:
            root = node_hash(self._roots.pop(), root)
            completed.append(root)
            below >>= 1
        self._roots.append(root)
        self._size += 1
        return completed

    def root(self) -> bytes:
        """Return the root of the whole tree; of no leaves, the hash of nothing."""
        return join_subtrees(self._roots) if self._roots else EMPTY_ROOT


class History:
    """A tree that knows the root it had at every size: some 64 bytes for each leaf."""

    def __init__(self) -> None:
        self._tree = Frontier()
        self._nodes: list[list[bytes]] = []

    @property
    def size(self) -> int:
        """The number of leaves."""
        return self._tree.size

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash.

        Raises:
            ValueError: `leaf` is not a hash.
        """
        for height, node in enumerate(self._tree.append(leaf)):
            if height == len(self._nodes):
                self._nodes.append([])
            self._nodes[height].append(node)

    def node(self, height: int, position: int) -> bytes:
        """Return the root over leaves position * 2**height up to (position + 1) * 2**height."""
        return self._nodes[height][position]

    def root_at(self, size: int) -> bytes:
        """Return the root over the first `size` leaves.

        Raises:
            ValueError: there are fewer.
        """
        if not 0 <= size <= self.size:
            raise ValueError(f"no root at {size} of {self.size} leaves")
        heights = [height for height in range(size.bit_length()) if size >> height & 1]
        roots = [self.node(height, (size >> height) - 1) for height in reversed(heights)]
        return join_subtrees(roots) if roots else EMPTY_ROOT


def join_subtrees(roots: Sequence[bytes]) -> bytes:
    """Return the root over adjacent perfect subtrees, each larger than the next.

    Raises:
        ValueError: there are none.
    """
    if not roots:
        raise ValueError("no subtree to join")
    root = roots[-1]
    for left in reversed(roots[:-1]):
        root = node_hash(left, root)
    return root


def root_of(leaves: Sequence[bytes]) -> bytes:
    """Return the root over all leaf hashes given, in their order.

    Pairing level by level, with an odd last node passed up as it is, gives the
    same tree as the recursive definition.
    """
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        odd = level[-1:] if len(level) % 2 else []
        level = [node_hash(a, b) for a, b in zip(level[::2], level[1::2], strict=False)] + odd
    return level[0]
