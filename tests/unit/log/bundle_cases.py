"""Bundles, whole and damaged, for verifiers to agree on.

Each case is a bundle, a trust file and a pin. A verdict is not said here: what one
verifier says the others have to say.
"""

import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from log_site import (
    ORIGIN,
    Site,
    bodies,
    bundle_of,
    entry,
    head_of,
    job_leaves,
    log_files,
    resealed,
    seconds,
    signed_bundle,
)

from linkage.log.canonical import format_json
from linkage.log.checkpoint import Checkpoint, sign_checkpoint
from linkage.log.note import Ed25519Signer
from linkage.log.policy import LogLine, format_policy
from linkage.log.tar import to_tar

SITE = Site()
STRANGER = Site(seed=9)
SMALL = signed_bundle(SITE, job_leaves(6))
MEDIUM = signed_bundle(SITE, job_leaves(300))
LEAF = job_leaves(3)[2]
OTHER_LOG = Ed25519Signer("log.other", Ed25519PrivateKey.from_private_bytes(b"\7" * 32))
PIN = SITE.checkpoint(head_of(job_leaves(4)), seconds(4))


class Case(NamedTuple):
    name: str
    bundle: Mapping[str, bytes] | bytes
    trust: bytes | None = SITE.trust
    since: bytes | None = None


