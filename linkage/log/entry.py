"""One entry of the match log: canonical JSON, public or committed to.

A public leaf carries its `body`. A confidential one carries type, time, actor
and agreement, and a commitment to its body, HMAC-SHA256 under a random opening:
the body goes to the parties of that agreement and to auditors, and destroying
the opening makes the commitment say nothing. Who appends draws the opening and
reads the clock. The log hashes the bytes it was given and never writes them again.

No personal data belongs into a leaf, and no unsalted digest of any; this module
cannot see that.
"""

import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import NamedTuple, cast

from linkage.errors import MalformedMessageError, VerificationError
from linkage.log.canonical import (
    Json,
    JsonObject,
    decode_base64,
    encode_base64,
    format_json,
    parse_json,
    parse_json_object,
)
from linkage.log.tiles import MAX_ENTRY_BYTES

VERSION = 1
OPENING_BYTES = 32
COMMITMENT_BYTES = 32

TYPES = frozenset(
    {
        "genesis", "enrol", "gate", "batch", "refine", "result", "release", "lookup.grant",
        "lookup.minute", "destruction", "anchor", "freeze",
    }
)  # fmt: skip
FAMILIES = frozenset({"key", "agreement", "epoch", "job", "rights", "incident", "admin"})
"""Types with one more word: `job.request`, `epoch.delegate`."""
_CONFIDENTIAL_TYPES = frozenset(
    {
        "gate", "batch", "refine", "result", "release", "lookup.grant", "lookup.minute",
        "destruction",
    }
)  # fmt: skip
_CONFIDENTIAL_FAMILIES = frozenset({"job", "rights", "incident"})

_SECOND_WORD = re.compile(r"[a-z][a-z0-9_]{0,31}")
_NAME = re.compile(r"[!-~]{1,255}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}Z")
_BEFORE_BODY = b'{"body":'
_AFTER_BODY_BYTES = len(b',"opening":""}') + 44  # base64 of an opening
_COMMON = frozenset({"v", "type", "time", "actor", "agreement", "ref"})
_PUBLIC = _COMMON | {"body"}
_CONFIDENTIAL = _COMMON | {"commitment"}


@dataclass(frozen=True)
class Entry:
    """One leaf.

    Args:
        type: one of `TYPES`, or a family with one more word.
        time: when it was sequenced, in UTC and whole seconds; the log's own claim.
        actor: who caused it, in visible ASCII.
        agreement: the id of the agreement it belongs to, if any.
        ref: indexes of earlier leaves it builds on, ascending.
        body: what happened, for a public type.
        commitment: `commit_body` of what happened, for a confidential type.
    """

    type: str
    time: datetime
    actor: str
    agreement: str | None
    ref: tuple[int, ...] = ()
    body: JsonObject | None = None
    commitment: str | None = None


def is_confidential(leaf_type: str) -> bool:
    """Return whether leaves of this type carry a commitment instead of their body."""
    family = leaf_type.partition(".")[0]
    return leaf_type in _CONFIDENTIAL_TYPES or family in _CONFIDENTIAL_FAMILIES


def format_entry(entry: Entry) -> bytes:
    """Return the bytes of a leaf.

    Raises:
        MalformedMessageError: an entry that would not parse or would parse
            differently, or one of more than 65,535 bytes: log a digest of the
            large part instead.
    """
    if entry.time.utcoffset() != timedelta(0) or entry.time.microsecond:
        raise MalformedMessageError("the time of an entry is not in UTC and whole seconds")
    fields: dict[str, Json] = {
        "v": VERSION,
        "type": entry.type,
        "time": entry.time.isoformat().replace("+00:00", "Z"),
        "actor": entry.actor,
        "agreement": entry.agreement,
        "ref": list(entry.ref),
    }
    if entry.body is not None:
        fields["body"] = entry.body
    if entry.commitment is not None:
        fields["commitment"] = entry.commitment
    data = format_json(fields)
    parse_entry(data)
    return data


def parse_entry(data: bytes) -> Entry:
    """Return the entry of a leaf.

    Raises:
        MalformedMessageError: not canonical JSON, other members than its type
            has, or a member that is not what it has to be.
    """
    if len(data) > MAX_ENTRY_BYTES:
        raise MalformedMessageError(f"an entry of {len(data)} bytes; {MAX_ENTRY_BYTES} fit")
    fields = parse_json(data)
    if not isinstance(fields, dict):
        raise MalformedMessageError("an entry is not a JSON object")
    leaf_type = fields.get("type")
    if not isinstance(leaf_type, str) or not _is_type(leaf_type):
        raise MalformedMessageError("an entry of unknown type")
    if fields.keys() != (_CONFIDENTIAL if is_confidential(leaf_type) else _PUBLIC):
        raise MalformedMessageError(f"an entry of type {leaf_type} with other members")
    if fields["v"] != VERSION or isinstance(fields["v"], bool):
        raise MalformedMessageError("an entry of unknown version")
    agreement = fields["agreement"]
    body = fields.get("body", {})
    commitment = fields.get("commitment")
    if not isinstance(body, dict):
        raise MalformedMessageError("the body of an entry is not a JSON object")
    if commitment is not None:
        _decode_exactly(commitment, COMMITMENT_BYTES)
    return Entry(
        type=leaf_type,
        time=_parse_time(fields["time"]),
        actor=_parse_name(fields["actor"]),
        agreement=None if agreement is None else _parse_name(agreement),
        ref=_parse_ref(fields["ref"]),
        body=body if "body" in fields else None,
        commitment=commitment,
    )


