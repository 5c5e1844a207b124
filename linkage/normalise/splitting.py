"""Arrow's string buffers to numbers of distinct words.

A word is what stands between separators, in upper case; it is told from others by
its bytes. What the words mean is decided elsewhere, once per word.
"""

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from linkage.normalise.compiled import compiled

_Scalar = TypeVar("_Scalar", bound=np.generic)

SEPARATOR, LETTER, DIGIT, DELETED, STOP, SLOW = range(6)
"""What a byte does: part words, be part of one, be dropped, be dropped but mark the
record where it stands inside a word, or part words and mark the record."""

OTHER_SCRIPT, HAS_DIGIT, OLD_SPELLING, BEGINS_ABD, BEGINS_XX, ONE_LETTER = (
    1 << bit for bit in range(6)
)
"""Features of a word, for the rules that need to look at it."""

MARKED, CUT = 1, 2
"""Marks of a record: it needs the slow path; it is as long as a document's field."""

_FNV_OFFSET = np.uint64(14695981039346656037)
_FNV_PRIME = np.uint64(1099511628211)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)


@compiled
def _find(
    length: int,
    at: int,
    hash_of: np.uint64,
    slots: NDArray[np.int32],
    hashes: NDArray[np.uint64],
    arena: NDArray[np.uint8],
    starts: NDArray[np.int64],
) -> np.int64:
    """Return the slot of the word at `arena[at:at + length]`, or the free one for it."""
    mask = len(slots) - 1
    slot = np.int64(hash_of >> np.uint64(32)) & mask
    while True:
        number = slots[slot]
        if number < 0:
            return slot
        if hashes[number] == hash_of:
            start = starts[number]
            if starts[number + 1] - start == length:
                i = 0
                while i < length and arena[start + i] == arena[at + i]:
                    i += 1
                if i == length:
                    return slot
        slot = (slot + 1) & mask


@compiled
def _grown(slots: NDArray[np.int32], hashes: NDArray[np.uint64], n: int) -> NDArray[np.int32]:
    wider = np.full(4 * len(slots), -1, dtype=np.int32)
    mask = len(wider) - 1
    for number in range(n):
        slot = np.int64(hashes[number] >> np.uint64(32)) & mask
        while wider[slot] >= 0:
            slot = (slot + 1) & mask
        wider[slot] = number
    return wider


