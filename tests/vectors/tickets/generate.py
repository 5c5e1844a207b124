"""Write the vectors of tickets, next to this file.

    python tests/vectors/tickets/generate.py

By the definition, one record and one ticket at a time; no line is shared with `linkage`,
nothing of it and no array library is imported. Hashed values of the parts of an entry are
inputs here, and keys are the SHA-256 of their labels.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

HERE = Path(__file__).parent
WORD = 2**64
ODD = 0x9E3779B97F4A7C15
Case = dict[str, Any]
Ticket = tuple[int, int, int]


def key_of(label: str) -> bytes:
    """The key of a label, in these vectors."""
    return hashlib.sha256(label.encode()).digest()


def encrypted(key: bytes, one: int, other: int) -> bytes:
    """AES-256 of two little-endian words."""
    block = one.to_bytes(8, "little") + other.to_bytes(8, "little")
    return Cipher(AES256(key), ECB()).encryptor().update(block)  # noqa: S305 -- as defined


def first_word(block: bytes) -> int:
    """The first 8 bytes as a number."""
    return int.from_bytes(block[:8], "little")


def number_of(reference: bytes, label: str) -> int:
    """The number that a reference has under the key of a label."""
    halves = (int.from_bytes(half, "little") for half in (reference[:8], reference[8:]))
    return first_word(encrypted(key_of(label), *halves))


def composite_of(values: Sequence[int]) -> int | None:
    """What the values of all parts of an entry are together; none where one is missing."""
    if not all(values):
        return None
    mixed = values[0]
    for value in values[1:]:
        mixed = first_word(encrypted(key_of("composites"), mixed, value))
    return mixed


def bearers_of(composites: Sequence[int | None], order: Sequence[int]) -> dict[int, list[int]]:
    """The records that share each composite, in their secret order."""
    found: dict[int, list[int]] = {}
    for record in sorted(range(len(composites)), key=lambda r: (order[r], r)):
        composite = composites[record]
        if composite is not None:
            found.setdefault(composite, []).append(record)
    return found


def mask_of(meeting: str, entry: int, token: int) -> int:
    """What masks the mark of a ticket."""
    return first_word(encrypted(key_of(f"marks\0{meeting}"), token, entry))


def tickets_of(
    composites: Sequence[int | None],
    entry: tuple[int, str],
    references: Sequence[bytes],
    where: tuple[str, str, str],
    copies: int,
    width: int,
) -> dict[Ticket, tuple[int, int, int]]:
    """The tickets of one entry, and of each its record and the places left and right.

    Args:
        composites: of each record.
        entry: number and name of the entry.
        references: of each record, 16 bytes.
        where: names of the meeting and the two parties, and the own side.
        copies: how many of a composite meet.
        width: bytes of a token.
    """
    meeting, parties, side = where
    order = [number_of(reference, f"order\0{parties}") for reference in references]
    numbers = [number_of(reference, f"numbers\0{meeting}") for reference in references]
    token_key = key_of(f"{meeting}\0{entry[1]}")
    made: dict[Ticket, tuple[int, int, int]] = {}
    for composite, bearers in bearers_of(composites, order).items():
        turn = ((numbers[bearers[0]] ^ composite) * ODD % WORD >> 32) % copies
        for rank, record in enumerate(bearers[:copies]):
            place = (rank + turn) % copies
            for other in range(copies):
                left, right = (place, other) if side == "left" else (other, place)
                block = encrypted(token_key, composite, left << 8 | right)
                token = int.from_bytes(block[:width], "little")
                mask = mask_of(meeting, entry[0], token)
                mark = numbers[record] + (mask if side == "left" else -mask)
                made[entry[0], token, mark % WORD] = record, left, right
    return made


def pair_key(key: bytes, entry: int, token: int) -> bytes:
    """The key of a pair."""
    return encrypted(key, token, entry) + encrypted(key, token, entry | 1 << 8)


def tag_of(key: bytes, entry: int, token: int) -> int:
    """The tag of a ticket."""
    return first_word(encrypted(name_key(key, "tag"), token, entry))


def name_key(key: bytes, what: str) -> bytes:
    """A key under which records are named, in these vectors."""
    return hashlib.sha256(key + what.encode()).digest()


def xored(*parts: bytes) -> bytes:
    """Bit by bit the exclusive or of byte strings as long as the first."""
    whole = int.from_bytes(parts[0], "big")
    for part in parts[1:]:
        whole ^= int.from_bytes(part[: len(parts[0])], "big")
    return whole.to_bytes(len(parts[0]), "big")


def name_row(
    key: bytes, side: str, tag: int, share: tuple[Sequence[int], bytes], reference: bytes
) -> bytes:
    """The row that names the record of a ticket, as docs/protocol.md has it."""
    other = {"left": "right", "right": "left"}[side]

    def made(what: str, word: int) -> bytes:
        return encrypted(name_key(key, what), tag, word)

    (number, *theirs), steps = share
    return b"".join(
        [
            tag.to_bytes(8, "little"),
            made(f"{side} check", number)[:8],
            xored(reference, made(f"{side} mask", number)),
            hashlib.sha256(made(f"{side} mask", number) + reference).digest()[:8],
            *(made(f"{other} check", one)[:8] for one in theirs),
            *(made(f"{other} mask", one) for one in theirs),
            xored(steps, made(f"{side} steps", 0)) if steps else b"",
        ]
    )


def opened(left: bytes, right: bytes) -> tuple[int, bytes, bytes] | None:
    """The band and both references of two rows of one tag, if they open."""
    for band in range(3):
        checks = [row[40 + 8 * band : 48 + 8 * band] for row in (left, right)]
        if checks == [right[8:16], left[8:16]]:
            masks = [row[64 + 16 * band : 80 + 16 * band] for row in (right, left)]
            made = [xored(row[16:32], mask) for row, mask in zip((left, right), masks, strict=True)]
            seals = [hashlib.sha256(m + r).digest()[:8] for m, r in zip(masks, made, strict=True)]
            if seals == [left[32:40], right[32:40]]:
                return band + 1, made[0], made[1]
    return None


def shares_of(desc: str, n: int) -> list[tuple[list[int], bytes]]:
    """A share for each of some tickets: the own word, those of the bands, and steps."""
    blocks = [hashlib.sha512(f"{desc} share {i}".encode()).digest() for i in range(n)]
    return [([first_word(b[at:]) for at in (0, 8, 16, 24)], b[32:38]) for b in blocks]


def draws_of(references: Sequence[bytes], meeting: str, side: str) -> list[int]:
    """The records in the order in which they are drawn."""
    numbers = [number_of(reference, f"draws\0{meeting}\0{side}") for reference in references]
    return sorted(range(len(references)), key=numbers.__getitem__)


def cases() -> Iterator[Case]:
    """All vectors: a few records each, with values that some of them share."""
    registers: list[tuple[str, list[list[int]]]] = [
        ("one record", [[7, 8, 9]]),
        ("unlike records", [[1, 2, 3], [4, 5, 6], [7, 8, 9]]),
        ("a missing value", [[1, 0, 3], [1, 2, 3], [0, 0, 0]]),
        ("as many bearers as copies", [[1, 2, 3]] * 3),
        ("more bearers than copies", [[1, 2, 3]] * 5 + [[1, 2, 4]]),
        ("great words", [[2**64 - 1, 2**63, 2**64 - 2], [2**64 - 1, 2**63, 1]]),
    ]
    entries = ["value(a) & value(b)", "value(b) & value(c)", "value(c)"]
    parts = [[0, 1], [1, 2], [2]]
    meeting, parties, copies, width = "job\0one\0two", "one\0two", 3, 5
    key = bytes(range(32))
    for number, (desc, values) in enumerate(registers):
        for side in ("left", "right"):
            references = [
                hashlib.sha256(f"{number} {side} {record}".encode()).digest()[:16]
                for record in range(len(values))
            ]
            made: list[Ticket] = []
            whose: list[int] = []
            for e, name in enumerate(entries):
                composites = [composite_of([row[p] for p in parts[e]]) for row in values]
                of_entry = tickets_of(
                    composites, (e, name), references, (meeting, parties, side), copies, width
                )
                for ticket in sorted(of_entry, key=lambda ticket: ticket[1]):
                    made.append(ticket)
                    whose.append(of_entry[ticket][0])
            tags = [tag_of(key, *ticket[:2]) for ticket in made]
            shares = shares_of(f"{number} {side}", len(made))
            yield {
                "desc": f"{desc}, {side}",
                "number": 2 * number + (side == "right"),
                "side": side,
                "meeting": meeting,
                "parties": parties,
                "key": key.hex(),
                "references": [reference.hex() for reference in references],
                "shares": [
                    b"".join([*(word.to_bytes(8, "little") for word in words), steps]).hex()
                    for words, steps in shares
                ],
                # As text: JSON readers differ on whole numbers of 64 bits.
                "values": [[str(value) for value in row] for row in values],
                "expect": {
                    "tickets": [
                        f"{entry:02x}"
                        + token.to_bytes(width, "little").hex()
                        + mark.to_bytes(8, "little").hex()
                        for entry, token, mark in made
                    ],
                    "records": whose,
                    "keys": [pair_key(key, *ticket[:2]).hex() for ticket in made],
                    "rows": [
                        name_row(key, side, tag, share, references[record]).hex()
                        for tag, share, record in zip(tags, shares, whose, strict=True)
                    ],
                    "draws": draws_of(references, meeting, side),
                },
            }


def main() -> None:
    """Write one file for each vector."""
    for case in cases():
        name = f"ticket-{case['number']:02}.json"
        text = json.dumps(case, indent=1, sort_keys=True) + "\n"
        (HERE / name).write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
