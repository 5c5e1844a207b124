"""Counters of 512 bits at once in vector registers, and a bit count.

The compiler does not turn the loops of a tree of adders into vector code: it would
have to prove that a dozen rows do not overlap, and it would keep the counters in
memory. Here a row of bits is a type of its own and the counters are a tuple of rows,
ones first, whose values stay in registers. Processors without 512-bit registers get
the same result in more instructions. Addresses are those of arrays that the caller
keeps alive; nothing is checked.
"""

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

WORDS = 8
ROW_BYTES = 8 * WORDS
_WORD = ir.IntType(64)
_ROW = ir.VectorType(_WORD, WORDS)
_LANES = ir.VectorType(ir.IntType(32), WORDS)
# Rows lie as words do; those of `aligned_words` also never cross a cache line.
_ALIGNMENT = 8
# Functions of three bits as truth tables.
_PARITY, _MAJORITY = 0x96, 0xE8


def aligned_words(shape: tuple[int, ...]) -> NDArray[np.uint64]:
    """Return an array of words, not filled, that begins where a cache line does."""
    n_words = math.prod(shape)
    room = np.empty(n_words + WORDS, dtype=np.uint64)
    first = -(room.ctypes.data // 8) % WORDS
    return room[first : first + n_words].reshape(shape)


class _Row(types.Type):
    """The type of eight 64-bit words in one register."""


@register_model(_Row)
class _RowModel(models.PrimitiveModel):
    def __init__(self, manager: Any, of_type: Any) -> None:
        super().__init__(manager, of_type, _ROW)  # type: ignore[no-untyped-call]


_row: Any = _Row("Row")


def _load(builder: Any, first: Any, number: Any) -> Any:
    """Return the row of this number among those at an address."""
    rows = builder.inttoptr(first, ir.PointerType(_ROW))
    return builder.load(builder.gep(rows, [number]), align=_ALIGNMENT)


def _full_add(context: Any, builder: Any, a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    """Return sum and carry of three rows of bits."""
    if "+avx512f" in context.codegen().magic_tuple()[2]:
        return _ternary(builder, _PARITY, a, b, c), _ternary(builder, _MAJORITY, a, b, c)
    half = builder.xor(a, b)
    return builder.xor(half, c), builder.or_(builder.and_(a, b), builder.and_(half, c))


def _ternary(builder: Any, table: int, *rows: Any) -> Any:
    """Return a function of three rows in one instruction, which the compiler seldom finds."""
    name = "llvm.x86.avx512.pternlog.q.512"
    typed = ir.FunctionType(_ROW, [_ROW, _ROW, _ROW, ir.IntType(32)])
    function = builder.module.globals.get(name) or ir.Function(builder.module, typed, name)
    return builder.call(function, [*rows, ir.IntType(32)(table)])


def _typed_load_counters(_typing: Any, at: Any, width: Any) -> Any:
    """Return the counters at an address: `load_counters(at, width)`.

    Args:
        _typing: numba's own.
        at: address of their planes, one after another.
        width: a tuple as long as the counters have planes.
    """
    counters: Any = types.UniTuple(_row, len(width))  # type: ignore[no-untyped-call]

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        planes = [_load(builder, args[0], ir.IntType(32)(i)) for i in range(len(width))]
        return context.make_tuple(builder, counters, planes)

    return counters(at, width), generate


def _typed_add_sixteen(_typing: Any, counters: Any, matrix: Any, numbers: Any) -> Any:
    """Return counters with sixteen rows added: `add_sixteen(counters, matrix, numbers)`.

    Args:
        _typing: numba's own.
        counters: five planes or more.
        matrix: address of rows one after another.
        numbers: address of sixteen 16-bit numbers of rows.
    """

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        planes = _planes(builder, counters, args[0])
        at = builder.inttoptr(args[2], ir.PointerType(ir.IntType(16)))
        rows = []
        for i in range(16):
            number = builder.load(builder.gep(at, [ir.IntType(32)(i)]))
            rows.append(_load(builder, args[1], builder.zext(number, _WORD)))
        # Two rows and a plane give one row of carries for the next plane (Harley-Seal).
        plane = 0
        while len(rows) > 1:
            carries = []
            for a, b in zip(rows[::2], rows[1::2], strict=True):
                planes[plane], carry = _full_add(context, builder, planes[plane], a, b)
                carries.append(carry)
            rows = carries
            plane += 1
        carry = rows[0]
        for i in range(plane, len(planes)):
            planes[i], carry = builder.xor(planes[i], carry), builder.and_(planes[i], carry)
        return context.make_tuple(builder, counters, planes)

    return counters(counters, matrix, numbers), generate


def _typed_xor_carry(_typing: Any, code: Any, counters: Any, number: Any) -> Any:
    """XOR into a row which counters overflow with a number: `xor_carry(code, counters, number)`.

    Args:
        _typing: numba's own.
        code: address of the row.
        counters: their planes.
        number: added to every counter, below 2 to the number of planes.
    """

    def generate(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        carry = ir.Constant(_ROW, None)
        for i, plane in enumerate(_planes(builder, counters, args[1])):
            bit = builder.and_(builder.lshr(args[2], _WORD(i)), _WORD(1))
            bits = _filled(builder, builder.neg(bit))
            carry = _full_add(context, builder, plane, bits, carry)[1]
        at = builder.inttoptr(args[0], ir.PointerType(_ROW))
        code_row = builder.load(at, align=_ALIGNMENT)
        builder.store(builder.xor(code_row, carry), at, align=_ALIGNMENT)
        return context.get_dummy_value()

    return types.void(code, counters, number), generate


def _planes(builder: Any, counters: Any, value: Any) -> list[Any]:
    return [builder.extract_value(value, i) for i in range(len(counters))]


def _filled(builder: Any, word: Any) -> Any:
    """Return the row of eight equal words."""
    empty = ir.Constant(_ROW, ir.Undefined)
    one = builder.insert_element(empty, word, ir.IntType(32)(0))
    return builder.shuffle_vector(one, empty, ir.Constant(_LANES, None))


def _typed_trailing_zeros(_typing: Any, _word: Any) -> Any:
    """Count the zeros below the lowest set bit of a 64-bit word that is not 0."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.uint64(types.uint64), generate


trailing_zeros: Any = intrinsic(_typed_trailing_zeros)
load_counters: Any = intrinsic(_typed_load_counters)
add_sixteen: Any = intrinsic(_typed_add_sixteen)
xor_carry: Any = intrinsic(_typed_xor_carry)
