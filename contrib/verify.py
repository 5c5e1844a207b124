#!/usr/bin/env python3
"""Verify a bundle of Padan's match log offline: one file, to read in an hour and to keep.

    python verify.py BUNDLE [--trust FILE] [--since CHECKPOINT] [--json]

Needs Python 3.11 and `cryptography` (50 or newer where ML-DSA keys have signed), and
nothing of Padan. It is a second implementation on purpose, written from
docs/log-format.md: what it and `padan audit verify` both accept, two programs have
read. Verdicts, their order and the exit codes are the same: 0 all of it holds, 2 the
command or the trust file cannot be used, 3 anything else.
"""

import argparse
import base64
import hashlib
import hmac
import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class BadError(Exception):
    """Bytes that do not have the one form they must have, or a signature that fails."""


class TrustFileError(Exception):
    """A trust file that cannot be used."""


# ---- spelling: everything has exactly one ----


def unbase64(text: str) -> bytes:
    """Standard base64 with padding, zero padding bits, nothing else."""
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError:
        raise BadError("not base64") from None
    if base64.b64encode(data).decode() != text:
        raise BadError("base64 in a second spelling")
    return data


def decimal(text: str) -> int:
    """A number from 0 to 2**63 - 1 without sign or leading zero."""
    if not re.fullmatch(r"0|[1-9][0-9]{0,18}", text) or int(text) >= 2**63:
        raise BadError("not a decimal number")
    return int(text)


# ---- canonical JSON (RFC 8785): all numbers are doubles ----

MAX_DEPTH = 32
ESCAPES = {'"': '\\"', "\\": "\\\\"} | dict(
    zip("\b\t\n\f\r", ("\\b", "\\t", "\\n", "\\f", "\\r"), strict=True)
)


def read_json(data: bytes) -> Any:
    """The value of canonical JSON; reading is writing again and comparing."""
    try:
        value = json.loads(data.decode("utf-8"), parse_int=float)
        written = write_json(value, 0).encode("utf-8")
    except (ValueError, RecursionError):
        raise BadError("not canonical JSON") from None
    if written != data:
        raise BadError("not canonical JSON")
    return value


