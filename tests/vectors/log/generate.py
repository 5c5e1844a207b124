"""Write the vectors of the match log, next to this file.

    python tests/vectors/log/generate.py

The tree here is the recursive definition of RFC 6962, section 2.1, and shares no
line with `linkage.log`; notes and leaves are put together by hand. So a vector
and the code under test agree only if two implementations do.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

HERE = Path(__file__).parent
ORIGIN = "log.padan.test/vectors"
Case = dict[str, Any]


def split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def tree_hash(entries: Sequence[bytes]) -> bytes:
    """MTH(D[n])."""
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = split(len(entries))
    return hashlib.sha256(b"\x01" + tree_hash(entries[:k]) + tree_hash(entries[k:])).digest()


def audit_path(m: int, entries: Sequence[bytes]) -> list[bytes]:
    """PATH(m, D[n])."""
    if len(entries) == 1:
        return []
    k = split(len(entries))
    if m < k:
        return [*audit_path(m, entries[:k]), tree_hash(entries[k:])]
    return [*audit_path(m - k, entries[k:]), tree_hash(entries[:k])]


def consistency(m: int, entries: Sequence[bytes]) -> list[bytes]:
    """PROOF(m, D[n])."""

    def subproof(m: int, entries: Sequence[bytes], whole: bool) -> list[bytes]:
        if m == len(entries):
            return [] if whole else [tree_hash(entries)]
        k = split(len(entries))
        if m <= k:
            return [*subproof(m, entries[:k], whole), tree_hash(entries[k:])]
        return [*subproof(m - k, entries[k:], False), tree_hash(entries[:k])]

    return subproof(m, entries, True)


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def flip(data: bytes) -> bytes:
    return bytes([data[0] ^ 1]) + data[1:]


def hexes(hashes: Sequence[bytes]) -> list[str]:
    return [h.hex() for h in hashes]


ENTRIES = [b"entry %d" % i for i in range(13)]


def inclusion_cases() -> Iterator[Case]:
    for index, size in ((0, 1), (0, 13), (7, 8), (7, 9), (8, 9), (12, 13)):
        proof = audit_path(index, ENTRIES[:size])
        case: Case = {
            "kind": "inclusion",
            "leaf": tree_hash([ENTRIES[index]]).hex(),
            "index": index,
            "size": size,
            "proof": hexes(proof),
            "root": tree_hash(ENTRIES[:size]).hex(),
            "expect": "ok",
        }
        yield case | {"desc": f"leaf {index} of {size}"}
        bad = {"expect": "ProofError"}
        yield case | bad | {"desc": f"leaf {index} of {size}, other root", "root": "00" * 32}
        yield case | bad | {"desc": f"leaf {index} of {size}, other leaf", "leaf": "00" * 32}
        yield case | bad | {"desc": f"leaf {index} of {size}, size doubled", "size": 2 * size}
        longer = [*case["proof"], "00" * 32]
        yield case | bad | {"desc": f"leaf {index} of {size}, one hash more", "proof": longer}
        if proof:
            yield case | bad | {"desc": f"leaf {index} of {size}, cut", "proof": case["proof"][:-1]}
            flipped = hexes([flip(proof[0]), *proof[1:]])
            yield case | bad | {"desc": f"leaf {index} of {size}, bit flipped", "proof": flipped}
            short = [case["proof"][0][:-2], *case["proof"][1:]]
            yield case | bad | {"desc": f"leaf {index} of {size}, hash of 31 bytes", "proof": short}


def consistency_cases() -> Iterator[Case]:
    for old, new in ((1, 2), (3, 13), (4, 8), (6, 8), (8, 13), (12, 13), (13, 13)):
        proof = consistency(old, ENTRIES[:new])
        case: Case = {
            "kind": "consistency",
            "old": old,
            "new": new,
            "proof": hexes(proof),
            "old_root": tree_hash(ENTRIES[:old]).hex(),
            "new_root": tree_hash(ENTRIES[:new]).hex(),
            "expect": "ok",
        }
        name = f"{old} to {new}"
        yield case | {"desc": name}
        bad = {"expect": "ProofError"}
        yield case | bad | {"desc": f"{name}, other old root", "old_root": "00" * 32}
        yield case | bad | {"desc": f"{name}, other new root", "new_root": "00" * 32}
        longer = [*case["proof"], "00" * 32]
        yield case | bad | {"desc": f"{name}, one hash more", "proof": longer}
        if proof:
            swapped = {"old_root": case["new_root"], "new_root": case["old_root"]}
            yield case | bad | swapped | {"desc": f"{name}, roots swapped"}
            yield case | bad | {"desc": f"{name}, cut", "proof": case["proof"][:-1]}
            flipped = hexes([*proof[:-1], flip(proof[-1])])
            yield case | bad | {"desc": f"{name}, bit flipped", "proof": flipped}


def checkpoint_cases() -> Iterator[Case]:
    private = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"vectors").digest())
    public = private.public_key().public_bytes_raw()
    key_id = hashlib.sha256(f"{ORIGIN}\n".encode() + b"\x01" + public).digest()[:4]
    vkey = f"{ORIGIN}+{key_id.hex()}+{b64(bytes([1]) + public)}"
    root = b64(tree_hash(ENTRIES))

    def note(text: str, signed: str | None = None) -> str:
        signature = private.sign((text if signed is None else signed).encode())
        return f"{text}\n\u2014 {ORIGIN} {b64(key_id + signature)}\n"

    text = f"{ORIGIN}\n13\n{root}\n"
    case: Case = {"kind": "checkpoint", "vkey": vkey}
    good = case | {"expect": "ok", "size": 13, "root": tree_hash(ENTRIES).hex()}
    yield good | {"desc": "a signed checkpoint", "note": note(text)}
    other = text.replace("13", "12")
    signature = case | {"expect": "SignatureError"}
    yield signature | {"desc": "signed over another size", "note": note(text, other)}
    yield signature | {"desc": "no final newline", "note": note(text)[:-1]}
    yield signature | {"desc": "an empty line at the end", "note": note(text) + "\n"}
    yield signature | {"desc": "signed twice", "note": note(text) + note(text).split("\n\n")[1]}
    yield signature | {"desc": "unsigned", "note": text}
    malformed = case | {"expect": "CheckpointError"}
    yield malformed | {"desc": "an extension line", "note": note(text + "more\n")}
    yield malformed | {"desc": "a leading zero", "note": note(text.replace("13", "013"))}
    yield malformed | {
        "desc": "a root of 31 bytes",
        "note": note(f"{ORIGIN}\n13\n{b64(bytes(31))}\n"),
    }
    yield malformed | {"desc": "an empty tree with a root", "note": note(f"{ORIGIN}\n0\n{root}\n")}


def cosignature_cases() -> Iterator[Case]:
    """A checkpoint with the line of one witness, of either type."""
    text = f"{ORIGIN}\n13\n{b64(tree_hash(ENTRIES))}\n"
    seed = hashlib.sha256(b"witness").digest()
    name, time = "witness.padan.test/w", 1767323045
    classic, modern = (
        Ed25519PrivateKey.from_private_bytes(seed),
        MLDSA44PrivateKey.from_seed_bytes(seed),
    )

    def plain(text: str, time: int, name: str) -> bytes:
        del name  # an Ed25519 cosignature does not bind it
        return f"cosignature/v1\ntime {time}\n{text}".encode()

    def subtree(text: str, time: int, name: str) -> bytes:
        origin, size, root = text.split("\n")[:3]
        head = b"subtree/v1\n\0" + bytes([len(name)]) + name.encode() + time.to_bytes(8)
        tail = bytes(8) + int(size).to_bytes(8) + base64.b64decode(root)
        return head + bytes([len(origin)]) + origin.encode() + tail

    for label, kind, private, message in (
        ("Ed25519", 4, classic, plain), ("ML-DSA-44", 6, modern, subtree)
    ):  # fmt: skip
        public = bytes([kind]) + private.public_key().public_bytes_raw()
        key_id = hashlib.sha256(f"{name}\n".encode() + public).digest()[:4]
        case: Case = {
            "kind": "cosignature", "vkey": f"{name}+{key_id.hex()}+{b64(public)}", "text": text,
        }  # fmt: skip

        def line(
            text: str = text, time: int = time, name: str = name, shown: int = time,
            private: Any = private, message: Any = message, key_id: bytes = key_id,
        ) -> str:  # fmt: skip
            signature = private.sign(message(text, time, name))
            return f"\u2014 witness.padan.test/w {b64(key_id + shown.to_bytes(8) + signature)}\n"

        yield case | {"desc": f"{label}", "line": line(), "time": time, "expect": "ok"}
        bad = case | {"expect": "SignatureError"}
        yield bad | {"desc": f"{label}, another time", "line": line(shown=time + 1)}
        yield bad | {"desc": f"{label}, another size", "line": line(text.replace("13", "12"))}
        other = text.replace(ORIGIN, "log.padan.test/other")
        yield bad | {"desc": f"{label}, another origin", "line": line(other)}
        if kind == 6:
            yield bad | {
                "desc": f"{label}, another name",
                "line": line(name="witness.padan.test/v"),
            }
        yield bad | {"desc": f"{label}, time beyond 2**63", "line": line(time=2**63, shown=2**63)}


def leaf_cases() -> Iterator[Case]:
    head = '{"actor":"matcher","agreement":null,'
    tail = '"ref":[],"time":"2026-01-02T03:04:05Z","type":"genesis","v":1}'
    good = head + '"body":{"origin":"x"},' + tail
    case: Case = {"kind": "leaf"}
    yield case | {"desc": "a public leaf", "leaf": good, "expect": "ok"}
    commitment = b64(hmac.new(bytes(32), b'{"n":1}', hashlib.sha256).digest())
    secret = head + f'"commitment":"{commitment}",' + tail.replace("genesis", "job.request")
    yield case | {
        "desc": "a confidential leaf and its body",
        "leaf": secret,
        "opening": bytes(32).hex(),
        "body": '{"n":1}',
        "expect": "ok",
    }
    bad = case | {"expect": "MalformedMessageError"}
    yield bad | {"desc": "a space", "leaf": good.replace(":1}", ": 1}")}
    yield bad | {"desc": "members out of order", "leaf": good[:-1] + ',"a":1}'}
    yield bad | {"desc": "a key twice", "leaf": good.replace('"v":1', '"v":1,"v":1')}
    yield bad | {"desc": "unknown type", "leaf": good.replace("genesis", "genesys")}
    yield bad | {"desc": "unknown version", "leaf": good.replace('"v":1', '"v":2')}
    yield bad | {"desc": "no seconds", "leaf": good.replace(":05Z", "Z")}
    yield bad | {"desc": "local time", "leaf": good.replace("05Z", "05+07:00")}
    yield bad | {"desc": "references not ascending", "leaf": good.replace("[]", "[2,1]")}
    yield bad | {"desc": "a confidential type with a body", "leaf": good.replace("genesis", "gate")}
    yield bad | {
        "desc": "a public type with a commitment",
        "leaf": secret.replace("job.request", "enrol"),
    }


def write() -> int:
    """Write every case to a file of its own; return how many there are."""
    for old in HERE.glob("*.json"):
        old.unlink()
    cases = [
        *inclusion_cases(), *consistency_cases(), *checkpoint_cases(), *cosignature_cases(),
        *leaf_cases(),
    ]  # fmt: skip
    counts: dict[str, int] = {}
    for case in cases:
        kind = case["kind"]
        counts[kind] = counts.get(kind, 0) + 1
        text = json.dumps(case, indent=1, sort_keys=True) + "\n"
        (HERE / f"{kind}-{counts[kind]:02}.json").write_text(text, encoding="ascii")
    return len(cases)


if __name__ == "__main__":
    print(f"{write()} vectors")  # noqa: T201 (a program's result)