def commit_body(opening: bytes, body: bytes) -> str:
    """Return the commitment to a body, for a confidential leaf.

    Args:
        opening: 32 random bytes, used for this body only.
        body: the canonical JSON of it.

    Raises:
        ValueError: the opening has another length. HMAC hashes keys that are
            longer than a block, so without this two openings could fit one leaf.
    """
    if len(opening) != OPENING_BYTES:
        raise ValueError(f"an opening has {OPENING_BYTES} bytes, not {len(opening)}")
    return encode_base64(hmac.digest(opening, body, "sha256"))


def verify_body(entry: Entry, opening: bytes, body: bytes) -> None:
    """Check that `body` is what a confidential leaf committed to.

    Raises:
        VerificationError: it is not, or the leaf commits to nothing.
    """
    if entry.commitment is None or len(opening) != OPENING_BYTES:
        raise VerificationError("a body for a leaf that commits to none")
    if not hmac.compare_digest(commit_body(opening, body), entry.commitment):
        raise VerificationError("a body that its leaf did not commit to")


def format_body(opening: bytes, body: bytes) -> bytes:
    """Return the file that opens a commitment: `{"body": ..., "opening": ...}`.

    Raises:
        MalformedMessageError: the body is not the canonical JSON of an object, or
            the opening is not 32 bytes.
    """
    data = format_json({"body": parse_json(body), "opening": encode_base64(opening)})
    parse_body(data)
    return data


class OpenedBody(NamedTuple):
    """What a file of `format_body` has.

    Attributes:
        opening: opens the commitment.
        content: the canonical JSON of the body: what was committed to.
        fields: the same, read.
    """

    opening: bytes
    content: bytes
    fields: JsonObject


def open_body(data: bytes) -> OpenedBody:
    """Return what is in a file of `format_body`.

    Raises:
        MalformedMessageError: anything `format_body` would not write.
    """
    fields = parse_json_object(data, frozenset({"body", "opening"}))
    if not isinstance(fields["body"], dict):
        raise MalformedMessageError("a body is not a JSON object")
    opening = _decode_exactly(fields["opening"], OPENING_BYTES)
    # The whole is canonical, and so is the part of it between these two.
    return OpenedBody(opening, data[len(_BEFORE_BODY) : -_AFTER_BODY_BYTES], fields["body"])


def parse_body(data: bytes) -> tuple[bytes, bytes]:
    """Return the opening and the canonical body in a file; raises as `open_body`."""
    return open_body(data)[:2]


def _is_type(text: str) -> bool:
    family, _, word = text.partition(".")
    return text in TYPES or (family in FAMILIES and _SECOND_WORD.fullmatch(word) is not None)


def _parse_time(value: Json) -> datetime:
    if not isinstance(value, str) or _TIME.fullmatch(value) is None:
        raise MalformedMessageError("the time of an entry is not in UTC and whole seconds")
    try:
        return datetime.fromisoformat(value.removesuffix("Z")).replace(tzinfo=UTC)
    except ValueError as error:
        raise MalformedMessageError("the time of an entry does not exist") from error


def _parse_name(value: Json) -> str:
    if not isinstance(value, str) or _NAME.fullmatch(value) is None:
        raise MalformedMessageError("an actor or agreement is not 1 to 255 visible ASCII letters")
    return value


def _parse_ref(value: Json) -> tuple[int, ...]:
    indexes = cast("Sequence[Json]", value) if isinstance(value, list) else [None]
    # bool is an int to Python, and no index.
    if any(type(index) is not int or index < 0 for index in indexes):
        raise MalformedMessageError("the references of an entry are not leaf indexes")
    ref = tuple(cast("Sequence[int]", indexes))
    if any(a >= b for a, b in pairwise(ref)):
        raise MalformedMessageError("the references of an entry are not ascending")
    return ref


def _decode_exactly(value: Json, n_bytes: int) -> bytes:
    data = decode_base64(value) if isinstance(value, str) else b""
    if len(data) != n_bytes:
        raise MalformedMessageError(f"not the base64 of {n_bytes} bytes")
    return data
