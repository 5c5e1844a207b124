"""The tree that knows every root it had."""

import pytest

from linkage.log.hashing import leaf_hash
from linkage.log.proof import consistency_proof, verify_consistency
from linkage.log.tree import History, root_of


def test_every_root_is_that_of_the_leaves_so_far() -> None:
    leaves = [leaf_hash(b"%d" % i) for i in range(70)]
    tree = History()
    for leaf in leaves:
        tree.append(leaf)
    for size in range(71):
        assert tree.root_at(size) == root_of(leaves[:size])
    for size in (-1, 71):
        with pytest.raises(ValueError, match="no root"):
            tree.root_at(size)


def test_its_nodes_make_proofs() -> None:
    tree = History()
    for i in range(33):
        tree.append(leaf_hash(b"%d" % i))
    for old in range(1, 33):
        proof = consistency_proof(old, 33, tree.node)
        verify_consistency(old, 33, proof, tree.root_at(old), tree.root_at(33))
