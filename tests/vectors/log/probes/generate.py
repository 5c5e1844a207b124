"""Write inclusion.json and consistency.json, next to this file: 98 probes each.

    python tests/vectors/log/probes/generate.py

The scheme is that of the probes of transparency-dev/merkle (proof/verify_test.go and
testdata; Apache-2.0): its trees of up to eight leaves, its eleven proofs, each one
tampered with in every way it knows, and the edge cases of its additional folders.
Nothing is copied: hashes and proofs come from the recursive definition of RFC 6962,
section 2.1, which shares no line with `linkage.log`, and the roots are compared with the
published ones. `want_err` is what that library answers.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
# The eight leaves of the tests of Certificate Transparency, and the roots over the first of them.
LEAVES = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243", "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSIONS = [(0, 1), (0, 8), (5, 8), (2, 3), (1, 5)]
CONSISTENCIES = [(1, 1), (1, 8), (6, 8), (2, 5), (6, 7)]
EMPTY = hashlib.sha256().digest()
RANDOM = bytes.fromhex("abacaba000000000000000000000000000000000000000000060061e00123456")
ANY_1, ANY_2 = b"don't care 1", b"don't care 2"
UINT64 = 2**64
Probe = dict[str, Any]


def tree_hash(entries: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return hashlib.sha256(b"\x01" + tree_hash(entries[:k]) + tree_hash(entries[k:])).digest()


def split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def audit_path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*audit_path(m, entries[:k]), tree_hash(entries[k:])]
    return [*audit_path(m - k, entries[k:]), tree_hash(entries[:k])]


def subproof(m: int, entries: Sequence[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF(m, D[n], b)."""
    if m == len(entries):
        return [] if whole else [tree_hash(entries)]
    k = split(len(entries))
    if m <= k:
        return [*subproof(m, entries[:k], whole), tree_hash(entries[k:])]
    return [*subproof(m - k, entries[k:], False), tree_hash(entries[:k])]


def flipped(proof: Sequence[bytes], at: int, mask: int) -> list[bytes]:
    return [*proof[:at], bytes([proof[at][0] ^ mask]) + proof[at][1:], *proof[at + 1 :]]


def probe(desc: str, want_err: bool, **fields: Any) -> Probe:
    shown = {
        name: [one.hex() for one in value] if isinstance(value, list)
        else value.hex() if isinstance(value, bytes) else value % UINT64
        for name, value in fields.items()
    }  # fmt: skip
    return {"desc": desc, "want_err": want_err, **shown}


