"""Write the vectors of field filters, next to this file.

    python tests/vectors/fields/generate.py

By the definition, one token, one draw and one bit at a time; no line is shared with
`linkage`, nothing of it and no array library is imported. Weights of tokens and rarity
classes are inputs here: the vectors of the encoder cover how they are made.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import ECB

HERE = Path(__file__).parent
N_BITS, N_SET, N_TURNS, MAX_TOKENS, N_CLASSES = 256, 40, 64, 128, 2
ALPHABET = "_ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
Case = dict[str, Any]


def number_of(token: str, kind: str) -> int:
    """The number of a token: two digits of base 37, or what a date's part begins at."""
    if kind == "sex":
        return ALPHABET.index(token)
    if kind != "date":
        return 37 * ALPHABET.index(token[0]) + ALPHABET.index(token[1])
    if "/" in token:
        return 10_300 + 100 * int(token[:2]) + int(token[3:])
    for start, first in (("y.", 10_230), ("d.", 10_210)):
        if token.startswith(start):
            return first + int(token[2])
    if token.endswith("."):
        return {"y": 10_220, "d": 10_200}[token[0]] + int(token[1])
    return {"y": 0, "m": 10_000, "d": 10_100}[token[0]] + int(token[1:])


def function(key: bytes, space: int, block: int, token: int, digest: int = 0) -> bytes:
    """AES-256 of one block of 16 bytes: space, block, token and digest, little-endian."""
    plain = (
        space.to_bytes(2, "little")
        + block.to_bytes(2, "little")
        + token.to_bytes(4, "little")
        + digest.to_bytes(8, "little")
    )
    return Cipher(AES256(key), ECB()).encryptor().update(plain)  # noqa: S305


def turns_of(weights: Sequence[int]) -> list[int]:
    """Whose turn it is: the greatest weight per turn had, half a turn counted beforehand."""
    had = [0] * len(weights)
    out = []
    for _ in range(N_TURNS):
        best = 0
        for i in range(1, len(weights)):
            # weights[i] / (had[i] + 1/2) > weights[best] / (had[best] + 1/2)
            if weights[i] * (2 * had[best] + 1) > weights[best] * (2 * had[i] + 1):
                best = i
        had[best] += 1
        out.append(best)
    return out


def field(key: bytes, space: int, tokens: dict[int, int]) -> tuple[bytes, int]:
    """The filter of one value as bytes, and the mask of its class.

    `tokens` gives every token number its weight.
    """
    numbers = sorted(tokens)[:MAX_TOKENS]
    digest = 0xCBF29CE484222325
    for number in numbers:
        digest = (digest ^ number) * 0x100000001B3 % 2**64
    mask = function(key, space, 0xFFFF, 0, digest)[0] % N_CLASSES
    positions: set[int] = set()
    had = dict.fromkeys(numbers, 0)
    for turn in turns_of([tokens[n] for n in numbers]) if numbers else ():
        number = numbers[turn]
        drawn = function(key, space, had[number] // 16, number)[had[number] % 16]
        had[number] += 1
        positions.add(drawn)
        if len(positions) == N_SET:
            break
    if numbers:
        for position in range(N_BITS):
            if len(positions) < N_SET:
                positions.add(position)
    return sum(1 << p for p in positions).to_bytes(N_BITS // 8, "little"), mask


def bigrams(*words: str) -> list[str]:
    return [("_" + w)[i : i + 2] for w in words for i in range(len(w))]


def cases() -> Iterator[Case]:
    """All vectors. A record gives each attribute its words, a schema its types in order."""
    key = bytes(range(32))
    plain = {"_A": 100}
    date = {
        "y1987": 800, "y8.": 400, "y.7": 400, "m03": 600, "d21": 600, "d2.": 300, "d.1": 300,
        "03/21": 600,
    }  # fmt: skip

    def even(*words: str, weight: int = 100) -> dict[str, int]:
        return dict.fromkeys(bigrams(*words), weight)

    long = [f"{a}{b}{c}" for a in "ABCDE" for b in "FGHIJ" for c in "KLMNO"]
    values: list[tuple[str, str, int, list[str], dict[str, int]]] = [
        ("one word of text", "text", 0, ["BANDUNG"], even("BANDUNG")),
        ("one letter", "text", 0, ["A"], plain),
        ("two words of text, tokens in common once", "text", 0, ["ANA", "ANI"], even("ANA", "ANI")),
        ("more tokens than turns", "text", 0, long, even(*long)),
        ("a number", "postcode", 0, ["40115"], even("40115")),
        ("the one token of a sex", "sex", 0, ["P"], {"P": 100}),
        ("a full date", "date", 0, ["1987-03-21"], date),
        ("a missing value", "text", 0, [], {}),
        ("a name of no table", "name", 1, ["QXQXQ", "ZXZXZ"], even("QXQXQ", "ZXZXZ", weight=80)),
    ]
    for number, (desc, kind, rarity, words, tokens) in enumerate(values):
        for label, own in (("", key), (", another key", bytes(reversed(range(32))))):
            numbers = {
                number_of(t, "date" if kind == "date" else "sex" if kind == "sex" else "text"): w
                for t, w in tokens.items()
            }
            bits, mask = field(own, 0, numbers)
            yield {
                "desc": desc + label,
                "number": 2 * number + bool(label),
                "key": own.hex(),
                "type": kind,
                "words": words,
                "expect": {"filter": bits.hex(), "left": mask ^ rarity, "right": mask},
            }


def main() -> None:
    """Write one file for each vector."""
    for case in cases():
        name = f"field-{case['number']:02}.json"
        text = json.dumps(case, indent=1, sort_keys=True) + "\n"
        (HERE / name).write_text(text, encoding="ascii")


if __name__ == "__main__":
    main()