def flip(data: bytes, bit: int) -> bytes:
    return data[: bit // 8] + bytes([data[bit // 8] ^ 1 << bit % 8]) + data[bit // 8 + 1 :]


def file_cases() -> Iterator[Case]:
    """Each file removed, cut, longer, empty, flipped; with and without a manifest that fits."""
    rng = random.Random(7)
    for path, data in SMALL.items():
        changed: dict[str, bytes | None] = {
            "removed": None,
            "cut": data[:-1],
            "longer": data + b"\n",
            "empty": b"",
            "half": data[: len(data) // 2],
            "twice": data + data,
        }
        for _ in range(6):
            bit = rng.randrange(8 * len(data))
            changed[f"bit {bit}"] = flip(data, bit)
        for what, new in changed.items():
            files = {**SMALL, path: new} if new is not None else {**SMALL}
            if new is None:
                del files[path]
            yield Case(f"{path} {what}", files)
            if path != "manifest.json":
                yield Case(f"{path} {what}, resealed", resealed(files))
    tiles = [path for path in SMALL if path.startswith("tile/")]
    swapped = {**SMALL, tiles[0]: SMALL[tiles[1]], tiles[1]: SMALL[tiles[0]]}
    yield Case("two tiles swapped", resealed(swapped))
    for path in (
        "tile/1/000.p/1",
        "bodies/1.json",
        "bodies/9.json",
        "bodies/x.json",
        "bodies/02.json",
        "tile/0/000",
        "notes.txt",
        "tile/64/000",
        "tile/0/x000/001",
    ):
        yield Case(f"{path} added", resealed({**SMALL, path: SMALL["bodies/2.json"]}))
        yield Case(f"{path} added, not listed", {**SMALL, path: SMALL["bodies/2.json"]})


def manifest_cases() -> Iterator[Case]:
    fields = json.loads(SMALL["manifest.json"])
    listed = fields["files"]
    for name, value in {
        "v is 2": {**fields, "v": 2},
        "v is true": {**fields, "v": True},
        "v is 1.5": {**fields, "v": 1.5},
        "more": {**fields, "x": 1},
        "no files": {"v": 1},
        "files is a list": {"v": 1, "files": []},
        "lists itself": {"v": 1, "files": {**listed, "manifest.json": "00"}},
        "lists another": {"v": 1, "files": {**listed, "bodies/7.json": "00"}},
        "lists a bad name": {"v": 1, "files": {**listed, "../x": "00"}},
        "digest is a number": {"v": 1, "files": {**listed, "checkpoint": 3}},
        "digest in capitals": {
            "v": 1,
            "files": {**listed, "checkpoint": listed["checkpoint"].upper()},
        },
    }.items():
        yield Case(f"manifest: {name}", {**SMALL, "manifest.json": format_json(value)})


# Of a confidential leaf, and of a public one with the body {"x":1}: what is put in place of what.
SECRET_CHANGES = [
    (b":", b": "), (b"}", b"}\n"), (b"{", b"\xef\xbb\xbf{"), (b'"v":1', b'"v":1,"v":1'),
    (b"job", b"\\u006aob"), (b"job.", b"jobs."), (b"job.", b"epoch."), (b".request", b".Request"),
    (b".request", b"."), (b".request", b"." + b"r" * 33), (b'"v":1', b'"v":2'),
    (b'"v":1', b'"v":true'), (b'"v":1', b'"v":1.0'), (b'"v":1', b'"v":1e0'), (b'"v":1', b'"v":"1"'),
    (b'"v":1', b'"v":1e400'), (b"T00:02", b"T24:02"), (b"01-01T", b"02-31T"), (b"2026-", b"0000-"),
    (b"2026-", b"9999-"), (b":00Z", b":60Z"), (b":00Z", b":00+00:00"), (b":00Z", b":00.5Z"),
    (b"Z", b"z"), (b"party/dukcapil", b""), (b'"party/dukcapil"', b"null"), (b"party/", b"party "),
    (b"party", b"p" * 300), (b"party", b"\xc3\xa9"), (b'"pks-1"', b"1"), (b'"pks-1"', b"true"),
    (b'"pks-1"', b"null"), (b'"pks-1"', b'""'), (b'"pks-1"', b"false"),
    (b"[1]", b'"1"'), (b"[1]", b"null"), (b"[1]", b"[-1]"),
    (b"[1]", b"[0.5]"),
    (b"[1]", b"[true]"), (b"[1]", b"[1,1]"), (b"[1]", b"[1,0]"), (b"[1]", b"[0,1]"),
    (b"[1]", b"[]"),
    (b"[1]", b"[9007199254740991]"), (b"[1]", b"[9007199254740992]"), (b"[1]", b"[2]"),
    (b"[1]", b"[1,77]"), (b"[1]", b"[-0]"), (b'"commitment":"', b'"commitment":"AA'),
    (b'"commitment"', b'"body"'), (b'="', b'A"'),
]  # fmt: skip
PUBLIC_CHANGES = [
    (b"1}", b'"\\ud800"}'),
    (b"1}", b"[" * 29 + b"]" * 29 + b"}"),
    (b"1}", b"[" * 30 + b"]" * 30 + b"}"),
    (b"1}", b"[" * 31 + b"]" * 31 + b"}"),
    (b"1}", b"[" * 9000 + b"]" * 9000 + b"}"),
    (b'{"x":1}', b"[]"),
    (b"1}", b"NaN}"),
    (b"1}", b"1E2}"),
    (b"1}", b"1e21}"),
    (b"1}", b"1e+21}"),
    (b"1}", b"1e-7}"),
    (b"1}", b"0.000001}"),
    (b"1}", b"1.5e+300}"),
    (b"1}", b"5e-324}"),
    (b"1}", b"1e400}"),
    (b"1}", b"1e-400}"),
    (b"1}", b"9007199254740992}"),
    (b"1}", b"9007199254740993}"),
    (b"1}", b"100000000000000000000}"),
    (b"1}", b"-0}"),
    (b"1}", b"1," + b'"y":2}'),
    (b'"x"', b'""'),
    (b"1}", '"\u20ac\U0001f600"}'.encode()),
    (b"1}", b'1,"\xef\xac\xb3":1,"\xf0\x9f\x98\x80":2}'),
    (b"1}", b'1,"\xf0\x9f\x98\x80":2,"\xef\xac\xb3":1}'),
    (b"1}", b'"\\b\\t\\n\\f\\r\\u0001\\u001f\x7f\\"\\\\/"}'),
    (b"1}", b'"\\u0008"}'),
    (b"1}", b'"\\/"}'),
    (b"enrol", b"batch"),
    (b"enrol", b"key.rotate"),
    (b"enrol", b"enrol.x"),
    (b"enrol", b"lookup.grant"),
]
OTHER_LEAVES = [
    b"",
    b"x",
    b"null",
    b"[]",
    b"{}",
    b"\xff",
    b'"type"',
    b'{"type":3}',
    b'{"type":"enrol"}',
]


def leaf_cases() -> Iterator[Case]:
    """A log of the operator's own making, signed and cosigned, with one leaf of every kind."""
    public = entry("enrol", 2, {"x": 1})
    changed = [(LEAF, *change) for change in SECRET_CHANGES]
    changed += [(public, *change) for change in PUBLIC_CHANGES]
    made = {f"{old!r} as {new[:40]!r}": leaf.replace(old, new, 1) for leaf, old, new in changed}
    for name, leaf in {**made, **{repr(leaf): leaf for leaf in OTHER_LEAVES}}.items():
        leaves = [*job_leaves(2), leaf]
        yield Case(f"leaf {name}", bundle_of(leaves, SITE.checkpoint(head_of(leaves), seconds(3))))
    many = [*job_leaves(2), *[b"x"] * 50]
    yield Case("fifty bad leaves", bundle_of(many, SITE.checkpoint(head_of(many), seconds(60))))


def tree_cases() -> Iterator[Case]:
    leaves = job_leaves(300)
    for name, other in {
        "deleted": [*leaves[:20], *leaves[21:]],
        "edited": [*leaves[:20], entry("job.request", 20, {"n": 0}), *leaves[21:]],
        "reordered": [*leaves[:20], leaves[21], leaves[20], *leaves[22:]],
        "added": [*leaves, entry("enrol", 300, {})],
        "cut": leaves[:255],
    }.items():
        yield Case(f"entries {name}", resealed({**MEDIUM, **log_files(other)}))
        yield Case(f"only these entries {name}", bundle_of(other, MEDIUM["checkpoint"]))
        signed = SITE.checkpoint(head_of(other), seconds(301))
        yield Case(
            f"entries {name}, signed again", bundle_of(other, signed), since=MEDIUM["checkpoint"]
        )
    for path in MEDIUM:
        if path.startswith("tile/"):
            yield Case(f"{path} flipped", resealed({**MEDIUM, path: flip(MEDIUM[path], 99)}))


def checkpoint_cases() -> Iterator[Case]:
    leaves = job_leaves(6)
    head = head_of(leaves)
    note = SMALL["checkpoint"]

    def case(name: str, checkpoint: bytes, trust: bytes | None = SITE.trust) -> Case:
        return Case(f"checkpoint {name}", resealed({**SMALL, "checkpoint": checkpoint}), trust)

    yield case("of strangers", STRANGER.checkpoint(head, seconds(6)))
    for name in SITE.cosigners():
        yield case(f"without {name}", SITE.checkpoint(head, seconds(6), without=[name]))
    yield case(
        "without witnesses", SITE.checkpoint(head, seconds(6), without=list(SITE.cosigners()))
    )
    for size in (0, 5, 7, 2**40, 2**62):
        other = Checkpoint(ORIGIN, size, head.root if size else head_of([]).root)
        yield case(f"of size {size}", SITE.checkpoint(other, seconds(6)))
    text, _, tail = note.decode().partition("\n\n")
    lines = tail.splitlines(keepends=True)
    for i in range(len(lines)):
        rest = "".join(lines[:i] + lines[i + 1 :])
        yield case(f"without line {i}", f"{text}\n\n{rest}".encode())
        yield case(f"line {i} twice", f"{text}\n\n{tail}{lines[i]}".encode())
    yield case("lines reversed", f"{text}\n\n{''.join(reversed(lines))}".encode())
    yield case("with a stranger's line", f"{text}\n\n{tail}\u2014 x AAAAAAAA\n".encode())
    yield case("with an extension line", f"{text}\nmore\n\n{tail}".encode())
    strangers = "".join(f"\u2014 x{i} AAAAAAAA\n" for i in range(100))
    yield case(
        "with 100 lines",
        f"{text}\n\n{tail}{strangers}".encode(),
    )
    for old, new in (
        ("\n6\n", "\n06\n"),
        ("\n6\n", "\n+6\n"),
        (ORIGIN, "x y"),
        ("\u2014 ", "- "),
        ("\u2014 ", "\u2014  "),
        ("=\n", "\n"),
        ("\n", "\r\n"),
        (ORIGIN, "\u00e9"),
    ):
        yield case(f"{old!r} as {new!r}", note.decode().replace(old, new, 1).encode())
    yield Case("no trust file", SMALL, None)
    yield Case("no trust file, damaged", {**SMALL, "bodies/2.json": b"{}"}, None)
    yield Case("another trust file", SMALL, STRANGER.trust)
    elsewhere = replace(SITE.policy, logs=(LogLine(OTHER_LOG.key),))
    yield Case("another origin", SMALL, format_policy(elsewhere))


def pin_cases() -> Iterator[Case]:
    forked = [*job_leaves(3), entry("enrol", 3, {})]
    pins = {
        "good": PIN,
        "empty log": SITE.checkpoint(head_of([]), seconds(0)),
        "same": SMALL["checkpoint"],
        "forked": SITE.checkpoint(head_of(forked), seconds(4)),
        "larger": SITE.checkpoint(head_of(job_leaves(7)), seconds(7)),
        "of strangers": STRANGER.checkpoint(head_of(job_leaves(4)), seconds(4)),
        "without witnesses": SITE.checkpoint(
            head_of(job_leaves(4)), 4, without=list(SITE.cosigners())
        ),
        "cut": PIN[:-1],
        "nothing": b"",
        "a bit flipped": flip(PIN, 999),
        "later": SITE.checkpoint(head_of(job_leaves(4)), seconds(4 + 90)),
        "one later": SITE.checkpoint(head_of(job_leaves(4)), seconds(4 + 6)),
    }
    both = replace(SITE.policy, logs=(*SITE.policy.logs, LogLine(OTHER_LOG.key)))
    pin = sign_checkpoint(replace(head_of(job_leaves(4)), origin=OTHER_LOG.key.name), OTHER_LOG)
    yield Case("pin of another log", SMALL, format_policy(both), pin)
    yield Case("pin of another log, no trust file", SMALL, None, pin)
    for name, pin in pins.items():
        yield Case(f"pin {name}", SMALL, since=pin)
        yield Case(f"pin {name}, no trust file", SMALL, None, pin)


def time_cases() -> Iterator[Case]:
    for name, minutes in {
        "back-dated": [0, 1, 30, 20],
        "within the skew": [0, 1, 30, 26],
        "post-dated": [0, 1, 2, 200],
        "all long ago": [-1_000_000, 1, 2, 3],
        "equal": [0, 0, 0, 0],
    }.items():
        leaves = [entry("admin.note", minute, {"n": at}) for at, minute in enumerate(minutes)]
        note = SITE.checkpoint(head_of(leaves), seconds(31))
        yield Case(f"times {name}", bundle_of(leaves, note))
        yield Case(f"times {name}, no trust file", bundle_of(leaves, note), None)


def trust_cases() -> Iterator[Case]:
    text = SITE.trust.decode()
    lines = text.splitlines(keepends=True)
    for i in range(len(lines)):
        yield Case(f"trust without line {i}", SMALL, "".join(lines[:i] + lines[i + 1 :]).encode())
    for old, new in (
        ("quorum", "quorums"),
        ("everyone 3", "everyone 4"),
        ("everyone 3", "everyone any"),
        ("everyone 3", "everyone 2"),
        ("everyone 3", "everyone 03"),
        ("quorum everyone", "quorum none"),
        ("quorum everyone", "quorum auditor"),
        ("quorum everyone", "quorum x"),
        ("auditor\n", "auditor auditor\n"),
        ("\n", "\r\n"),
        (" ", "\t \t"),
        ("log ", "log\u00a0"),
        ("+", "-"),
        ("# Trust", "  # Trust"),
        ("# Trust", "\x7f# Trust"),
    ):
        yield Case(f"trust {old!r} as {new!r}", SMALL, text.replace(old, new, 1).encode())
    yield Case("trust without end", SMALL, SITE.trust[:-1])
    yield Case("trust empty", SMALL, b"")
    yield Case("trust not utf-8", SMALL, b"# \xff\n" + SITE.trust)
    yield Case("trust with a line twice", SMALL, SITE.trust + lines[1].encode())


def archive_cases() -> Iterator[Case]:
    rng = random.Random(8)
    archive = to_tar(SMALL)
    yield Case("archive", archive)
    yield Case("archive empty", b"")
    yield Case("archive of nothing", bytes(1024))
    for n in (1, 511, 512, 1024, 1025):
        yield Case(f"archive cut by {n}", archive[:-n])
        yield Case(f"archive longer by {n}", archive + bytes(n))
    for _ in range(60):
        bit = rng.randrange(8 * len(archive))
        yield Case(f"archive bit {bit}", flip(archive, bit))
    yield Case("text", b"hello\n")


def body_cases() -> Iterator[Case]:
    good = bodies(job_leaves(6))
    other = good[2].replace(b'"n":2', b'"n":3')
    for name, data in {
        "of another leaf": good[3],
        "edited": other,
        "no object": b"[]",
        "a list": good[2].replace(b'{"n":2}', b"[2]"),
        "short opening": good[2].replace(b'"opening":"AA', b'"opening":"'),
        "not canonical": good[2].replace(b":2", b": 2"),
        "more": good[2][:-1] + b',"x":1}',
    }.items():
        yield Case(f"body {name}", resealed({**SMALL, "bodies/2.json": data}))


CASES = [
    case
    for made in (
        file_cases,
        manifest_cases,
        leaf_cases,
        tree_cases,
        checkpoint_cases,
        pin_cases,
        time_cases,
        trust_cases,
        archive_cases,
        body_cases,
    )
    for case in made()
]
