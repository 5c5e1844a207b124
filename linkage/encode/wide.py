"""Logic on sixteen 64-bit words at once, as single vector values, and a bit count.

The compiler does not turn the loops of a tree of adders into vector code: it would
have to prove that a dozen rows do not overlap. Here the vectors are written down.
Processors without 512-bit registers get the same result in more instructions.
Addresses are those of rows of sixteen words in C-ordered arrays that the caller
keeps alive; nothing is checked.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

WORDS = 16
ROW_BYTES = 8 * WORDS
_ROW = ir.VectorType(ir.IntType(64), WORDS)


def _pointer(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, ir.PointerType(_ROW))


def _load(builder: Any, pointer: Any) -> Any:
    # The rows are aligned as words, not as vectors.
    return builder.load(pointer, align=8)


def _full_add(builder: Any, a: Any, b: Any, c: Any) -> tuple[Any, Any]:
    """Return sum and carry of three rows of bits."""
    half = builder.xor(a, b)
    carry = builder.or_(builder.and_(a, b), builder.and_(half, c))
    return builder.xor(half, c), carry


def _typed_add_eight(_typing: Any, planes: Any, carry: Any, rows: Any) -> Any:
    """Add eight rows to counters: `add_eight(planes, carry, rows)`.

    Args:
        _typing: numba's own.
        planes: address of the planes of ones, twos and fours, one after another.
        carry: address of the row that takes the carries of eights.
        rows: the addresses of the eight rows.
    """
    signature = types.void(planes, carry, rows)

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        first = _pointer(builder, args[0])
        places = [builder.gep(first, [ir.IntType(32)(i)]) for i in range(3)]
        ones, twos, fours = (_load(builder, place) for place in places)
        row = [
            _load(builder, _pointer(builder, builder.extract_value(args[2], i))) for i in range(8)
        ]
        carries = []
        for i in range(0, 8, 2):
            ones, carried = _full_add(builder, ones, row[i], row[i + 1])
            carries.append(carried)
        twos, four = _full_add(builder, twos, carries[0], carries[1])
        twos, other = _full_add(builder, twos, carries[2], carries[3])
        fours, eights = _full_add(builder, fours, four, other)
        for place, value in zip(places, (ones, twos, fours), strict=True):
            builder.store(value, place, align=8)
        builder.store(eights, _pointer(builder, args[1]), align=8)
        return _context.get_dummy_value()

    return signature, generate


def _typed_ripple(_typing: Any, plane: Any, carry: Any) -> Any:
    """Add the carry row to a plane, and leave the new carry: `ripple(plane, carry)`."""
    signature = types.void(plane, carry)

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        plane_at, carry_at = (_pointer(builder, address) for address in args)
        a, b = _load(builder, plane_at), _load(builder, carry_at)
        builder.store(builder.xor(a, b), plane_at, align=8)
        builder.store(builder.and_(a, b), carry_at, align=8)
        return _context.get_dummy_value()

    return signature, generate


def _typed_add_two(_typing: Any, plane: Any, one: Any, other: Any) -> Any:
    """Add two carry rows to a plane: `add_two(plane, one, other)`; `one` takes the new carry."""
    signature = types.void(plane, one, other)

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        at = [_pointer(builder, address) for address in args]
        total, carry = _full_add(builder, *(_load(builder, pointer) for pointer in at))
        builder.store(total, at[0], align=8)
        builder.store(carry, at[1], align=8)
        return _context.get_dummy_value()

    return signature, generate


def _typed_trailing_zeros(_typing: Any, _word: Any) -> Any:
    """Count the zeros below the lowest set bit of a 64-bit word that is not 0."""

    def generate(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.IntType(1)(1))

    return types.uint64(types.uint64), generate


trailing_zeros: Any = intrinsic(_typed_trailing_zeros)
add_eight: Any = intrinsic(_typed_add_eight)
add_two: Any = intrinsic(_typed_add_two)
ripple: Any = intrinsic(_typed_ripple)
