"""Common bits of one code and 64 others at once, as single vector values.

A group of 64 codes lies word by word (`bits.in_lanes`), so a word of one code meets the
same word of eight others in one 512-bit instruction for each of "and", "count" and
"add"; eight such vectors hold the sums of the group. Two rows at a time share the
loads of the group. Left to itself the compiler counts in narrower vectors and keeps
the sums in memory. Processors without 512-bit registers, or without a bit count for
vectors, get the same result in more instructions.

Addresses are those of words in C-ordered arrays that the caller keeps alive; nothing
is checked.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from linkage.compare.bits import LANES

# Without types of their own.
_build: Any = cgutils
_types: Any = types

_WIDTH = 8
_VECTORS = LANES // _WIDTH
_WORD = ir.IntType(64)
_WORD_BYTES = 8
_VECTOR = ir.VectorType(_WORD, _WIDTH)
_VECTOR_BYTES = _WIDTH * _WORD_BYTES
_ZERO = ir.Constant(_VECTOR, [0] * _WIDTH)


def _at(builder: Any, address: Any, type_: Any, offset: int = 0) -> Any:
    moved = builder.add(address, _WORD(offset)) if offset else address
    return builder.inttoptr(moved, ir.PointerType(type_))


def _load(builder: Any, address: Any, offset: int = 0) -> Any:
    # Vectors are aligned as words.
    return builder.load(_at(builder, address, _VECTOR, offset), align=_WORD_BYTES)


def _repeated(builder: Any, word: Any) -> Any:
    """Return a vector of the same word."""
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    one = builder.insert_element(undefined, word, ir.IntType(32)(0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), _WIDTH), [0] * _WIDTH)
    return builder.shuffle_vector(one, undefined, everywhere)


def _set_bits(builder: Any, vector: Any) -> Any:
    """Count the set bits of each word of a vector."""
    function = _build.get_or_insert_function(
        builder.module, ir.FunctionType(_VECTOR, [_VECTOR]), "llvm.ctpop.v8i64"
    )
    return builder.call(function, [vector])


def _counted(builder: Any, rows: list[Any], group: Any, n_words: Any) -> list[list[Any]]:
    """Return for each row eight vectors: its common bits with each code of a group."""
    sums = [[_build.alloca_once_value(builder, _ZERO) for _ in range(_VECTORS)] for _ in rows]
    with _build.for_range(builder, n_words) as loop:
        at = builder.mul(loop.index, _WORD(_WORD_BYTES))
        words = [
            _repeated(builder, builder.load(_at(builder, builder.add(row, at), _WORD)))
            for row in rows
        ]
        codes = builder.add(group, builder.mul(at, _WORD(LANES)))
        for i in range(_VECTORS):
            code = _load(builder, codes, i * _VECTOR_BYTES)
            for word, of_row in zip(words, sums, strict=True):
                common = _set_bits(builder, builder.and_(word, code))
                builder.store(builder.add(builder.load(of_row[i]), common), of_row[i])
    return [[builder.load(place) for place in of_row] for of_row in sums]


def _typed_count_group(_typing: Any, row: Any, group: Any, n_words: Any, out: Any) -> Any:
    """Store the common bits of a row with 64 codes: `count_group(row, group, n_words, out)`.

    Args:
        _typing: numba's own.
        row: address of the code.
        group: address of the group in lanes.
        n_words: how many words count, from the first.
        out: address of 64 words for the counts.
    """

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        row, group, n_words, out = args
        (counts,) = _counted(builder, [row], group, n_words)
        for i, vector in enumerate(counts):
            place = _at(builder, out, _VECTOR, i * _VECTOR_BYTES)
            builder.store(vector, place, align=_WORD_BYTES)
        return _context.get_dummy_value()

    return _types.void(row, group, n_words, out), generate


def _typed_reach(
    _typing: Any,
    row: Any,
    other: Any,
    group: Any,
    n_words: Any,
    bounds: Any,
    row_bound: Any,
    other_bound: Any,
) -> Any:
    """Return which of 64 codes have so many bits in common with each of two rows.

    Args:
        _typing: numba's own.
        row: address of a code.
        other: address of another one.
        group: address of the group in lanes.
        n_words: how many words count, from the first.
        bounds: address of 64 signed numbers, one of each code.
        row_bound: a code reaches it if twice the common bits are at least this number
            and its own together: bounds are in halves of a bit.
        other_bound: as `row_bound`, of the other row.

    Returns:
        Two words, a bit for each code.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        row, other, group, n_words, bounds, *own = args
        counts = _counted(builder, [row, other], group, n_words)
        words = []
        for vectors, bound in zip(counts, own, strict=True):
            least = _repeated(builder, bound)
            word = _WORD(0)
            for i, vector in enumerate(vectors):
                both = builder.add(least, _load(builder, bounds, i * _VECTOR_BYTES))
                enough = builder.icmp_signed(">=", builder.add(vector, vector), both)
                reached = builder.bitcast(enough, ir.IntType(_WIDTH))
                shifted = builder.shl(builder.zext(reached, _WORD), _WORD(i * _WIDTH))
                word = builder.or_(word, shifted)
            words.append(word)
        return context.make_tuple(builder, signature.return_type, words)

    numbers = (row, other, group, n_words, bounds, row_bound, other_bound)
    return _types.UniTuple(_types.uint64, 2)(*numbers), generate