@compiled
def split(
    data: NDArray[np.uint8],
    bounds: NDArray[np.int64],
    valid: NDArray[np.bool_],
    byte_classes: NDArray[np.uint8],
    field_lengths: NDArray[np.int64],
) -> tuple[
    NDArray[np.int32],
    NDArray[np.int64],
    NDArray[np.uint8],
    NDArray[np.uint8],
    NDArray[np.int64],
    NDArray[np.uint8],
]:
    """Part every value into words and number the distinct ones by first appearance.

    Args:
        data: UTF-8 bytes of all values.
        bounds: value r is `data[bounds[r]:bounds[r + 1]]`, shape (n + 1,).
        valid: False where a value is missing, shape (n,).
        byte_classes: what each byte does, shape (256,).
        field_lengths: lengths in characters that mark a record as `CUT`, ascending.

    Returns:
        Word numbers of all records in a row; their offsets, shape (n + 1,); marks,
        shape (n,); the bytes of the distinct words in a row; their offsets; the
        features of each distinct word.
    """
    n = len(valid)
    n_bytes = bounds[n] - bounds[0]
    upper = np.zeros(256, dtype=np.uint8)  # 0 where the byte is no part of a word
    feature_of = np.zeros(256, dtype=np.uint8)
    for code in range(256):
        if byte_classes[code] == LETTER or byte_classes[code] == DIGIT:
            upper[code] = code - 32 if 97 <= code <= 122 else code
            if code >= 128:
                feature_of[code] = OTHER_SCRIPT
            elif byte_classes[code] == DIGIT:
                feature_of[code] = HAS_DIGIT
    shortest_field = field_lengths[0] if len(field_lengths) else n_bytes + 1
    ids = np.empty(n_bytes // 2 + n + 1, dtype=np.int32)
    offsets = np.zeros(n + 1, dtype=np.int64)
    marks = np.zeros(n, dtype=np.uint8)
    capacity = 1 << 15
    slots = np.full(2 * capacity, -1, dtype=np.int32)
    hashes = np.empty(capacity, dtype=np.uint64)
    starts = np.zeros(capacity + 1, dtype=np.int64)
    features = np.empty(capacity, dtype=np.uint8)
    arena = np.empty(n_bytes + 1, dtype=np.uint8)
    n_words = 0
    n_ids = 0
    used = 0
    for r in range(n):
        at = bounds[r]
        end = bounds[r + 1] if valid[r] else at
        while n_words + (end - at) // 2 + 1 > capacity:
            slots = _grown(slots, hashes, n_words)
            capacity *= 4
            hashes = _longer(hashes, capacity)
            features = _longer(features, capacity)
            starts = _longer(starts, capacity + 1)
        if end - at >= shortest_field:
            marks[r] |= _cut(data, at, end, field_lengths)
        length = 0
        hash_of = _FNV_OFFSET
        feature = np.uint8(0)
        while at <= end:
            kind = np.uint8(SEPARATOR)
            if at < end:
                byte = data[at]
                letter = upper[byte]
                if letter:
                    arena[used + length] = letter
                    length += 1
                    hash_of = (hash_of ^ np.uint64(letter)) * _FNV_PRIME
                    feature |= feature_of[byte]
                    at += 1
                    continue
                kind = byte_classes[byte]
            at += 1
            if kind == DELETED:
                continue
            if kind == STOP:
                if length and _goes_on(data, at, end, byte_classes):
                    marks[r] |= MARKED
                continue
            if kind == SLOW:
                marks[r] |= MARKED
            if length:
                # The product mixes upwards; the slot is taken from the upper half.
                hash_of *= _MULTIPLIER
                slot = _find(length, used, hash_of, slots, hashes, arena, starts)
                number = slots[slot]
                if number < 0:
                    number = np.int32(n_words)
                    slots[slot] = number
                    hashes[number] = hash_of
                    features[number] = feature | _letters(arena[used : used + length])
                    used += length
                    n_words += 1
                    starts[n_words] = used
                ids[n_ids] = number
                n_ids += 1
                length = 0
                hash_of = _FNV_OFFSET
                feature = np.uint8(0)
        offsets[r + 1] = n_ids
    return (
        ids[:n_ids].copy(), offsets, marks,
        arena[:used].copy(), starts[: n_words + 1].copy(), features[:n_words].copy(),
    )  # fmt: skip


@compiled
def _goes_on(data: NDArray[np.uint8], at: int, end: int, byte_classes: NDArray[np.uint8]) -> bool:
    """Return whether a word goes on behind full stops and deleted bytes."""
    while at < end:
        kind = byte_classes[data[at]]
        if kind != STOP and kind != DELETED:
            return bool(LETTER <= kind <= DIGIT)
        at += 1
    return False


@compiled
def _cut(data: NDArray[np.uint8], at: int, end: int, field_lengths: NDArray[np.int64]) -> int:
    """Return `CUT` where the text without outer white space fills a field, else 0."""
    while at < end and (data[at] == 32 or 9 <= data[at] <= 13):
        at += 1
    while at < end and (data[end - 1] == 32 or 9 <= data[end - 1] <= 13):
        end -= 1
    if at == end or data[end - 1] == 60:  # a filler: the field is not full
        return 0
    n_characters = 0
    for i in range(at, end):
        if data[i] & 0xC0 != 0x80:
            n_characters += 1
    for length in field_lengths:
        if n_characters == length:
            return CUT
    return 0


@compiled
def _longer(values: NDArray[_Scalar], length: int) -> NDArray[_Scalar]:
    longer = np.empty(length, dtype=values.dtype)
    longer[: len(values)] = values
    return longer


@compiled
def _letters(word: NDArray[np.uint8]) -> int:
    """Return the features that are seen in a word's letters."""
    n = len(word)
    found = ONE_LETTER if n == 1 else 0
    for i in range(n - 1):
        pair = (np.int64(word[i]) << 8) | np.int64(word[i + 1])
        # TJ, DJ, SJ, OE anywhere; NJ at the start.
        if (
            pair == 0x544A
            or pair == 0x444A
            or pair == 0x534A
            or pair == 0x4F45
            or (i == 0 and pair == 0x4E4A)
        ):
            found |= OLD_SPELLING
        elif i == 0 and pair == 0x5858:
            found |= BEGINS_XX
    if n > 2 and word[0] == 65 and word[1] == 66 and word[2] == 68:
        found |= BEGINS_ABD
    return found