def inclusion_probes() -> Iterator[Probe]:
    for index, size in INCLUSIONS:
        root, leaf = tree_hash(LEAVES[:size]), tree_hash([LEAVES[index]])
        proof = audit_path(index, LEAVES[:size])
        name = f"{index} of {size}"
        good: dict[str, Any] = {
            "index": index, "size": size, "root": root, "leaf": leaf, "proof": proof,
        }  # fmt: skip
        yield probe(f"{name}: happy path", False, **good)
        wrong: dict[str, dict[str, Any]] = {
            "index - 1": {"index": index - 1}, "index + 1": {"index": index + 1},
            "index ^ 2": {"index": index ^ 2}, "size * 2": {"size": size * 2},
            "size / 2": {"size": size // 2}, "wrong leaf": {"leaf": b"WrongLeaf"},
            "empty root": {"root": EMPTY}, "random root": {"root": RANDOM},
            "trailing garbage": {"proof": [*proof, b""]},
            "trailing root": {"proof": [*proof, root]},
            "preceding garbage": {"proof": [b"", *proof]},
            "preceding root": {"proof": [root, *proof]},
        }  # fmt: skip
        for at in range(len(proof)):
            wrong[f"modified proof[{at}] bit 3"] = {"proof": flipped(proof, at, 8)}
        if proof:
            wrong["removed component"] = {"proof": proof[:-1]}
        if len(proof) > 1:
            wrong["inserted component"] = {"proof": [proof[0], RANDOM, *proof[1:]]}
        for what, change in wrong.items():
            yield probe(f"{name}: {what}", True, **{**good, **change})
    leaf = tree_hash([b"data"])
    for what, the_root, the_leaf in (
        ("matching root and leaf", leaf, leaf), ("empty leaf", leaf, b""),
        ("empty root", b"", leaf), ("empty root and leaf", b"", b""),
    ):  # fmt: skip
        want_err = what != "matching root and leaf"
        one = {"index": 0, "size": 1, "root": the_root, "leaf": the_leaf, "proof": list[bytes]()}
        yield probe(f"single entry: {what}", want_err, **one)
    for index, size in ((0, 0), (0, 1), (1, 0), (2, 1)):
        for what, the_root, the_leaf in (
            ("empty root", b"", RANDOM), ("empty leaf", EMPTY, b""),
            ("root of nothing, random leaf", EMPTY, RANDOM),
        ):  # fmt: skip
            fields = {"index": index, "size": size, "root": the_root, "leaf": the_leaf}
            yield probe(f"edge, {index} of {size}: {what}", True, **fields, proof=list[bytes]())


def consistency_probes() -> Iterator[Probe]:
    for old, new in CONSISTENCIES:
        old_root, new_root = tree_hash(LEAVES[:old]), tree_hash(LEAVES[:new])
        proof = subproof(old, LEAVES[:new], True)
        name = f"{old} to {new}"
        good: dict[str, Any] = {
            "old": old, "new": new, "old_root": old_root, "new_root": new_root, "proof": proof,
        }  # fmt: skip
        yield probe(f"{name}: happy path", False, **good)
        if not proof:
            continue
        wrong: dict[str, dict[str, Any]] = {
            "old - 1": {"old": old - 1}, "old + 1": {"old": old + 1}, "old ^ 2": {"old": old ^ 2},
            "new * 2": {"new": new * 2}, "new / 2": {"new": new // 2},
            "wrong old root": {"old_root": b"WrongRoot"},
            "wrong new root": {"new_root": b"WrongRoot"},
            "swapped roots": {"old_root": new_root, "new_root": old_root},
            "empty proof": {"proof": list[bytes]()}, "trailing garbage": {"proof": [*proof, b""]},
            "trailing old root": {"proof": [*proof, old_root]},
            "trailing new root": {"proof": [*proof, new_root]},
            "preceding garbage": {"proof": [b"", *proof]},
            "preceding old root": {"proof": [old_root, *proof]},
            "preceding new root": {"proof": [new_root, *proof]},
            "preceding proof[0]": {"proof": [proof[0], *proof]},
            "truncated proof": {"proof": proof[:-1]},
        }  # fmt: skip
        for at in range(len(proof)):
            wrong[f"modified proof[{at}] bit 4"] = {"proof": flipped(proof, at, 16)}
        for what, change in wrong.items():
            yield probe(f"{name}: {what}", True, **{**good, **change})
    for old, new, old_root, new_root, the_proof, want_err in (
        (0, 0, ANY_1, ANY_2, [], True), (1, 1, ANY_1, ANY_2, [], True),
        (0, 0, ANY_1, ANY_1, [], False), (0, 1, ANY_1, ANY_2, [], True),
        (1, 1, ANY_2, ANY_2, [], False), (1, 0, ANY_1, ANY_2, [], True),
        (2, 1, ANY_1, ANY_2, [], True), (1, 2, ANY_1, ANY_2, [], True),
        (0, 0, EMPTY, ANY_2, [], True), (1, 1, EMPTY, ANY_2, [], True),
        (0, 1, EMPTY, ANY_2, [], True), (0, 0, EMPTY, EMPTY, [EMPTY], True),
        (0, 1, EMPTY, EMPTY, [EMPTY], True), (1, 1, EMPTY, EMPTY, [EMPTY], True),
    ):  # fmt: skip
        roots = {"old_root": old_root, "new_root": new_root}
        desc = f"{old} to {new}, {len(old_root)} and {len(new_root)} bytes, {len(the_proof)} hashes"
        same = "same roots" if old_root == new_root else "other roots"
        yield probe(f"{desc}, {same}", want_err, old=old, new=new, **roots, proof=list(the_proof))


def probes() -> dict[str, list[Probe]]:
    """All probes, by the name of their file."""
    if [tree_hash(LEAVES[:n]).hex() for n in range(1, 9)] != ROOTS:
        raise SystemExit("the trees here are not those of the published roots")
    return {"inclusion": list(inclusion_probes()), "consistency": list(consistency_probes())}


if __name__ == "__main__":
    for kind, found in probes().items():
        lines = ",\n".join(json.dumps(one, sort_keys=True) for one in found)
        (HERE / f"{kind}.json").write_text(f"[\n{lines}\n]\n", encoding="ascii")
        print(f"{len(found)} {kind} probes")  # noqa: T201 (a program's result)
