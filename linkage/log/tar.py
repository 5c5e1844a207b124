"""Uncompressed ustar archives in the one form that a bundle may have.

Regular files only, sorted by name, mode 0644, no owner, no time, zero padding,
and two zero blocks at the end. Reading writes the archive again and compares, so
no byte of it goes unread. Any tar program can list and unpack it, and GNU tar
writes the same bytes when it is given the files in order:

    tar --format=ustar --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=0644 -b1

Source: POSIX.1-2017, pax, "ustar Interchange Format".
"""

import re
from collections.abc import Mapping

from linkage.errors import MalformedMessageError

_BLOCK = 512
_END = bytes(2 * _BLOCK)
_MAX_NAME = 100
_MAX_SIZE = 8**11
_NAME = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_.-]*(?:/[0-9A-Za-z_][0-9A-Za-z_.-]*)*")
_BLANK_SUM = b" " * 8


def to_tar(files: Mapping[str, bytes]) -> bytes:
    """Return the archive of `files`, by path.

    Raises:
        MalformedMessageError: a path that is not plain ASCII words between `/`,
            longer than 100 letters, or a file of 8 GiB.
    """
    parts = []
    for name in sorted(files):
        content = files[name]
        parts += [_header(name, len(content)), content, bytes(-len(content) % _BLOCK)]
    return b"".join([*parts, _END])


def from_tar(data: bytes) -> dict[str, bytes]:
    """Return the files of an archive that `to_tar` wrote.

    Raises:
        MalformedMessageError: any byte is not what `to_tar` would have written.
    """
    files = {}
    at = 0
    while data[at : at + 1] not in (b"", b"\0"):
        name = data[at : at + _MAX_NAME].rstrip(b"\0").decode("latin-1")
        digits = data[at + 124 : at + 135]
        if not re.fullmatch(rb"[0-7]{11}", digits):
            raise MalformedMessageError("an archive with a malformed file length")
        start = at + _BLOCK
        end = start + int(digits, 8)
        # Beyond the end of the data the slice is short, and the comparison fails.
        files[name] = data[start:end]
        at = end + -end % _BLOCK
    if at + len(_END) != len(data) or to_tar(files) != data:
        raise MalformedMessageError("an archive that is not in its one form")
    return files


def _header(name: str, size: int) -> bytes:
    if len(name) > _MAX_NAME or _NAME.fullmatch(name) is None:
        raise MalformedMessageError("an archive with a path that no bundle has")
    if size >= _MAX_SIZE:
        raise MalformedMessageError("a file too large for an archive")
    zero = b"0000000\0"
    head = b"".join(
        (
            name.encode("ascii").ljust(_MAX_NAME, b"\0"),
            b"0000644\0",
            zero,
            zero,
            b"%011o\0" % size,
            b"%011o\0" % 0,
        )
    )
    tail = b"".join((b"0", bytes(100), b"ustar\0", b"00", bytes(64), zero, zero))
    tail = tail.ljust(_BLOCK - len(head) - len(_BLANK_SUM), b"\0")
    checksum = b"%06o\0 " % sum(head + _BLANK_SUM + tail)
    return head + checksum + tail
