"""Trees and proofs agree with the recursive definition at every size."""

import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linkage.errors import ProofError
from linkage.log.hashing import leaf_hash
from linkage.log.proof import (
    consistency_proof,
    inclusion_proof,
    verify_consistency,
    verify_inclusion,
)
from linkage.log.tree import Frontier, root_of

# The definition, straight from RFC 6962: it also writes the vectors.
DEFINITION = runpy.run_path(str(Path(__file__).parents[1] / "vectors" / "log" / "generate.py"))
MTH, PATH, PROOF = (DEFINITION[name] for name in ("tree_hash", "audit_path", "consistency"))

MAX_SIZE = 64
ENTRIES = [bytes([i]) * (i % 5) + b"%d" % i for i in range(MAX_SIZE)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
ROOTS = [MTH(ENTRIES[:size]) for size in range(MAX_SIZE + 1)]
SIZES = st.integers(min_value=1, max_value=MAX_SIZE)


def get_node(height: int, position: int) -> bytes:
    start, end = position << height, (position + 1) << height
    assert end <= MAX_SIZE, "a node that is not complete was asked for"
    return root_of(LEAVES[start:end])


def test_roots_at_every_size() -> None:
    tree = Frontier()
    for size in range(MAX_SIZE + 1):
        assert tree.root() == root_of(LEAVES[:size]) == ROOTS[size]
        if size < MAX_SIZE:
            tree.append(LEAVES[size])


@pytest.mark.parametrize("size", range(1, MAX_SIZE + 1))
def test_inclusion_of_every_leaf(size: int) -> None:
    for index in range(size):
        proof = inclusion_proof(index, size, get_node)
        assert proof == PATH(index, ENTRIES[:size])
        verify_inclusion(LEAVES[index], index, size, proof, ROOTS[size])


@pytest.mark.parametrize("new", range(1, MAX_SIZE + 1))
def test_consistency_with_every_smaller_tree(new: int) -> None:
    for old in range(1, new + 1):
        proof = consistency_proof(old, new, get_node)
        assert proof == PROOF(old, ENTRIES[:new])
        verify_consistency(old, new, proof, ROOTS[old], ROOTS[new])


@given(st.data(), SIZES)
def test_an_altered_inclusion_proof_fails(data: st.DataObject, size: int) -> None:
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    proof = inclusion_proof(index, size, get_node)
    altered = _altered(data, proof)
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[index], index, size, altered, ROOTS[size])
    other = (
        data.draw(st.integers(min_value=0, max_value=size - 1).filter(lambda i: i != index))
        if size > 1
        else size
    )
    with pytest.raises(ProofError):
        verify_inclusion(LEAVES[index], other, size, proof, ROOTS[size])


@given(st.data(), SIZES)
def test_an_altered_consistency_proof_fails(data: st.DataObject, new: int) -> None:
    old = data.draw(st.integers(min_value=1, max_value=new))
    proof = consistency_proof(old, new, get_node)
    with pytest.raises(ProofError):
        verify_consistency(old, new, _altered(data, proof), ROOTS[old], ROOTS[new])
    with pytest.raises(ProofError):
        verify_consistency(old, new, proof, ROOTS[old - 1], ROOTS[new])
    with pytest.raises(ProofError):
        verify_consistency(old, new, proof, ROOTS[old], ROOTS[new - 1])


def _altered(data: st.DataObject, proof: list[bytes]) -> list[bytes]:
    """Drop, add, repeat or flip one thing."""
    n = len(proof)
    at = data.draw(st.integers(min_value=0, max_value=max(n - 1, 0)))
    bit = data.draw(st.integers(min_value=0, max_value=255))
    change = data.draw(st.sampled_from(["add", "drop", "repeat", "flip", "cut"]))
    if n == 0 or change == "add":
        return [*proof[:at], bytes(32), *proof[at:]]
    if change == "drop":
        return proof[:at] + proof[at + 1 :]
    if change == "repeat":
        return [*proof[: at + 1], *proof[at:]]
    value = bytearray(proof[at])
    value[bit // 8] ^= 1 << bit % 8
    return [*proof[:at], bytes(value) if change == "flip" else proof[at][:-1], *proof[at + 1 :]]
