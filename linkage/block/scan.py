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


def _typed_differing(_typing: Any, line: Any, other: Any) -> Any:
    """Return the bits in which two lines differ, by their addresses."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        vector, word = ir.VectorType(ir.IntType(64), LINE_WORDS), ir.IntType(64)
        pair = [
            # Lines are aligned as words.
            builder.load(builder.inttoptr(address, ir.PointerType(vector)), align=8)
            for address in args
        ]
        count, total = (
            _build.get_or_insert_function(builder.module, ir.FunctionType(result, [vector]), name)
            for result, name in (
                (vector, "llvm.ctpop.v8i64"),
                (word, "llvm.vector.reduce.add.v8i64"),
            )
        )
        return builder.call(total, [builder.call(count, [builder.xor(*pair)])])

    return _types.int64(line, other), generate


_differing: Any = intrinsic(_typed_differing)


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
            alive = size
            everybody = True
            differing[:size] = 0
            for line in range(n_lines):
                at = codes + _LINE_BYTES * (np.int64(line) * n + block)
                own = asked + _LINE_BYTES * (np.int64(query) * n_lines + line)
                # Counting and choosing apart: a line that is waited for holds up no other.
                if everybody:
                    for i in range(size):
                        differing[i] += _differing(at + _LINE_BYTES * i, own)
                else:
                    for i in range(alive):
                        differing[i] += _differing(at + _LINE_BYTES * rows[i], own)
                most = cuts[query, line]
                if most >= n_bits:
                    continue
                if everybody:
                    for i in range(size):
                        rows[i] = i
                    everybody = False
                left = 0
                for i in range(alive):
                    # Written always and kept if it passes: there is no jump to be foreseen.
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
