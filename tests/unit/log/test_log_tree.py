"""Roots and proofs against the reference tree of certificate-transparency."""

import time

import pytest

from linkage.errors import ProofError
from linkage.log.hashing import EMPTY_ROOT, leaf_hash, node_hash
from linkage.log.proof import (
    consistency_proof,
    inclusion_proof,
    verify_consistency,
    verify_inclusion,
)
from linkage.log.tree import Frontier, join_subtrees, root_of

# certificate-transparency, src/merkletree tests: the eight leaves and their roots.
ENTRIES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION_0_OF_8 = [
    "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
    "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
]
CONSISTENCY_6_TO_8 = [
    "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
    "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]


def get_node(height: int, position: int) -> bytes:
    return root_of(LEAVES[position << height : (position + 1) << height])


def root(size: int) -> bytes:
    return bytes.fromhex(ROOTS[size])


def test_reference_roots() -> None:
    tree = Frontier()
    assert tree.root() == EMPTY_ROOT == root(0)
    for size, leaf in enumerate(LEAVES, 1):
        tree.append(leaf)
        assert tree.size == size
        assert tree.root() == root(size) == root_of(LEAVES[:size])


def test_append_returns_the_subtrees_it_completes() -> None:
    tree = Frontier()
    completed = [tree.append(leaf) for leaf in LEAVES]
    assert [len(roots) for roots in completed] == [1, 2, 1, 3, 1, 2, 1, 4]
    assert completed[7] == [LEAVES[7], node_hash(LEAVES[6], LEAVES[7]), get_node(2, 1), root(8)]


def test_reference_proofs() -> None:
    inclusion = inclusion_proof(0, 8, get_node)
    assert [h.hex() for h in inclusion] == INCLUSION_0_OF_8
    verify_inclusion(LEAVES[0], 0, 8, inclusion, root(8))
    consistency = consistency_proof(6, 8, get_node)
    assert [h.hex() for h in consistency] == CONSISTENCY_6_TO_8
    verify_consistency(6, 8, consistency, root(6), root(8))


def test_an_empty_tree_is_extended_by_every_tree() -> None:
    assert consistency_proof(0, 8, get_node) == []
    verify_consistency(0, 8, [], root(0), root(8))
    verify_consistency(0, 0, [], root(0), root(0))
    with pytest.raises(ProofError, match="empty"):
        verify_consistency(0, 8, [], root(1), root(8))
    with pytest.raises(ProofError, match="too long"):
        verify_consistency(0, 8, [root(1)], root(0), root(8))


@pytest.mark.parametrize(("index", "size"), [(-1, 8), (8, 8), (9, 8), (0, 0), (0, -1)])
def test_a_leaf_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no leaf"):
        inclusion_proof(index, size, get_node)
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[0], index, size, [], LEAVES[0])


@pytest.mark.parametrize(("old", "new"), [(-1, 3), (4, 3)])
def test_sizes_in_the_wrong_order(old: int, new: int) -> None:
    with pytest.raises(ValueError, match="no consistency proof"):
        consistency_proof(old, new, get_node)
    with pytest.raises(ProofError):
        verify_consistency(old, new, [], root(3), root(3))


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_hashes_have_32_bytes_everywhere(length: int) -> None:
    odd = bytes(length)
    proof = inclusion_proof(0, 8, get_node)
    with pytest.raises(ProofError, match="a hash of"):
        verify_inclusion(odd, 0, 8, proof, root(8))
    with pytest.raises(ProofError, match="a hash of"):
        verify_inclusion(LEAVES[0], 0, 8, [odd, *proof[1:]], root(8))
    with pytest.raises(ProofError, match="a hash of"):
        verify_inclusion(LEAVES[0], 0, 8, proof, odd)
    with pytest.raises(ProofError, match="a hash of"):
        verify_consistency(8, 8, [], odd, odd)
    with pytest.raises(ValueError, match="leaf hash"):
        Frontier().append(odd)


def test_two_concatenated_hashes_are_no_hash() -> None:
    """A verifier that hashes what it is given could be fed a node as a sibling and a leaf."""
    path = inclusion_proof(0, 8, get_node)
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[0], 0, 8, [path[0] + path[1], path[2]], root(8))


def test_joining_nothing_is_a_bug() -> None:
    with pytest.raises(ValueError, match="no subtree"):
        join_subtrees([])


def test_a_large_tree_keeps_only_its_frontier_and_is_quick() -> None:
    tree = Frontier()
    leaf = leaf_hash(b"x")
    start = time.perf_counter()
    for _ in range(100_000):
        tree.append(leaf)
    assert tree.size == 100_000
    # Two orders of magnitude of room on a slow machine.
    assert time.perf_counter() - start < 20
