"""The one spelling of what this package signs: JSON as RFC 8785 writes it, bytes as base64.

A reader does not check spellings one by one: it reads what it needs, writes it again, and
compares. So there are no unknown members and no bits that are ignored.
"""

import base64
import json
from collections.abc import Mapping


def to_json(fields: Mapping[str, object]) -> bytes:
    """Return an object of ASCII texts, whole numbers, lists and objects as canonical JSON."""
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()


def to_text(data: bytes) -> str:
    """Return bytes in standard base64 with padding."""
    return base64.b64encode(data).decode()


def to_bytes(value: object, n_bytes: int) -> bytes:
    """Return so many bytes from base64.

    Raises:
        TypeError: the value is no text.
        ValueError: it is no base64, or of another number of bytes.
    """
    if not isinstance(value, str):
        raise TypeError("not base64")
    data = base64.b64decode(value, validate=True)
    if len(data) != n_bytes:
        raise ValueError(f"{len(data)} bytes, not {n_bytes}")
    return data
