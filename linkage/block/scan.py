"""The compiled loop that finds, in a register, what a few codes are like.

Codes lie line by line: a line is 512 bits, all first lines in a row, then all second
ones, so that looking at one line of every code reads memory as fast as it comes. Several
codes that are looked up at once share each block of lines while it is in the cache.

The counting of bits is that of `compare.wide`, for one line; blocking knows nothing of
comparing.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numpy.typing import NDArray

LINE_WORDS = 8
# Records whose first lines, with what is noted of them, stay in the second cache.
BLOCK = 8_192
_LINE_BYTES = 8 * LINE_WORDS

# Without types of their own.
_build: Any = cgutils
_types: Any = types
_INT, _WORD = ir.IntType(32), ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, LINE_WORDS)


def _load(builder: Any, address: Any) -> Any:
    # Lines are aligned as words.
    pointer = builder.inttoptr(address, ir.PointerType(_VECTOR))
    return builder.load(pointer, align=8)


def _unlike(builder: Any, lines: list[Any], others: list[Any]) -> Any:
    """Return in how many bits the words of some lines differ from those of others, added up."""
    count = _build.get_or_insert_function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), "llvm.ctpop.v8i64"
    )
    total = ir.Constant(_VECTOR, None)
    for line, other in zip(lines, others, strict=True):
        unlike = builder.xor(_load(builder, line), other)
        total = builder.add(total, builder.call(count, [unlike]))
    return total


def _typed_differing(_typing: Any, line: Any, other: Any) -> Any:
    """Return the bits in which two lines differ, by their addresses."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        total = _build.get_or_insert_function(
            builder.module, ir.FunctionType(_WORD, [_VECTOR]), "llvm.vector.reduce.add.v8i64"
        )
        return builder.call(total, [_unlike(builder, [args[0]], [_load(builder, args[1])])])

    return _types.int64(line, other), generate


_differing: Any = intrinsic(_typed_differing)


def _add_of_eight(builder: Any, lines: list[Any], others: list[Any], out: Any) -> None:
    """Add to eight numbers the bits in which each of eight records differs from one.

    The counts of a word are below 2^16 for as many lines as a code has, so those of four
    records share a word, and are added up across a line together.
    """

    def fold(one: Any, other: Any, *places: list[int]) -> Any:
        return builder.add(
            *(
                builder.shuffle_vector(one, other, ir.Constant(ir.VectorType(_INT, len(at)), at))
                for at in places
            )
        )

    own = [_load(builder, other) for other in others]
    fours = []
    for first in (0, 4):
        packed = ir.Constant(_VECTOR, None)
        for place in range(4):
            step = ir.Constant(_WORD, _LINE_BYTES * (first + place))
            unlike = _unlike(builder, [builder.add(line, step) for line in lines], own)
            shift = ir.Constant(_VECTOR, [16 * place] * LINE_WORDS)
            packed = builder.add(packed, builder.shl(unlike, shift))
        fours.append(packed)
    sums = fold(fours[0], fours[1], [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15])
    sums = fold(sums, sums, [0, 1, 4, 5], [2, 3, 6, 7])
    sums = fold(sums, sums, [0, 2], [1, 3])
    eight = ir.VectorType(_INT, 8)
    sums = builder.zext(builder.bitcast(sums, ir.VectorType(ir.IntType(16), 8)), eight)
    pointer = builder.inttoptr(out, ir.PointerType(eight))
    builder.store(builder.add(builder.load(pointer, align=4), sums), pointer, align=4)


