"""How the loops of this package are compiled.

They take and return arrays only, release the interpreter lock and keep nothing
between calls. What they decide is defined elsewhere, value by value, in Python.
"""

from collections.abc import Callable
from typing import TypeVar, cast

import numba

_F = TypeVar("_F", bound=Callable[..., object])


def compiled(function: _F) -> _F:
    """Compile a loop on first use and keep the result in the cache folder."""
    return cast("_F", numba.njit(cache=True, nogil=True)(function))