def write_json(value: Any, depth: int) -> str:
    """Canonical JSON of what `json.loads` returned; ValueError where there is none."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return write_number(value)
    if isinstance(value, str):
        return write_string(value)
    if depth == MAX_DEPTH:
        raise ValueError("too deep")
    if isinstance(value, list):
        return "[" + ",".join(write_json(item, depth + 1) for item in value) + "]"
    # Names are sorted by their UTF-16 code units.
    names = sorted(value, key=lambda name: name.encode("utf-16-be", "surrogatepass"))
    members = (write_string(name) + ":" + write_json(value[name], depth + 1) for name in names)
    return "{" + ",".join(members) + "}"


def write_string(text: str) -> str:
    """Only what must be escaped is; what UTF-8 cannot carry fails when it is encoded."""
    escaped = re.sub(r'[\x00-\x1f"\\]', lambda m: ESCAPES.get(m[0], f"\\u{ord(m[0]):04x}"), text)
    return f'"{escaped}"'


def write_number(value: float) -> str:
    """As ECMAScript writes a double: shortest digits, exponent from 1e21 and below 1e-6."""
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("no number")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    if len(digits) <= point <= 21:
        return sign + digits + "0" * (point - len(digits))
    if 0 < point <= 21:
        return sign + digits[:point] + "." + digits[point:]
    if -6 < point <= 0:
        return sign + "0." + "0" * -point + digits
    tail = "." + digits[1:] if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"


# ---- keys, notes, checkpoints ----

LOG_ED25519, COSIGN_ED25519, COSIGN_MLDSA44 = 0x01, 0x04, 0x06
KEY_BYTES = {LOG_ED25519: 32, COSIGN_ED25519: 32, COSIGN_MLDSA44: 1312}
KEY_NAME = re.compile(r"[!-*,-~]{1,255}")
DASH = "\u2014 "
MAX_SIGNATURES = 64
MAX_NOTE = 1 << 20


class Key:
    """A verifier key: name+hexid+base64(type || public key)."""

    def __init__(self, text: str) -> None:
        if len(text) > 4096 or text.count("+") < 2:
            raise BadError("not a verifier key")
        self.name, hex_id, encoded = text.split("+", 2)
        data = unbase64(encoded)
        if not KEY_NAME.fullmatch(self.name) or not data or len(data) - 1 != KEY_BYTES.get(data[0]):
            raise BadError("not a verifier key")
        self.type, self.public = data[0], data[1:]
        self.id = hashlib.sha256(self.name.encode() + b"\n" + data).digest()[:4]
        if self.id.hex() != hex_id:
            raise BadError("a key id that is not of its key")

    def verify(self, signature: bytes, head: "Checkpoint") -> int | None:
        """The time of a cosignature, None for a plain signature; BadError if it fails."""
        time = None
        text = message = head.text.encode()
        if self.type != LOG_ED25519:
            stamp, signature = signature[:8], signature[8:]
            time = int.from_bytes(stamp, "big")
            if len(stamp) < 8 or time >= 2**63:
                raise BadError(f"the cosignature of {self.name} has no time")
            message = b"cosignature/v1\ntime %d\n" % time + text
        if self.type == COSIGN_MLDSA44:
            named = (
                len(self.name),
                self.name.encode(),
                stamp,
                len(head.origin),
                head.origin.encode(),
            )
            message = b"subtree/v1\n\0%c%b%b%c%b" % named
            message += bytes(8) + head.size.to_bytes(8, "big") + head.root
        try:
            if self.type == COSIGN_MLDSA44:
                from cryptography.hazmat.primitives.asymmetric.mldsa import (  # noqa: PLC0415
                    MLDSA44PublicKey,
                )

                MLDSA44PublicKey.from_public_bytes(self.public).verify(signature, message)
            else:
                Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except (InvalidSignature, ValueError):
            raise BadError(f"the signature of {self.name} does not verify") from None
        return time


class Checkpoint:
    """A signed note whose text is origin, size and root, and nothing else."""

    def __init__(self, data: bytes) -> None:
        self.text, self.lines = read_note(data)
        fields = self.text.split("\n")
        if len(fields) != 4 or fields[3] or not KEY_NAME.fullmatch(fields[0]):
            raise BadError("not the three lines of a checkpoint")
        self.origin, self.size, self.root = fields[0], decimal(fields[1]), unbase64(fields[2])
        if len(self.root) != 32 or (self.size == 0 and self.root != hashlib.sha256().digest()):
            raise BadError("a root that no tree of this size has")

    def signed_by(self, keys: list[Key], *, strict: bool) -> dict[Key, int | None]:
        """By key that has signed, the time; a line of no key is an error if `strict`."""
        known = {(key.name, key.id): key for key in keys}
        times = {}
        for name, key_id, signature in self.lines:
            key = known.get((name, key_id))
            if key:
                times[key] = key.verify(signature, self)
            elif strict:
                raise BadError(f"a signature of an unknown key {name}")
        if not times:
            raise BadError("no signature of a known key")
        return times


def read_note(data: bytes) -> tuple[str, list[tuple[str, bytes, bytes]]]:
    """The text and the signature lines (name, key id, signature) of a note."""
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadError("a note is not UTF-8") from None
    text, blank, tail = whole.rpartition("\n\n")
    if len(data) > MAX_NOTE or re.search(r"[\x00-\x09\x0b-\x1f]", whole):
        raise BadError("a note too long, or with control characters")
    lines = tail[:-1].split("\n")
    if not blank or tail[-1:] != "\n" or len(lines) > MAX_SIGNATURES:
        raise BadError("a note without signatures, with too many, or cut short")
    found = []
    for line in lines:
        name, space, encoded = line.removeprefix(DASH).partition(" ")
        if not line.startswith(DASH) or not space or not KEY_NAME.fullmatch(name):
            raise BadError("not a signature line")
        data = unbase64(encoded)
        if len(data) <= 4:
            raise BadError("a signature line without signature")
        found.append((name, data[:4], data[4:]))
    if len({line[:2] for line in found}) != len(found):
        raise BadError("two signatures of one key")
    return text + "\n", found


# ---- the trust file (C2SP tlog-policy) ----


class Trust:
    """Logs, witnesses, groups and the quorum of a trust file."""

    def __init__(self, data: bytes) -> None:
        self.logs: list[Key] = []
        self.witnesses: dict[str, Key] = {}
        self.groups: dict[str, tuple[int, list[str]]] = {}
        self.quorum = ""
        self.used, self.publics = {"none"}, set[bytes]()
        try:
            lines = data.decode("utf-8").split("\n")
        except UnicodeDecodeError:
            raise TrustFileError("it is not UTF-8") from None
        if lines.pop() or len(data) > MAX_NOTE or len(lines) > 1000:
            raise TrustFileError("it is too long, or its last line has no end")
        for number, line in enumerate(lines, 1):
            try:
                self.line(line)
            except BadError as error:
                raise TrustFileError(f"line {number}: {error}") from None
        if not self.quorum:
            raise TrustFileError("there is no quorum line")

    def line(self, line: str) -> None:
        if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", line):
            raise BadError("a control character")
        words = [word for word in re.split("[ \t]+", line) if word]
        if not words or words[0].startswith("#"):
            return
        match words:
            case ["log", vkey] | ["log", vkey, _]:
                self.logs.append(self.key(vkey, LOG_ED25519))
            case ["witness", name, vkey] | ["witness", name, vkey, _]:
                self.define(name, self.witnesses, self.key(vkey, COSIGN_ED25519))
            case ["group", name, threshold, *members] if members:
                self.define(name, self.groups, self.group(threshold, members))
            case ["quorum", name] if not self.quorum and self.known(name):
                self.quorum = name
            case _:
                raise BadError("not a log, witness, group or quorum line, or a second quorum")

    def known(self, name: str) -> bool:
        return name == "none" or name in self.witnesses or name in self.groups

    def define(self, name: str, where: dict[str, Any], what: object) -> None:
        if self.known(name):
            raise BadError("a name defined twice")
        where[name] = what

    def key(self, vkey: str, plain: int) -> Key:
        key = Key(vkey)
        if key.type not in (plain, COSIGN_MLDSA44) or key.public in self.publics:
            raise BadError("a key of another type, or listed twice")
        self.publics.add(key.public)
        return key

    def group(self, threshold: str, members: list[str]) -> tuple[int, list[str]]:
        needed = {"any": 1, "all": len(members)}.get(threshold)
        if needed is None:
            if not re.fullmatch("[1-9][0-9]{0,3}", threshold) or int(threshold) > len(members):
                raise BadError("not a threshold")
            needed = int(threshold)
        if not all(map(self.known, members)):
            raise BadError("a member that is not defined before")
        if len(set(members)) < len(members) or self.used.intersection(members):
            raise BadError("a member listed twice, or none")
        self.used.update(members)
        return needed, members

    def met(self, name: str, signed: dict[Key, int | None]) -> bool:
        """Whether the keys in `signed` make up the witness, the group or `none`."""
        if name in self.groups:
            needed, members = self.groups[name]
            return sum(self.met(member, signed) for member in members) >= needed
        return name == "none" or self.witnesses[name] in signed

    def log_keys(self, origin: str) -> list[Key]:
        return [key for key in self.logs if key.name == origin]

    def times(self, signed: dict[Key, int | None]) -> list[int]:
        """When the witnesses among `signed` cosigned; a time of zero says nothing."""
        return [time for key in self.witnesses.values() if (time := signed.get(key))]


# ---- the bundle: a directory, or a ustar file in one form ----

TILE = re.compile(r"tile/(entries|[1-9]?\d)/((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?", re.ASCII)
BODY = re.compile(r"bodies/([0-9]+)\.json")
TAR_NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]*(?:/[0-9A-Za-z_][0-9A-Za-z_.-]*)*")


def check_path(path: str) -> None:
    """BadError unless a bundle may have a file of this name."""
    if path in ("checkpoint", "manifest.json"):
        return
    if match := BODY.fullmatch(path):
        decimal(match[1])
        return
    if not (match := TILE.fullmatch(path)):
        raise BadError("a name that no bundle has")
    level, groups, width = match.groups()
    index = decimal(re.sub("[x/]", "", groups).lstrip("0") or "0")
    if (level != "entries" and int(level) > 63) or int(width or 1) > 255:
        raise BadError("a name that no bundle has")
    if path != tile_path(level, index, int(width or 256)):
        raise BadError("a tile in a second spelling")


def tile_path(level: str | int, index: int, width: int) -> str:
    """The path of a tile: groups of three digits, and the width of a partial one."""
    groups = [f"{index % 1000:03}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03}")
    return f"tile/{level}/{'/'.join(groups)}" + (f".p/{width}" if width < 256 else "")


def read_bundle(path: Path) -> dict[str, bytes]:
    """The files of a bundle, by name."""
    if not path.is_dir():
        return read_tar(path.read_bytes())
    files, folders = {}, [path]
    for folder in folders:  # grows on the way
        for child in folder.iterdir():
            if child.is_symlink() or not (child.is_dir() or child.is_file()):
                raise BadError("a bundle with something that is not a file")
            if child.is_dir():
                folders.append(child)
            else:
                name = child.relative_to(path).as_posix()
                check_path(name)
                files[name] = child.read_bytes()
    return files


def read_tar(data: bytes) -> dict[str, bytes]:
    """The files of an archive; every byte of it is what `tar_header` and padding give."""
    files: dict[str, bytes] = {}
    parts, at = list[bytes](), 0
    while data[at : at + 1] not in (b"", b"\0"):
        name = data[at : at + 100].rstrip(b"\0").decode("latin-1")
        digits = data[at + 124 : at + 135]
        if not re.fullmatch(rb"[0-7]{11}", digits) or not TAR_NAME.fullmatch(name) or name in files:
            raise BadError("an archive that is not in its one form")
        size = int(digits, 8)
        files[name] = data[at + 512 : at + 512 + size]
        parts += [tar_header(name, size), files[name], bytes(-size % 512)]
        at += 512 + size + -size % 512
    if b"".join([*parts, bytes(1024)]) != data or list(files) != sorted(files):
        raise BadError("an archive that is not in its one form")
    return files


def tar_header(name: str, size: int) -> bytes:
    """ustar: regular file, mode 0644, owner 0, time 0."""
    head = name.encode().ljust(100, b"\0") + b"0000644\x000000000\x000000000\0"
    head += b"%011o\x0000000000000\0" % size
    tail = b"0" + bytes(100) + b"ustar\x0000" + bytes(64) + b"0000000\x000000000\0"
    tail = tail.ljust(512 - len(head) - 8, b"\0")
    return head + b"%06o\0 " % sum(head + b" " * 8 + tail) + tail


# ---- the tree (RFC 6962) and its tiles ----


class Tree:
    """Leaf hashes in; by tile level the hashes that its tiles hold; the root."""

    def __init__(self) -> None:
        self.size = 0
        self.roots: list[bytes] = []
        self.levels: list[list[bytes]] = [[]]

    def add(self, entry: bytes) -> None:
        node = hashlib.sha256(b"\x00" + entry).digest()
        height, rest = 0, self.size
        self.levels[0].append(node)
        while rest & 1:
            node = hashlib.sha256(b"\x01" + self.roots.pop() + node).digest()
            rest >>= 1
            height += 1
            if height % 8 == 0:
                if height // 8 == len(self.levels):
                    self.levels.append([])
                self.levels[height // 8].append(node)
        self.roots.append(node)
        self.size += 1

    def root(self) -> bytes:
        if not self.roots:
            return hashlib.sha256().digest()
        root = self.roots[-1]
        for left in reversed(self.roots[:-1]):
            root = hashlib.sha256(b"\x01" + left + root).digest()
        return root


def tiles(n_hashes: int, level: str | int) -> Iterator[tuple[str, int]]:
    """The paths of a level that holds `n_hashes` hashes or entries, each with its width."""
    for index in range(-(-n_hashes // 256)):
        width = min(256, n_hashes - 256 * index)
        yield tile_path(level, index, width), width


def tile_set(size: int) -> set[str]:
    """The paths of all tiles of a log of `size` entries."""
    paths = [path for path, _ in tiles(size, "entries")]
    level, n_hashes = 0, size
    while n_hashes:
        paths += [path for path, _ in tiles(n_hashes, level)]
        level, n_hashes = level + 1, n_hashes >> 8
    return set(paths)


def read_entries(data: bytes, width: int) -> list[bytes]:
    """The entries of a bundle tile: each after its length in two bytes."""
    entries, at = [], 0
    while at < len(data):
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        if at + 2 > len(data) or end > len(data):
            raise BadError("an entry bundle that is cut short")
        entries.append(data[at + 2 : end])
        at = end
    if len(entries) != width:
        raise BadError("an entry bundle of another width")
    return entries


# ---- leaves ----

PUBLIC_TYPES = {"genesis", "enrol", "anchor", "freeze"}
SECRET_TYPES = {"gate", "batch", "refine", "result", "release", "lookup.grant", "lookup.minute"}
SECRET_TYPES |= {"destruction"}
PUBLIC_FAMILIES = {"key", "agreement", "epoch", "admin"}
SECRET_FAMILIES = {"job", "rights", "incident"}
MEMBERS = {"v", "type", "time", "actor", "agreement", "ref"}
WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")
NAME = re.compile(r"[!-~]{1,255}")
TIME = re.compile(r"\d{4}-\d{2}-\d{2}T([01]\d|2[0-3]):\d{2}:\d{2}Z", re.ASCII)


class Leaf:
    """One entry: its type, its time in seconds since 1970, its references and commitment."""

    def __init__(self, entry: bytes) -> None:
        if len(entry) > 65535:
            raise BadError("an entry of more than 65,535 bytes")
        fields = read_json(entry)
        if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
            raise BadError("an entry is not an object with a type")
        self.type = fields["type"]
        family, _, word = self.type.partition(".")
        second = WORD.fullmatch(word)
        secret = self.type in SECRET_TYPES or (family in SECRET_FAMILIES and second)
        public = self.type in PUBLIC_TYPES or (family in PUBLIC_FAMILIES and second)
        if not secret and not public:
            raise BadError("an entry of unknown type")
        if fields.keys() != MEMBERS | {"commitment" if secret else "body"}:
            raise BadError("an entry with other members than its type has")
        if fields["v"] is True or fields["v"] != 1 or not isinstance(fields.get("body", {}), dict):
            raise BadError("an entry of unknown version, or whose body is no object")
        self.commitment = read_hash(fields["commitment"]) if secret else None
        self.time = read_time(fields["time"])
        agreement = fields["agreement"]
        for name in (fields["actor"], "none" if agreement is None else agreement):
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise BadError("an actor or agreement that is no name")
        ref = fields["ref"]
        if not isinstance(ref, list) or any(type(at) is not float or at % 1 for at in ref):
            raise BadError("references that are no leaf indexes")
        if any(a >= b for a, b in pairwise([-1.0, *ref, 2.0**53])):
            raise BadError("references that are not ascending leaf indexes")
        self.last_ref = ref[-1] if ref else -1


def read_hash(value: object) -> bytes:
    """32 bytes in base64."""
    data = unbase64(value) if isinstance(value, str) else b""
    if len(data) != 32:
        raise BadError("not the base64 of 32 bytes")
    return data


def read_time(value: object) -> int:
    """Seconds since 1970."""
    try:
        if not isinstance(value, str) or not TIME.fullmatch(value):
            raise ValueError
        return int(datetime.fromisoformat(value).timestamp())
    except ValueError:
        raise BadError("a time that does not exist, or is not in UTC and whole seconds") from None


# ---- the verification ----

MAX_PER_CODE = 20
MAX_SKEW_S = 300
Files = Mapping[str, bytes]


class Verification:
    """The checks in their order; each adds what it finds."""

    def __init__(self, files: Files, trust: Trust | None, since: bytes | None) -> None:
        self.files, self.trust, self.since = files, trust, since
        self.findings: list[tuple[str, str]] = []
        self.counts: dict[str, int] = {}
        self.leaves: dict[int, Leaf] = {}
        self.types: dict[str, int] = {}
        self.bodies = self.latest = 0
        self.until: int | None = None
        self.pinned_at: int | None = None

    def add(self, code: str, text: str) -> None:
        """Add a finding; of one kind only so many."""
        self.counts[code] = self.counts.get(code, 0) + 1
        if self.counts[code] <= MAX_PER_CODE:
            self.findings.append((code, text))

    def report(self) -> dict[str, Any]:
        checkpoint, pin = self.envelope(), None
        if checkpoint:
            pin = self.pin(checkpoint)
            if self.file_set(checkpoint.size):
                self.tree(checkpoint, pin)
                self.check_bodies(checkpoint.size)
        if self.trust is None:
            self.add("UNPINNED", "no trust file: nobody vouches for this checkpoint")
        for code, count in self.counts.items():
            if count > MAX_PER_CODE:
                self.findings.append((code, f"and {count - MAX_PER_CODE} more"))
        return self.summary(checkpoint, pin)

    def summary(self, checkpoint: Checkpoint | None, pin: Checkpoint | None) -> dict[str, Any]:
        """The report on what was found."""
        clean = not self.findings or self.findings[0][0] == "UNPINNED"
        return {
            "verdict": self.findings[0][0] if self.findings else "OK",
            "origin": checkpoint.origin if checkpoint else "",
            "size": checkpoint.size if checkpoint else 0,
            "root": checkpoint.root.hex() if checkpoint else "",
            "since": pin.size if pin and clean else None,
            "entries": dict(sorted(self.types.items())),
            "bodies": self.bodies,
            "findings": [{"code": code, "text": text} for code, text in self.findings],
        }

    def envelope(self) -> Checkpoint | None:
        """Names, manifest, checkpoint and its signatures."""
        for path in self.files:
            try:
                check_path(path)
            except BadError:
                self.add("MALFORMED", "a file with a name that no bundle has")
        try:
            self.manifest()
        except BadError as error:
            self.add("MALFORMED", f"manifest.json: {error}")
        try:
            if "checkpoint" not in self.files:
                raise BadError("it is missing")
            checkpoint = Checkpoint(self.files["checkpoint"])
        except BadError as error:
            self.add("MALFORMED", f"checkpoint: {error}")
            return None
        if self.trust:
            self.signatures(checkpoint, self.trust)
        return checkpoint

    def manifest(self) -> None:
        """The SHA-256 of every other file, and nothing else."""
        if "manifest.json" not in self.files:
            raise BadError("it is missing")
        fields = read_json(self.files["manifest.json"])
        if not isinstance(fields, dict) or fields.keys() != {"v", "files"}:
            raise BadError("not an object of v and files")
        listed = fields["files"]
        if fields["v"] is True or fields["v"] != 1 or not isinstance(listed, dict):
            raise BadError("of unknown version, or without files")
        for path in listed:
            check_path(path)
        for path in sorted((self.files.keys() | listed.keys()) - {"manifest.json"}):
            found = self.files.get(path)
            if found is None or hashlib.sha256(found).hexdigest() != listed.get(path):
                self.add("MANIFEST_MISMATCH", f"{path} is missing, not listed, or another")
        if "manifest.json" in listed:
            self.add("MANIFEST_MISMATCH", "the manifest lists itself")

    def signatures(self, checkpoint: Checkpoint, trust: Trust) -> None:
        """The log with each type of its keys, and a quorum of witnesses."""
        log_keys = trust.log_keys(checkpoint.origin)
        if not log_keys:
            self.add("ORIGIN_MISMATCH", f"the trust file has no log {checkpoint.origin}")
            return
        try:
            signed = checkpoint.signed_by([*log_keys, *trust.witnesses.values()], strict=True)
        except BadError as error:
            self.add("SIGNATURE_INVALID", f"checkpoint: {error}")
            return
        types = {key.type for key in log_keys if key in signed}
        if types != {key.type for key in log_keys}:
            self.add(
                "SIGNATURE_INVALID", "checkpoint: the log has not signed with each type of key"
            )
        if not trust.met(trust.quorum, signed):
            self.add("QUORUM_NOT_MET", f"the cosignatures do not make up {trust.quorum}")
        self.until = max(trust.times(signed), default=None)

    def pin(self, checkpoint: Checkpoint) -> Checkpoint | None:
        """The pinned checkpoint, if there is one to compare with."""
        if self.since is None:
            return None
        try:
            pin = Checkpoint(self.since)
            if self.trust:
                log_keys = self.trust.log_keys(pin.origin)
                signed = pin.signed_by([*log_keys, *self.trust.witnesses.values()], strict=False)
                if not any(key in signed for key in log_keys):
                    raise BadError("the log itself has not signed")
                self.pinned_at = min(self.trust.times(signed), default=None)
        except BadError as error:
            self.add("PIN_INVALID", f"the pinned checkpoint: {error}")
            return None
        if pin.origin != checkpoint.origin:
            self.add("ORIGIN_MISMATCH", f"the pinned checkpoint is of {pin.origin}")
            return None
        if pin.size > checkpoint.size:
            self.add("INCONSISTENT_WITH_PINNED", f"there were {pin.size} entries once")
            return None
        return pin

    def file_set(self, size: int) -> bool:
        """Exactly the tiles of a log of this size; whether to go on."""
        # Counted first: a checkpoint may claim more tiles than anyone can list.
        if -(-size // 256) > len(self.files):
            self.add("FILE_MISSING", f"too few files for {size} entries")
            return False
        wanted = tile_set(size)
        present = {path for path in self.files if path.startswith("tile/")}
        for path in sorted(wanted - present):
            self.add("FILE_MISSING", f"{path} is missing")
        for path in sorted(present - wanted):
            self.add("FILE_UNEXPECTED", f"{path} is not of a log of {size} entries")
        return wanted <= present

    def tree(self, checkpoint: Checkpoint, pin: Checkpoint | None) -> None:
        """Build the tree from the entries; compare the pinned root, the tiles and the root."""
        tree = Tree()
        new_from = pin.size if pin else checkpoint.size
        self.compare_pin(tree, pin)
        for path, width in tiles(checkpoint.size, "entries"):
            try:
                entries = read_entries(self.files[path], width)
            except BadError as error:
                self.add("MALFORMED", f"{path}: {error}")
                return
            for entry in entries:
                self.leaf(tree.size, entry, new_from)
                tree.add(entry)
                self.compare_pin(tree, pin)
        for level, hashes in enumerate(tree.levels):
            for i, (path, width) in enumerate(tiles(len(hashes), level)):
                if self.files[path] != b"".join(hashes[256 * i : 256 * i + width]):
                    self.add("TILE_MISMATCH", f"{path} is not what the entries give")
        if tree.root() != checkpoint.root:
            self.add("ROOT_MISMATCH", f"the entries give the root {tree.root().hex()}")

    def compare_pin(self, tree: Tree, pin: Checkpoint | None) -> None:
        if pin and tree.size == pin.size and tree.root() != pin.root:
            self.add("INCONSISTENT_WITH_PINNED", f"the first {pin.size} entries are others")

    def leaf(self, index: int, entry: bytes, new_from: int) -> None:
        """One entry, and its time against the leaves before it and the witnesses."""
        try:
            leaf = Leaf(entry)
        except BadError as error:
            self.add("LEAF_INVALID", f"leaf {index}: {error}")
            return
        if leaf.last_ref >= index:
            self.add("LEAF_INVALID", f"leaf {index}: it refers to a leaf that is not before it")
        self.leaves[index] = leaf
        self.types[leaf.type] = self.types.get(leaf.type, 0) + 1
        if leaf.time < self.latest - MAX_SKEW_S:
            self.add("TIME_INVALID", f"leaf {index}: earlier than a leaf before it")
        elif self.until is not None and leaf.time > self.until + MAX_SKEW_S:
            self.add("TIME_INVALID", f"leaf {index}: later than its cosignatures")
        elif index >= new_from and leaf.time < (self.pinned_at or 0) - MAX_SKEW_S:
            self.add("TIME_INVALID", f"leaf {index}: earlier than the pinned checkpoint without it")
        self.latest = max(self.latest, leaf.time)

    def check_bodies(self, size: int) -> None:
        """Each body has to be what its leaf committed to."""
        for path in sorted(self.files):
            if not path.startswith("bodies/"):
                continue
            try:
                match = BODY.fullmatch(path)
                if not match:
                    raise BadError("not the name of a body")
                index = decimal(match[1])
                fields = read_json(self.files[path])
                if not isinstance(fields, dict) or fields.keys() != {"body", "opening"}:
                    raise BadError("not an object of body and opening")
                if not isinstance(fields["body"], dict):
                    raise BadError("a body that is no object")
                opening = read_hash(fields["opening"])
            except BadError as error:
                self.add("MALFORMED", f"{path}: {error}")
                continue
            made = hmac.digest(opening, write_json(fields["body"], 0).encode(), "sha256")
            if index >= size:
                self.add("FILE_UNEXPECTED", f"{path} is not of a log of {size} entries")
            elif index in self.leaves:
                if made == self.leaves[index].commitment:
                    self.bodies += 1
                else:
                    self.add("BODY_MISMATCH", f"{path} is not what its leaf committed to")


def verify(path: Path, trust: bytes | None, since: bytes | None) -> dict[str, Any]:
    """The report on the bundle at `path`; `trust` and `since` are bytes or None."""
    policy = Trust(trust) if trust is not None else None
    try:
        files = read_bundle(path)
    except (OSError, BadError) as error:
        code = "MALFORMED" if isinstance(error, BadError) else "UNREADABLE"
        text = str(error) if isinstance(error, BadError) else "the bundle cannot be read"
        refused = Verification({}, policy, since)
        refused.add(code, text)
        return refused.summary(None, None)
    return Verification(files, policy, since).report()


def main() -> int:
    """Run as a program; returns the exit code."""
    parser = argparse.ArgumentParser(description="Verify a bundle of a match log offline.")
    parser.add_argument("bundle", type=Path, help="directory or .tar file")
    parser.add_argument("--trust", type=Path, help="trust file, obtained out of band")
    parser.add_argument("--since", type=Path, help="checkpoint kept from an earlier verification")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    try:
        trust = options.trust.read_bytes() if options.trust else None
        since = options.since.read_bytes() if options.since else None
        report = verify(options.bundle, trust, since)
    except (OSError, TrustFileError) as error:
        print(f"verify: trust file or checkpoint: {error}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps(report))
    else:
        print(f"{report['verdict']}\nlog {report['origin'] or '(none)'}, {report['size']} entries, "
              f"root {report['root']}")  # fmt: skip
        for finding in report["findings"]:
            print(f"  {finding['code']}: {finding['text']}")
    return 0 if report["verdict"] == "OK" else 3


if __name__ == "__main__":
    sys.exit(main())
