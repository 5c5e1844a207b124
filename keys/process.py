"""A process that holds keys: no core file of it, and no look into its memory.

What this cannot do: copies that the interpreter or a library made stay in memory until
they are overwritten by chance, swap is the machine's matter (encrypt it), and root
reads everything. The end of the process is the only sure wipe.
"""

import ctypes
import os
import resource
import sys

from keys.errors import KeysError

_PR_GET_DUMPABLE, _PR_SET_DUMPABLE = 3, 4


def shield_process() -> None:
    """Keep the memory of this process out of core files and of other users' debuggers.

    Call it once, before the first key is opened. Children inherit the limit on core
    files; on Linux a program that they start is open to debuggers again.

    Raises:
        KeysError: the system refuses.
    """
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        raise KeysError("core files cannot be switched off for this process") from error
    if sys.platform == "linux" and _prctl(_PR_SET_DUMPABLE, 0) != 0:
        raise KeysError("this process cannot be closed to debuggers (PR_SET_DUMPABLE)")


def is_shielded() -> bool:
    """Return whether `shield_process` holds in this process."""
    if resource.getrlimit(resource.RLIMIT_CORE) != (0, 0):
        return False
    return sys.platform != "linux" or _prctl(_PR_GET_DUMPABLE, 0) == 0


def _prctl(option: int, value: int) -> int:
    done: int = ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)
    if done < 0:
        raise KeysError(f"prctl: {os.strerror(ctypes.get_errno())}")
    return done
