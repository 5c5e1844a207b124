"""Messages that no client of ours would send, made from those that one did.

Bytes are cut, turned, doubled and made up; fields of messages that can be read are given values
at and beyond the ends of what they may hold. The same seed makes the same messages.
"""

import math
import random
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf import descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

_TEXTS = (
    "",
    "x",
    "\0",
    "../../../etc/passwd",
    "%s%n{0}",
    "' OR 1=1 --",
    "\u202e\ufeff",
    "é" * 40,
    "a" * 70_000,
)
_NUMBERS = (0, 1, -1, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**64 - 1, -(2**63))
_FLOATS = (0.0, -0.0, 1.0, -1.0, 1e308, 5e-324, math.nan, math.inf, -math.inf)
_LENGTHS = (0, 1, 15, 16, 17, 31, 32, 33, 64, 4_097, 65_536, 300_000)
_REPEATS = (0, 1, 2, 65, 5_000)


def method_of(path: str) -> MethodDescriptor:
    """Return the descriptor of `/package.Service/Method`."""
    service, name = path[1:].split("/")
    return descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]


class Malformed:
    """Makes malformed messages.

    Args:
        seen: serialised requests of real calls, by method.
        known: texts and bytes that mean something to the server, by the name of a field.
        seed: of the draw.
    """

    def __init__(
        self, seen: dict[str, list[bytes]], known: dict[str, list[Any]], seed: int
    ) -> None:
        self._seen, self._known = seen, known
        self._draw = random.Random(seed)

    def messages(self, path: str) -> Iterator[bytes]:
        """Yield messages for a method, without an end."""
        kinds: tuple[Callable[[bytes], bytes], ...] = (
            self._cut,
            self._turned,
            self._doubled,
            self._with_unknown,
            self._made_up,
            self._deep,
        )
        while True:
            base = self._base(path)
            if self._draw.random() < 0.5:
                yield self._draw.choice(kinds)(base)
            else:
                yield self._stretched(path, base)

    def _base(self, path: str) -> bytes:
        seen = self._seen.get(path, [])
        if seen and self._draw.random() < 0.8:
            return self._draw.choice(seen)
        made: Message = message_factory.GetMessageClass(method_of(path).input_type)()
        self._fill(made, 0)
        return made.SerializeToString()

    def _fill(self, message: Message, depth: int) -> None:
        for field in message.DESCRIPTOR.fields:
            if self._draw.random() < 0.9:
                self._set(message, field, depth, strange=False)

    def _stretched(self, path: str, base: bytes) -> bytes:
        message: Message = message_factory.GetMessageClass(method_of(path).input_type)()
        try:
            message.ParseFromString(base)
        except Exception:  # noqa: BLE001 -- recorded messages can be read; others stay as they are
            return base
        for _ in range(self._draw.randint(1, 3)):
            target, depth = message, 0
            while True:
                fields = list(target.DESCRIPTOR.fields)
                if not fields:
                    break
                field = self._draw.choice(fields)
                inner = field.message_type is not None and not field.is_repeated
                if inner and self._draw.random() < 0.8:
                    target, depth = getattr(target, field.name), depth + 1
                    continue
                self._set(target, field, depth, strange=True)
                break
        return message.SerializeToString()

    def _set(self, message: Message, field: FieldDescriptor, depth: int, strange: bool) -> None:
        if depth > 8:
            return
        if field.is_repeated:
            message.ClearField(field.name)
            values: Any = getattr(message, field.name)
            count = self._draw.choice(_REPEATS) if strange else self._draw.randint(0, 3)
            for _ in range(count if field.message_type is None else min(count, 70)):
                if field.message_type is None:
                    values.append(self._value(field, strange))
                else:
                    self._fill(values.add(), depth + 1)
        elif field.message_type is not None:
            getattr(message, field.name).SetInParent()
            self._fill(getattr(message, field.name), depth + 1)
        else:
            setattr(message, field.name, self._value(field, strange))

    def _value(self, field: FieldDescriptor, strange: bool) -> Any:
        known = self._known.get(field.name)
        if known and self._draw.random() < (0.3 if strange else 0.9):
            return self._draw.choice(known)
        match field.cpp_type:
            case FieldDescriptor.CPPTYPE_STRING if field.type == FieldDescriptor.TYPE_BYTES:
                return self._draw.randbytes(self._draw.choice(_LENGTHS))
            case FieldDescriptor.CPPTYPE_STRING:
                return self._draw.choice(_TEXTS)
            case FieldDescriptor.CPPTYPE_BOOL:
                return self._draw.random() < 0.5
            case FieldDescriptor.CPPTYPE_DOUBLE:
                return self._draw.choice(_FLOATS)
            case FieldDescriptor.CPPTYPE_FLOAT:
                return self._draw.choice(_FLOATS[:4])
            case FieldDescriptor.CPPTYPE_ENUM:
                return self._draw.choice((0, 1, 2, 99, 2**31 - 1, -1))
            case kind:
                low, high = _RANGES[kind]
                return self._draw.choice([n for n in _NUMBERS if low <= n <= high])

    def _cut(self, base: bytes) -> bytes:
        return base[: self._draw.randint(0, len(base))]

    def _turned(self, base: bytes) -> bytes:
        turned = bytearray(base or b"\0")
        for _ in range(self._draw.randint(1, 8)):
            turned[self._draw.randrange(len(turned))] ^= 1 << self._draw.randrange(8)
        return bytes(turned)

    def _doubled(self, base: bytes) -> bytes:
        return base * self._draw.randint(2, 4)

    def _with_unknown(self, base: bytes) -> bytes:
        number = self._draw.choice((15, 1_000, 536_870_911))
        tag, data = _varint(number << 3 | 2), self._draw.randbytes(self._draw.randint(0, 300))
        return base + tag + _varint(len(data)) + data

    def _made_up(self, _: bytes) -> bytes:
        return self._draw.randbytes(self._draw.choice((1, 2, 7, 40, 1_000)))

    def _deep(self, _: bytes) -> bytes:
        data = b""
        for _ in range(self._draw.choice((20, 99, 150))):
            data = b"\x0a" + _varint(len(data)) + data
        return data


_RANGES = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}


def fields_in(message: Message) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each text and byte field of a message, however deep."""
    for field, value in message.ListFields():
        values = list(value) if field.is_repeated else [value]
        for one in values:
            if field.message_type is not None:
                yield from fields_in(one)
            elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
                yield field.name, one


def parsed(descriptor: Descriptor, data: bytes) -> Message:
    """Return a message of a kind."""
    message: Message = message_factory.GetMessageClass(descriptor)()
    message.ParseFromString(data)
    return message


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
