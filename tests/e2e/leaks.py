"""Finds values of persons in bytes, however they may have been written down."""

import base64
from collections.abc import Iterable

# Shorter values occur in random bytes by chance; the list of allowed fields covers them.
SHORTEST = 6


def spellings(value: str) -> set[bytes]:
    """Return the ways in which a value could stand in a message, a file or a log line."""
    found: set[bytes] = set()
    for text in {value, value.lower(), value.upper(), value[::-1]}:
        plain = text.encode()
        found |= {plain, plain.hex().encode(), plain.hex().upper().encode()}
        found |= {text.encode("utf-16-le"), text.encode("utf-16-be")}
        # Base64 of a value inside longer content starts at one of three alignments;
        # only the characters that do not depend on what surrounds it are searched.
        for shift in range(3):
            encoded = base64.b64encode(b"\0" * shift + plain)
            start, end = -(-8 * shift // 6), (8 * (shift + len(plain))) // 6
            found |= {encoded[start:end], encoded[start:end].translate(_URL_SAFE)}
    return {spelling for spelling in found if len(spelling) >= SHORTEST}


_URL_SAFE = bytes.maketrans(b"+/", b"-_")


class LeakSearch:
    """Searches any content for many values at once.

    Args:
        values: what must not be found; those shorter than `SHORTEST` bytes are left out.
    """

    def __init__(self, values: Iterable[str]) -> None:
        self._value_of: dict[bytes, str] = {}
        for value in values:
            if len(value.encode()) >= SHORTEST:
                for spelling in spellings(value):
                    self._value_of[spelling] = value
        # Every spelling is looked up by its first six bytes, at every place.
        self._starts: dict[bytes, list[bytes]] = {}
        for spelling in self._value_of:
            self._starts.setdefault(spelling[:SHORTEST], []).append(spelling)

    def __len__(self) -> int:
        return len(self._value_of)

    def found_in(self, content: bytes) -> set[str]:
        """Return the values that occur in `content`."""
        starts, found = self._starts, set()
        for at in range(len(content) - SHORTEST + 1):
            candidates = starts.get(content[at : at + SHORTEST])
            if candidates is not None:
                for spelling in candidates:
                    if content.startswith(spelling, at):
                        found.add(self._value_of[spelling])
        return found