def _typed_add_line(_typing: Any, line: Any, other: Any, out: Any) -> Any:
    """Add for eight records in a row the bits in which a line of each differs from another."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        _add_of_eight(builder, [args[0]], [args[1]], args[2])
        return context.get_dummy_value()

    return _types.void(line, other, out), generate


def _typed_add_lines(_typing: Any, line: Any, after: Any, other: Any, out: Any) -> Any:
    """Add the same of two lines: of these, and of those `after` so many bytes."""

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        line, after, other, out = args
        beside = builder.add(other, ir.Constant(_WORD, _LINE_BYTES))
        _add_of_eight(builder, [line, builder.add(line, after)], [other, beside], out)
        return context.get_dummy_value()

    return _types.void(line, after, other, out), generate


_add_line: Any = intrinsic(_typed_add_line)
_add_lines: Any = intrinsic(_typed_add_lines)


@njit(cache=True, nogil=True, error_model="numpy")
def _count_all(at: int, other: int, size: int, after: int, differing: NDArray[np.int32]) -> None:
    """Add up in how many bits records in a row differ from a code in one line or two.

    Args:
        at: address of the first record's line.
        other: address of the code's.
        size: number of records.
        after: records from a line to the next, if that counts too; 0 if not.
        differing: numbers of differing bits, shape (size,) at least.
    """
    counts, step = np.int64(differing.ctypes.data), _LINE_BYTES * np.int64(after)
    eights = size - size % 8
    if after:
        for i in range(0, eights, 8):
            _add_lines(at + _LINE_BYTES * i, step, other, counts + 4 * i)
    else:
        for i in range(0, eights, 8):
            _add_line(at + _LINE_BYTES * i, other, counts + 4 * i)
    for i in range(eights, size):
        differing[i] += _differing(at + _LINE_BYTES * i, other)
        if after:
            differing[i] += _differing(at + _LINE_BYTES * i + step, other + _LINE_BYTES)


@njit(cache=True, nogil=True, error_model="numpy")
def scan(
    lines: NDArray[np.uint64],
    queries: NDArray[np.uint64],
    cuts: NDArray[np.int64],
    start: int,
    end: int,
    out_query: NDArray[np.int32],
    out_row: NDArray[np.int32],
    out_differing: NDArray[np.int32],
) -> tuple[int, int]:
    """Collect the records of a range that pass every cut of a query.

    Stops early when the output could overflow: call again with the returned row.

    Args:
        lines: codes of the register, shape (n_lines, n, 8), C-ordered.
        queries: codes that are looked up, shape (n_queries, n_lines, 8), C-ordered.
        cuts: most differing bits up to each line, shape (n_queries, n_lines), rising; the
            first lines of a query may have none (more than a code has bits).
        start: first record.
        end: record after the last.
        out_query: room for numbers of queries; at least `BLOCK` times `n_queries`.
        out_row: room for records, as long.
        out_differing: room for numbers of differing bits, as long.

    Returns:
        Number of hits written, and the next record (`end`: done). Hits are in the order of
        blocks, then queries, then records.

    Raises:
        ValueError: codes are not C-ordered.
    """
    if not (lines.flags.c_contiguous and queries.flags.c_contiguous):
        raise ValueError("codes must be C-ordered: they are read by address")
    n_lines, n = lines.shape[0], lines.shape[1]
    n_bits = n_lines * LINE_WORDS * 64
    codes, asked = np.int64(lines.ctypes.data), np.int64(queries.ctypes.data)
    rows = np.empty(BLOCK, dtype=np.int32)
    differing = np.empty(BLOCK, dtype=np.int32)
    written = 0
    for block in range(start, end, BLOCK):
        if len(out_row) - written < BLOCK * len(queries):
            return written, block
        size = min(BLOCK, end - block)
        for query in range(len(queries)):
            # Everybody's lines up to the first cut; counting and choosing apart: a line that
            # is waited for holds up no other.
            own = asked + _LINE_BYTES * np.int64(query) * n_lines
            last = 0
            while last < n_lines - 1 and cuts[query, last] >= n_bits:
                last += 1
            differing[:size] = 0
            for line in range(0, last + 1, 2):
                at = codes + _LINE_BYTES * (np.int64(line) * n + block)
                other = own + _LINE_BYTES * line
                _count_all(at, other, size, n if line < last else 0, differing)
            alive = 0
            most = cuts[query, last]
            for i in range(size):
                # Written always and kept if it passes: there is no jump to be foreseen.
                there = differing[i]
                rows[alive] = i
                differing[alive] = there
                alive += 1 if there <= most else 0
            for line in range(last + 1, n_lines):
                at = codes + _LINE_BYTES * (np.int64(line) * n + block)
                other = own + _LINE_BYTES * line
                for i in range(alive):
                    differing[i] += _differing(at + _LINE_BYTES * rows[i], other)
                most = cuts[query, line]
                left = 0
                for i in range(alive):
                    there = differing[i]
                    rows[left] = rows[i]
                    differing[left] = there
                    left += 1 if there <= most else 0
                alive = left
            for i in range(alive):
                out_query[written] = query
                out_row[written] = block + rows[i]
                out_differing[written] = differing[i]
                written += 1
    return written, end
