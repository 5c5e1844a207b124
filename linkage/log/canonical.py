"""One accepted spelling of base64, of decimal numbers and of JSON.

What parses here would be written again with the same bytes, so there are no two
spellings of one fact and no bit that a reader ignores.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from typing import TypeAlias, cast

import rfc8785

from linkage.errors import MalformedMessageError

Json: TypeAlias = "bool | int | float | str | Sequence[Json] | Mapping[str, Json] | None"
JsonObject: TypeAlias = Mapping[str, Json]

MAX_DEPTH = 32
"""Arrays and objects inside each other. Fixed, so that no two readers differ about it."""
_FIRST_INEXACT_INT = 2**53
_SMALLEST_TOO_LARGE = 2**63


def encode_base64(data: bytes) -> str:
    """Return `data` in standard base64 with padding (RFC 4648, section 4)."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str) -> bytes:
    """Return the bytes that `encode_base64` would write as `text`.

    Raises:
        MalformedMessageError: another alphabet, white space, missing padding, or
            padding bits that are not zero.
    """
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except ValueError as error:
        raise MalformedMessageError("not base64") from error
    if encode_base64(data) != text:
        raise MalformedMessageError("base64 in a second spelling")
    return data


def parse_decimal(text: str) -> int:
    """Return the number from 0 to 2**63 - 1 that `text` spells in ASCII digits.

    Raises:
        MalformedMessageError: a sign, a space, a leading zero, or too large.
    """
    # The length keeps the conversion short; isdecimal alone would take other scripts.
    if not (0 < len(text) <= 19 and text.isascii() and text.isdecimal()):
        raise MalformedMessageError("not a decimal number")
    number = int(text)
    if str(number) != text or number >= _SMALLEST_TOO_LARGE:
        raise MalformedMessageError("not a decimal number from 0 to 2**63 - 1 in one spelling")
    return number


def format_json(value: Json) -> bytes:
    """Return `value` as canonical JSON.

    Raises:
        MalformedMessageError: a value that JSON cannot carry exactly: NaN, an
            integer beyond 2**53 - 1, a lone surrogate, a key that is no string,
            nesting too deep.

    Source: RFC 8785.
    """
    plain = _plain_text(value)
    if plain is not None:
        return plain.encode()
    try:
        # The cast is for mypy alone: rfc8785's own value type is private.
        return rfc8785.dumps(cast("dict[str, None]", value))
    except (ValueError, RecursionError) as error:
        raise MalformedMessageError("a value that canonical JSON cannot carry") from error


def parse_json(data: bytes) -> Json:
    """Return the value of canonical JSON.

    Raises:
        MalformedMessageError: not JSON in UTF-8, deeper than `MAX_DEPTH`, or not in
            its canonical form, which also catches a key given twice.
    """
    value = _plain_value(data)
    if value is None:
        try:
            value = cast("Json", json.loads(data.decode("utf-8"), parse_int=_number))
        except (ValueError, RecursionError) as error:
            raise MalformedMessageError("not JSON in UTF-8") from error
        if format_json(value) != data:
            raise MalformedMessageError("JSON that is not in its canonical form")
    # Most values have too few brackets to be deep, and need no walk.
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _depth(value) > MAX_DEPTH:
        raise MalformedMessageError(f"JSON deeper than {MAX_DEPTH} arrays and objects")
    return value


def parse_json_object(data: bytes, keys: frozenset[str]) -> dict[str, Json]:
    """Return the members of a canonical JSON object that has exactly `keys`.

    Raises:
        MalformedMessageError: not canonical JSON, no object, or other members.
    """
    value = parse_json(data)
    if not isinstance(value, dict) or value.keys() != keys:
        raise MalformedMessageError(f"not a JSON object with exactly {', '.join(sorted(keys))}")
    return cast("dict[str, Json]", value)


def _depth(value: Json) -> int:
    """Return how many arrays and objects are inside each other; stops past the allowed."""
    depth, level = 0, [value]
    while depth <= MAX_DEPTH and (inner := [one for one in level if isinstance(one, (list, dict))]):
        depth += 1
        level = [
            child for one in inner for child in (one.values() if isinstance(one, dict) else one)
        ]
    return depth


def _plain_text(value: Json) -> str | None:
    """Return canonical JSON by the standard library, or None where the two might differ.

    They do about numbers that are no small integers, and about the order of keys beyond ASCII;
    for all else the standard library writes the same, and many times faster.
    """
    try:
        text = _ENCODER.encode(value)
        # What is read differently was no JSON before: a tuple, a key that is a number.
        same = _DECODER.decode(text) == value
    except (ValueError, TypeError, RecursionError):
        return None
    return text if same and text.isascii() else None


def _plain_value(data: bytes) -> Json:
    """Return the value of canonical JSON by the standard library, or None; see `_plain_text`."""
    try:
        text = data.decode("ascii")
        value = cast("Json", _DECODER.decode(text))
        return value if _ENCODER.encode(value) == text else None
    except (ValueError, RecursionError):
        return None


def _small(text: str) -> int:
    if len(text) > _SMALL_DIGITS:
        raise ValueError("not a small integer")
    return int(text)


def _not_plain(text: str) -> float:
    raise ValueError(f"not a small integer: {text}")


_SMALL_DIGITS = 15
_DECODER = json.JSONDecoder(parse_int=_small, parse_float=_not_plain, parse_constant=_not_plain)
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _number(text: str) -> int | float:
    """Return a JSON number without fraction: beyond 2**53 it is a double, as RFC 8785 has it."""
    number = float(text)
    return int(text) if abs(number) < _FIRST_INEXACT_INT else number
