"""Shares of one agency's key-encryption key, as words for its officers (SLIP-39).

A key-encryption key opens the keystore of the agency that holds it, and nothing of any
other. A linkage key is never shared out: an agency that lost one begins a new epoch with
the other parties. `split_key` therefore wants proof of what it is given: a keystore file
that the key opens.

The reference code of SLIP-39 does not run in constant time: split and join on a machine
that is offline and has no other users.

Source: SLIP-0039 (Shamir's secret sharing for mnemonic codes); 32 bytes become 33 words
with a checksum of their own.
"""

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from keys.errors import KeysError, KeystoreError
from keys.files import read_private_file
from keys.keystore import is_keystore, read_header, unsealed
from keys.providers import KEY_BYTES, FileProvider, KeyProvider
from keys.states import KeyUse

try:
    import shamir_mnemonic
except ImportError as error:
    raise KeysError("shares need the extra recovery: pip install 'padan[recovery]'") from error

MAX_SHARES = 16
_FINGERPRINT_BYTES = 8
_GROUP = re.compile(r"([1-9][0-9]?)of([1-9][0-9]?)")
_MAX_SHARE_CHARS = 1024
_MISSPELT = "a word is misspelt, missing or doubled"


@dataclass(frozen=True)
class Group:
    """Some officers: how many shares they have, and how many of those are needed."""

    needed: int
    shares: int


@dataclass(frozen=True)
class Plan:
    """Who must come together.

    Attributes:
        groups: the groups of officers.
        groups_needed: how many groups must each bring enough shares.

    Raises:
        KeysError: out of the bounds of SLIP-39, or one officer alone would be enough.
    """

    groups: tuple[Group, ...]
    groups_needed: int = 1

    def __post_init__(self) -> None:
        if not 1 <= len(self.groups) <= MAX_SHARES:
            raise KeysError(f"{len(self.groups)} groups: 1 to {MAX_SHARES} are possible")
        if not 1 <= self.groups_needed <= len(self.groups):
            raise KeysError(f"{self.groups_needed} groups needed of {len(self.groups)}")
        for group in self.groups:
            if not 1 <= group.needed <= group.shares <= MAX_SHARES:
                raise KeysError(
                    f"{group.needed} of {group.shares}: 1 to {MAX_SHARES} shares, and no more "
                    "needed than there are"
                )
            if group.needed == 1 < group.shares:
                raise KeysError("1 of several is the same share for all: take 1of1, or need 2")
        if sum(sorted(group.needed for group in self.groups)[: self.groups_needed]) < 2:
            raise KeysError("one officer alone could restore the key: need at least two shares")


def parse_group(text: str) -> Group:
    """Return the group that `3of5` names.

    Raises:
        KeysError: it has another form.
    """
    match = _GROUP.fullmatch(text)
    if match is None:
        raise KeysError("a group is written like 3of5: shares needed, shares made")
    return Group(int(match[1]), int(match[2]))


def read_splittable_key(path: Path, opens: Path) -> bytearray:
    """Return the key-encryption key in a file, after it has opened a keystore file.

    Args:
        path: file of the key.
        opens: a keystore file of the same agency.

    Raises:
        KeystoreError: the file is a keystore itself, or its key does not open `opens`, as
            no linkage key or other secret would.
    """
    if is_keystore(path):
        raise KeystoreError(
            f"{path}: holds a {read_header(path).kind} key: only the key-encryption key of a "
            "keystore is shared out, never a key in it"
        )
    provider = FileProvider(path)
    try:
        verify_opens(provider, opens)
    finally:
        provider.close()
    return read_private_file(path, KEY_BYTES)


def verify_opens(provider: KeyProvider, path: Path) -> None:
    """Check that a provider opens a keystore file, in whatever state its key is.

    Raises:
        KeystoreError: it does not.
    """
    with unsealed(path, provider, use=KeyUse.INSPECT):
        pass


def split_key(key: bytes | bytearray, plan: Plan) -> list[list[str]]:
    """Return the shares of a key, by group, each one a line of words.

    Enough of them have been joined again before this returns.

    Raises:
        KeysError: the key has another length.
    """
    if len(key) != KEY_BYTES:
        raise KeysError(f"a key-encryption key has {KEY_BYTES} bytes, this one {len(key)}")
    shares = shamir_mnemonic.generate_mnemonics(
        plan.groups_needed, [(group.needed, group.shares) for group in plan.groups], bytes(key)
    )
    enough = [
        share
        for group, lines in list(zip(plan.groups, shares, strict=True))[-plan.groups_needed :]
        for share in lines[-group.needed :]
    ]
    joined = join_shares(enough)
    if joined != key:
        raise KeysError("the shares do not give the key back: nothing was handed out")
    joined[:] = bytes(len(joined))
    return [list(lines) for lines in shares]


