"""Leaves and bodies of a log, each checked by itself: what several processes can do at once.

Nothing here looks at two leaves together. Whether they are in order, and make the tree, is
`audit.verify`'s question; what they mean is `audit.replay`'s.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import NamedTuple

from keys.dsse import CheckedEnvelope, Envelope, check_envelope, envelope_in, key_id_of
from keys.errors import KeysError
from linkage.agreement.payload import Enrolment, KeyRotation, envelope_of, parse_payload
from linkage.errors import MalformedMessageError, VerificationError
from linkage.log.canonical import JsonObject, decode_base64
from linkage.log.entry import Entry, open_body, parse_entry, verify_body
from linkage.log.hashing import leaf_hash

PART_LEAVES = 1024
"""Leaves of a part: much more than handing it to a process costs."""
_WITH_KEYS = (b'"type":"enrol"', b'"type":"key.rotate"')


class Problem(NamedTuple):
    """What is wrong with a leaf or a body.

    Attributes:
        text: in words.
        mismatch: whether a body is in its form, and is not the one of its leaf.
    """

    text: str
    mismatch: bool = False


@dataclass(frozen=True)
class Part:
    """Some leaves after one another, and their bodies.

    Attributes:
        entries: the bytes of the leaves.
        bodies: the files of their bodies, by place among them.
        keys: raw signing keys by their id: the signatures of requests are checked with them.
            None where nobody asks for that.
    """

    entries: tuple[bytes, ...]
    bodies: Mapping[int, bytes]
    keys: Mapping[str, bytes] | None = None


class ReadLeaf(NamedTuple):
    """One leaf.

    Attributes:
        entry: what it says, or what is wrong with it.
        hash: of its bytes.
        body: what it committed to, or what is wrong with that; None where it is not at hand.
        request: the signed request in its body, its signatures checked.
    """

    entry: Entry | Problem
    hash: bytes
    body: JsonObject | Problem | None = None
    request: Envelope | None = None


Run = Callable[[Callable[[Part], list[ReadLeaf]], Iterable[Part]], Iterator[list[ReadLeaf]]]
"""Does something to each of many, in their order: `map`, or that of several processes."""


def read_part(part: Part) -> list[ReadLeaf]:
    """Return the leaves of a part, each checked by itself."""
    return [
        _read(entry, part.bodies.get(index), part.keys) for index, entry in enumerate(part.entries)
    ]


def signing_keys(entries: Iterable[bytes]) -> dict[str, bytes]:
    """Return all signing keys that documents of a log bring, by their id.

    Whether a key counts, and for whom, is not asked here: whether a signature is one of a key
    does not depend on it.
    """
    found: dict[str, bytes] = {}
    for data in entries:
        if not any(word in data for word in _WITH_KEYS):
            continue
        try:
            envelope = envelope_of(parse_entry(data).body)
            if envelope.payload_type == Enrolment.TYPE:
                text = parse_payload(Enrolment, envelope).sign_key
            else:
                text = parse_payload(KeyRotation, envelope).sign_key
            if text is not None:
                key = decode_base64(text)
                found[key_id_of(key)] = key
        except MalformedMessageError:
            continue  # what it brings counts for nothing, and is found where it stands
    return found


@contextmanager
def processes(jobs: int) -> Iterator[Run]:
    """Run in so many processes beside this one; in this one for 1."""
    if jobs == 1:
        yield map
        return
    # Not forked from this process: whatever threads it has stay out of it.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield pool.map


def _read(data: bytes, body: bytes | None, keys: Mapping[str, bytes] | None) -> ReadLeaf:
    digest = leaf_hash(data)
    try:
        entry = parse_entry(data)
    except MalformedMessageError as error:
        return ReadLeaf(Problem(str(error)), digest, _problem(body))
    if body is None:
        return ReadLeaf(entry, digest)
    try:
        opened = open_body(body)
        verify_body(entry, opened.opening, opened.content)
    except MalformedMessageError as error:
        return ReadLeaf(entry, digest, Problem(str(error)))
    except VerificationError as error:
        return ReadLeaf(entry, digest, Problem(str(error), mismatch=True))
    request = _request_in(opened.fields, keys) if keys is not None else None
    return ReadLeaf(entry, digest, opened.fields, request)


def _problem(body: bytes | None) -> Problem | None:
    """Return what is wrong with a body by itself."""
    try:
        if body is not None:
            open_body(body)
    except MalformedMessageError as error:
        return Problem(str(error))
    return None


def _request_in(fields: JsonObject, keys: Mapping[str, bytes]) -> CheckedEnvelope | None:
    try:
        return check_envelope(envelope_in(fields["request"]), keys) if "request" in fields else None
    except KeysError:
        return None  # the replay says so, where it needs one