def _counted_in_rows(builder: Any, row: Any, other: Any, n_words: Any, joined: Any) -> Any:
    """Return the set bits of two codes joined word by word; each lies in a row."""
    sums = _build.alloca_once_value(builder, _ZERO)
    whole = builder.and_(n_words, _WORD(-_WIDTH))
    with _build.for_range_slice(builder, _WORD(0), whole, _WORD(_WIDTH)) as (word, _):
        at = builder.mul(word, _WORD(_WORD_BYTES))
        pair = [_load(builder, builder.add(address, at)) for address in (row, other)]
        counted = _set_bits(builder, joined(*pair))
        builder.store(builder.add(builder.load(sums), counted), sums)
    total = builder.load(sums)
    parts = [builder.extract_element(total, ir.IntType(32)(i)) for i in range(_WIDTH)]
    while len(parts) > 1:
        parts = [builder.add(*two) for two in zip(parts[::2], parts[1::2], strict=True)]
    result = _build.alloca_once_value(builder, parts[0])
    with _build.for_range_slice(builder, whole, n_words, _WORD(1)) as (word, _):
        at = builder.mul(word, _WORD(_WORD_BYTES))
        pair = [
            builder.load(_at(builder, builder.add(address, at), _WORD)) for address in (row, other)
        ]
        builder.store(builder.add(builder.load(result), builder.ctpop(joined(*pair))), result)
    return builder.load(result)


def _typed_common(_typing: Any, row: Any, other: Any, n_words: Any) -> Any:
    """Return the common bits of two codes that lie in rows: `common(row, other, n_words)`."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        row, other, n_words = args
        return _counted_in_rows(builder, row, other, n_words, builder.and_)

    return _types.int64(row, other, n_words), generate


def _typed_differing(_typing: Any, row: Any, other: Any, n_words: Any) -> Any:
    """Return the bits in which two codes differ: `differing(row, other, n_words)`."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        row, other, n_words = args
        return _counted_in_rows(builder, row, other, n_words, builder.xor)

    return _types.int64(row, other, n_words), generate


def _typed_prefetch(_typing: Any, address: Any) -> Any:
    """Ask for the cache line at an address, to be read soon: `prefetch(address)`."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        byte, number = ir.PointerType(ir.IntType(8)), ir.IntType(32)
        function = _build.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [byte, number, number, number]),
            "llvm.prefetch.p0",
        )
        # For reading, to be kept in all caches, data.
        place = builder.inttoptr(args[0], byte)
        builder.call(function, [place, number(0), number(3), number(1)])
        return _context.get_dummy_value()

    return _types.void(address), generate


def _typed_popcount(_typing: Any, _word: Any) -> Any:
    """Count the set bits of a 64-bit word by the processor's own instruction."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return _types.uint64(_types.uint64), generate


def _typed_trailing_zeros(_typing: Any, _word: Any) -> Any:
    """Count the zeros below the lowest set bit of a 64-bit word that is not 0."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(1))

    return _types.uint64(_types.uint64), generate


count_group: Any = intrinsic(_typed_count_group)
reach: Any = intrinsic(_typed_reach)
common: Any = intrinsic(_typed_common)
differing: Any = intrinsic(_typed_differing)
prefetch: Any = intrinsic(_typed_prefetch)
popcount: Any = intrinsic(_typed_popcount)
trailing_zeros: Any = intrinsic(_typed_trailing_zeros)