def verify_share(text: str) -> None:
    """Check the words of one share by their own checksum.

    Raises:
        KeysError: it is no share, or is misspelt; the text shows no word of it.
    """
    try:
        shamir_mnemonic.Share.from_mnemonic(_spelling(text))
    except (shamir_mnemonic.MnemonicError, ValueError):
        raise KeysError(_MISSPELT) from None


def join_shares(shares: Sequence[str]) -> bytearray:
    """Return the key of enough shares; more than enough are no harm.

    Args:
        shares: lines of words, in any order.

    Raises:
        KeysError: a share is misspelt, of another key, or there are too few; the text names
            shares by their place in `shares` and shows no word of them.
    """
    groups: dict[int, dict[int, str]] = {}
    needed: dict[int, int] = {}
    common: tuple[object, ...] | None = None
    for number, text in enumerate(shares, 1):
        words = _spelling(text)
        try:
            share = shamir_mnemonic.Share.from_mnemonic(words)
        except (shamir_mnemonic.MnemonicError, ValueError):
            # No `from`: the library's text quotes words.
            raise KeysError(f"share {number}: {_MISSPELT}") from None
        if common not in (None, tuple(share.common_parameters())):
            raise KeysError(f"share {number}: of another key, or of another splitting of it")
        common = tuple(share.common_parameters())
        groups_needed = share.group_threshold
        needed[share.group_index] = share.member_threshold
        groups.setdefault(share.group_index, {})[share.index] = words
    if common is None:
        raise KeysError("no share: give one by one what the officers hold")
    complete = [index for index, found in groups.items() if len(found) >= needed[index]]
    if len(complete) < groups_needed:
        found = ", ".join(
            f"group {index + 1} has {len(groups[index])} of the {needed[index]} it needs"
            for index in sorted(groups)
        )
        raise KeysError(
            f"too few shares: {found}; complete groups needed: {groups_needed}, there: "
            f"{len(complete)}"
        )
    enough = [
        words
        for index in complete[:groups_needed]
        for words in list(groups[index].values())[: needed[index]]
    ]
    try:
        key = bytearray(shamir_mnemonic.combine_mnemonics(enough))
    except (shamir_mnemonic.MnemonicError, ValueError):
        raise KeysError("these shares do not belong together: check who brought which") from None
    if len(key) != KEY_BYTES:
        raise KeysError(f"the shares are of a secret of {len(key)} bytes: no key of a keystore")
    return key


def key_fingerprint(key: bytes | bytearray) -> str:
    """Return 16 hexadecimal digits that tell one key-encryption key from another."""
    info = b"padan/v1 key-encryption key fingerprint"
    return HKDFExpand(SHA256(), _FINGERPRINT_BYTES, info).derive(key).hex()


def format_transcript(
    plan: Plan,
    shares: Sequence[Sequence[str]],
    holders: Sequence[str],
    key: bytes | bytearray,
    time: str,
    rehearsal: bool,
) -> bytes:
    """Return the JSON of what a ceremony did, for its officers to sign and the log to keep.

    It names each share by its place and its SHA-256. A share holds 32 random bytes, so its
    digest gives nothing of it away.

    Args:
        plan: who must come together.
        shares: the shares by group, as `split_key` returned them.
        holders: the office of each holder, in the order of the shares; or none.
        key: the key that was split.
        time: RFC 3339.
        rehearsal: the key was drawn for this and forgotten.
    """
    offices = list(holders) or [""] * sum(len(lines) for lines in shares)
    members = [
        {"share": place, "holder": office, "sha256": share_digest(share)}
        for (place, share), office in zip(named_shares(shares), offices, strict=True)
    ]
    fields = {
        "groups": [{"needed": group.needed, "shares": group.shares} for group in plan.groups],
        "groups_needed": plan.groups_needed,
        "key": key_fingerprint(key),
        "rehearsal": rehearsal,
        "shares": members,
        "time": time,
        "v": 1,
    }
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def named_shares(shares: Sequence[Sequence[str]]) -> list[tuple[str, str]]:
    """Return all shares with their places: `2-1` is the first one of the second group."""
    return [
        (f"{group}-{member}", share)
        for group, lines in enumerate(shares, 1)
        for member, share in enumerate(lines, 1)
    ]


def share_digest(share: str) -> str:
    """Return the SHA-256 of a share in its one spelling, in hexadecimal."""
    return hashlib.sha256(_spelling(share).encode()).hexdigest()


def _spelling(text: str) -> str:
    return " ".join(text[:_MAX_SHARE_CHARS].lower().split())
