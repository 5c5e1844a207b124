"""The 98 + 98 proof probes in the scheme of transparency-dev/merkle, and RFC 6962's roots."""

import hashlib
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from linkage.errors import ProofError
from linkage.log.hashing import EMPTY_ROOT, leaf_hash
from linkage.log.proof import verify_consistency, verify_inclusion
from linkage.log.tree import Frontier, root_of

FOLDER = Path(__file__).parents[2] / "vectors" / "log" / "probes"


def load(kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{kind}.json").read_text("ascii"))
    assert len(found) == 98
    return found


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("probe_generator", FOLDER / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# Theirs takes roots of any bytes where no hash is computed; a root here has 32 bytes.
STRICTER = {
    "0 to 0, 12 and 12 bytes, 0 hashes, same roots",
    "1 to 1, 12 and 12 bytes, 0 hashes, same roots",
}


@pytest.mark.parametrize("case", load("inclusion"), ids=lambda case: case["desc"])
def test_inclusion(case: dict[str, Any]) -> None:
    def check() -> None:
        proof = [bytes.fromhex(one) for one in case["proof"]]
        leaf, root = bytes.fromhex(case["leaf"]), bytes.fromhex(case["root"])
        verify_inclusion(leaf, case["index"], case["size"], proof, root)

    if case["want_err"]:
        with pytest.raises(ProofError):
            check()
    else:
        check()


@pytest.mark.parametrize("case", load("consistency"), ids=lambda case: case["desc"])
def test_consistency(case: dict[str, Any]) -> None:
    def check() -> None:
        proof = [bytes.fromhex(one) for one in case["proof"]]
        old_root, new_root = bytes.fromhex(case["old_root"]), bytes.fromhex(case["new_root"])
        verify_consistency(case["old"], case["new"], proof, old_root, new_root)

    if case["want_err"] or case["desc"] in STRICTER:
        with pytest.raises(ProofError):
            check()
    else:
        check()


def test_how_many_pass() -> None:
    inclusion, consistency = load("inclusion"), load("consistency")
    assert sum(not case["want_err"] for case in inclusion) == 6
    assert sum(not case["want_err"] for case in consistency) == 7
    for cases in (inclusion, consistency):
        assert len({case["desc"] for case in cases}) == 98
    assert {case["desc"] for case in consistency} >= STRICTER


def test_the_files_are_what_the_generator_writes() -> None:
    assert generator().probes() == {kind: load(kind) for kind in ("inclusion", "consistency")}


def test_the_published_roots() -> None:
    made = generator()
    leaves = [leaf_hash(leaf) for leaf in made.LEAVES]
    tree = Frontier()
    assert tree.root() == EMPTY_ROOT == hashlib.sha256(b"").digest()
    for size, published in enumerate(made.ROOTS, 1):
        tree.append(leaves[size - 1])
        assert tree.root().hex() == root_of(leaves[:size]).hex() == published
